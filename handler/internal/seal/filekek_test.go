package seal_test

// Key encryption keys in files.

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/seal"
)

func TestNewFileKEKRefuses(t *testing.T) {
	t.Parallel()
	const good = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
	for _, tt := range []struct {
		why, text string
		mode      os.FileMode
		want      string // in the error; "" means accepted
	}{
		{"good", good, 0o600, ""},
		{"good, read-only, newline", good + "\n", 0o400, ""},
		{"group may read", good, 0o640, "mode 0640"},
		{"others may read", good, 0o604, "mode 0604"},
		{"group may write", good, 0o620, "mode 0620"},
		{"empty", "", 0o600, "32 bytes in base64"},
		{"31 bytes", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw==", 0o600, "32 bytes in base64"},
		{"33 bytes", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH", 0o600, "32 bytes in base64"},
		{"not base64", strings.Repeat("!", 44), 0o600, "32 bytes in base64"},
		{"long", strings.Repeat(good, 100), 0o600, "32 bytes in base64"},
	} {
		path := filepath.Join(t.TempDir(), "kek")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tt.mode); err != nil { // past the umask
			t.Fatal(err)
		}
		_, err := seal.NewFileKEK(path)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: NewFileKEK = %v", tt.why, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: NewFileKEK = %v, want an error with %q", tt.why, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "BwcH"):
			t.Errorf("%s: error quotes the key: %v", tt.why, err)
		}
	}
}

func TestNewFileKEKCreatesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kek")
	if _, err := seal.NewFileKEK(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("NewFileKEK of a missing file = %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("file exists afterwards: %v", err)
	}
	if _, err := seal.NewFileKEK(t.TempDir()); err == nil {
		t.Error("NewFileKEK took a directory")
	}
}

func TestFileKEKSigns(t *testing.T) {
	t.Parallel()
	kek := fileKEK(t, 1)
	id, wrapped, err := kek.Wrap(t.Context(), rand.Reader, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	signature, err := kek.Sign(t.Context(), id, []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fileKEK(t, 1).Verify(t.Context(), id, []byte("message"), signature), kek.Check(t.Context(), id, wrapped)); err != nil {
		t.Error(err)
	}
	signature[3] ^= 1
	if err := kek.Verify(t.Context(), id, []byte("message"), signature); !errors.Is(err, seal.ErrRefused) {
		t.Errorf("Verify of an altered signature = %v, want ErrRefused", err)
	}
	other := fileKEK(t, 2)
	if _, err := other.Sign(t.Context(), id, []byte("message")); !errors.Is(err, seal.ErrUnknownKEK) {
		t.Errorf("Sign with another key = %v, want ErrUnknownKEK", err)
	}
	if err := other.Verify(t.Context(), id, []byte("message"), signature); !errors.Is(err, seal.ErrUnknownKEK) {
		t.Errorf("Verify with another key = %v, want ErrUnknownKEK", err)
	}
}
