package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/certtest"
)

// TestKeyFileMode: a CA's key file that others may read, or that is none, is refused
// as the key encryption key's is.
func TestKeyFileMode(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "ca.key")
	text := certtest.OpenSSL(t, nil, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]string{
		0o600: "", 0o400: "", 0o640: "mode 0640, which lets others in", 0o604: "must be 0600", 0o620: "must be 0600", 0o601: "must be 0600",
	} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		_, err := KeyInFile(name).Find(t.Context(), nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%04o: %v", mode, err)
		}
	}
	if _, err := KeyInFile(t.TempDir()).Find(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}
