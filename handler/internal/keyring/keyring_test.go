package keyring_test

// Keys that are kept once, sealed.

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/certwright/certwright/handler/internal/keyring"
	"github.com/certwright/certwright/handler/internal/rootkey/rootkeytest"
	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

func TestRing(t *testing.T) {
	t.Parallel()
	rows := new(memory.Store)
	file := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	kek, err := seal.NewFileKEK(file)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(seal.Config{VaultID: "v1", KEK: kek, Keys: rootkeytest.Fixed(t, "v1", nil)})
	if err != nil {
		t.Fatal(err)
	}
	ring := keyring.Ring{Store: rows, Seal: sealer.Seal, Open: sealer.Open}
	ctx, id := context.Background(), "0123456789abcdef0123456789abcdef"
	if key, err := ring.Load(ctx, id); key != nil || err != nil {
		t.Errorf("Load of none = %q, %v", key, err)
	}
	first, second := []byte("the first worker's key"), []byte("the second worker's key")
	for _, try := range [][]byte{first, second} {
		if kept, err := ring.Save(ctx, id, try); err != nil || !bytes.Equal(kept, first) {
			t.Errorf("Save(%q) keeps %q, %v; want the first", try, kept, err)
		}
	}
	if kept, err := ring.Load(ctx, id); err != nil || !bytes.Equal(kept, first) {
		t.Errorf("Load = %q, %v", kept, err)
	}
	for _, r := range rows.Contents().Rows {
		if bytes.Contains(r.Doc, first) {
			t.Errorf("row %s holds the key unsealed", r.Key)
		}
	}
	if _, err := ring.Save(ctx, "c:web", first); err == nil {
		t.Error("an id that is not 32 hexadecimal digits was taken")
	}
}
