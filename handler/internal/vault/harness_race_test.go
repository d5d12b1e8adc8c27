//go:build race

package vault_test

// Tests that only sample under the race detector, and their full run.

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// raceDetector: see search.
const raceDetector = true

// sampled are the tests to which the race detector leaves time for samples only,
// and which every run of this package's tests owes in full.
var sampled = []string{
	"TestInterleavings",
	"TestInterleavingsOfThree",
	"TestRenewalInterleaved",
	"TestTellingInterleaved",
	"TestYear",
}

// TestInFull runs the sampled tests in full, in a program without the race
// detector.
func TestInFull(t *testing.T) {
	t.Parallel()
	if *depth != 1 {
		t.Skip("with -search the searches are longer under the race detector too")
	}
	program := filepath.Join(t.TempDir(), "vault.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-race=false", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("compiling the tests: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), program, "-test.v", "-test.run", "^("+strings.Join(sampled, "|")+")$").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range sampled {
		if !strings.Contains(string(out), "--- PASS: "+name+" (") {
			t.Errorf("%s has not passed", name)
		}
	}
}
