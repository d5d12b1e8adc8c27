package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestExitCodesOfScripts: as of localcloud and the handler, 2 says that a command
// line is wrong.
func TestExitCodesOfScripts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		program string
		args    []string
		status  int
		want    string
	}{
		{"../package", []string{"now"}, 2, "usage: package"},
		{"../package", []string{"-h"}, 0, "usage: package"},
		{"../examples/webhook/conformance", nil, 2, "with -url"},
		{"../examples/webhook/conformance", []string{"-url", "https://localhost:1", "-secret", "none"}, 1, "none"},
	} {
		// `go run` has an exit code of its own.
		program := t.TempDir() + "/program"
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, test.program).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		stdout, stderr, status := output(t, exec.CommandContext(t.Context(), program, test.args...))
		if said := stdout + stderr; status != test.status || !strings.Contains(said, test.want) {
			t.Errorf("%s %q: status %d, %q, want %d and %q", test.program, test.args, status, said, test.status, test.want)
		}
	}
}
