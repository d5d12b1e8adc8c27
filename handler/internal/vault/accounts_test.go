package vault_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestAccounts(t *testing.T) {
	t.Parallel()
	store, sealer := new(memory.Store), testSealer(t)
	accounts := vault.Accounts{Store: store, Seal: sealer.Seal, Open: sealer.Open}
	ctx, id := context.Background(), "0123456789abcdef0123456789abcdef"
	if key, err := accounts.Load(ctx, id); key != nil || err != nil {
		t.Errorf("Load of none = %q, %v", key, err)
	}
	first, second := []byte("the first worker's key"), []byte("the second worker's key")
	for _, try := range [][]byte{first, second} {
		if kept, err := accounts.Save(ctx, id, try); err != nil || !bytes.Equal(kept, first) {
			t.Errorf("Save(%q) keeps %q, %v; want the first", try, kept, err)
		}
	}
	if kept, err := accounts.Load(ctx, id); err != nil || !bytes.Equal(kept, first) {
		t.Errorf("Load = %q, %v", kept, err)
	}
	for _, r := range store.Contents().Rows {
		if bytes.Contains(r.Doc, first) {
			t.Errorf("row %s holds the key unsealed", r.Key)
		}
	}
	if _, err := accounts.Save(ctx, "c:web", first); err == nil {
		t.Error("an id that is none was taken")
	}
}

func TestChallenges(t *testing.T) {
	t.Parallel()
	challenges := vault.Challenges{Store: new(memory.Store)}
	ctx := context.Background()
	for range 2 {
		if err := challenges.Put(ctx, "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "token.thumbprint"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := challenges.Get(ctx, "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"); got != "token.thumbprint" || err != nil {
		t.Errorf("Get = %q, %v", got, err)
	}
	for range 2 {
		if err := challenges.Remove(ctx, "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"); err != nil {
			t.Error(err)
		}
	}
	for _, token := range []string{"LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "", "../c:web", "a b", strings.Repeat("a", 129)} {
		if got, err := challenges.Get(ctx, token); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get(%q) = %q, %v; want ErrNotFound", token, got, err)
		}
	}
	if err := challenges.Put(ctx, "../c:web", "x"); err == nil {
		t.Error("a token that is none was published")
	}
}
