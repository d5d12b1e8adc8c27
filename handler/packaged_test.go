package main

// What is packaged for Azure does not link the local cloud.

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// module is the import path of this repository's root.
const module = "github.com/certwright/certwright/"

// TestPackagedWithoutLocalCloud: the program that is packaged for Azure does not
// link the stand-ins of Azure's parts, one of which hands out tokens.
func TestPackagedWithoutLocalCloud(t *testing.T) {
	t.Parallel()
	linked := goList(t, "-deps", "-f", "{{.ImportPath}}", ".")
	found := false
	for path := range strings.FieldsSeq(string(linked)) {
		found = found || path == module+"handler/internal/vault"
		if strings.HasPrefix(path, module+"handler/localcloud") || strings.HasPrefix(path, module+"scripts/") {
			t.Errorf("the handler links %s", path)
		}
	}
	if !found {
		t.Errorf("go list does not name the vault among what the handler links:\n%s", linked)
	}
}

// goList is what `go list` says, for the platform of Azure's plans.
func goList(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", strings.Join(args, " "), err)
	}
	return out
}
