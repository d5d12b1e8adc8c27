package state_test

// Files that only their owner reads.

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/certwright/certwright/handler/localcloud/state"
)

func TestFilesAreTheOwnersOnly(t *testing.T) {
	t.Parallel()
	f := state.Folder(filepath.Join(t.TempDir(), "state"))
	if err := f.Write("keys/kek", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{"": 0o700, "keys": 0o700, "keys/kek": 0o600} {
		info, err := os.Stat(f.Path(path))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o", path, got, want)
		}
	}
}

func TestReadOrCreateGeneratesOnce(t *testing.T) {
	t.Parallel()
	f := state.Folder(filepath.Join(t.TempDir(), "state"))
	calls := 0
	for range 2 {
		content, err := f.ReadOrCreate("kek", func() ([]byte, error) { calls++; return []byte("secret"), nil })
		if err != nil || string(content) != "secret" {
			t.Fatalf("ReadOrCreate = %q, %v", content, err)
		}
	}
	if calls != 1 {
		t.Errorf("generated %d times, want once", calls)
	}
}
