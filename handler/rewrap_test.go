package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/azurite"
)

// TestRewrap: the root in real storage is made, replaced, and forgotten by the
// command, and does not open with another key-encryption key.
func TestRewrap(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	storage, err := azurite.Start(ctx, azurite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Stop()
	command := func(kek byte, args ...string) (string, error) {
		file := filepath.Join(t.TempDir(), "kek")
		if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{kek}, 32))), 0o600); err != nil {
			t.Fatal(err)
		}
		environment := map[string]string{"CERTWRIGHT_STORAGE_CONNECTION_STRING": storage.ConnectionString(), "CERTWRIGHT_KEK_FILE": file}
		var out bytes.Buffer
		err := run(ctx, append([]string{"rewrap"}, args...), terminal{func(name string) string { return environment[name] }, strings.NewReader(""), &out})
		return out.String(), err
	}
	const nothing = "roots wrapped and signed anew: 0\nvalues that release 0.1.0 sealed: 0\n"
	if out, err := command(1); err != nil || out != nothing {
		t.Errorf("rewrap: %q, %v", out, err)
	}
	out, err := command(1, "-rotate")
	id, rest, _ := strings.Cut(strings.TrimPrefix(out, "new root: "), "\n")
	if err != nil || len(id) != 32 || rest != nothing {
		t.Fatalf("rewrap -rotate: %q, %v", out, err)
	}
	if _, err := command(1, "-forget", id); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("forgetting the current root: %v", err)
	}
	if _, err := command(2); err == nil || !strings.Contains(err.Error(), "key-encryption key is not the one") {
		t.Errorf("with another key-encryption key: %v", err)
	}
}
