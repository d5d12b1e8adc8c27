package vault_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestPasswordOf010: a password that 0.1.0 sealed, to the name of its issuer alone,
// opens; sealed anew it is for the issuer object and its provider.
func TestPasswordOf010(t *testing.T) {
	t.Parallel()
	ca := new(stepping)
	h := newHarness(t, map[string]provider.Provider{"ca": ca})
	var mu sync.Mutex // the steps of a tick are concurrent
	var got []string
	ca.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, req.Issuer.Password)
		return nil, provider.Pending(time.Time{}, "waiting")
	}
	ctx, sealer, rows := t.Context(), testSealer(t), trusted(t, h.store)
	h.mustSetIssuer("Corp", "CA")
	row, err := rows.Get(ctx, "i:corp")
	if err != nil {
		t.Fatal(err)
	}
	set := func(r store.Row) {
		t.Helper()
		r.ETag = ""
		if _, err := rows.Commit(ctx, store.Tx{Actions: []store.Action{{Verb: store.Put, Row: r}}}); err != nil {
			t.Fatal(err)
		}
	}
	const passwordID = "0123456789abcdef0123456789abcdef"
	sealed, err := sealer.Seal(ctx, "credential", "corp", passwordID, []byte("old password"))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(row.Doc, &doc); err != nil {
		t.Fatal(err)
	}
	doc["passwordId"], doc["password"] = passwordID, base64.StdEncoding.EncodeToString(sealed)
	old := row
	if old.Doc, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	set(old)
	renewed, err := vault.ResealIssuer(h.Vault, ctx, old)
	if err != nil {
		t.Fatal(err)
	}
	var is struct {
		ID, PasswordID string
		Password       []byte
	}
	if err := json.Unmarshal(renewed.Doc, &is); err != nil {
		t.Fatal(err)
	}
	if plain, err := sealer.Open(ctx, "password", is.ID+":ca", is.PasswordID, is.Password); err != nil || string(plain) != "old password" {
		t.Errorf("sealed anew: %q, %v", plain, err)
	}
	for i, r := range []store.Row{old, renewed} {
		set(r)
		h.mustCreate([]string{"one", "two"}[i], "corp")
		h.clock.Advance(time.Minute)
		h.mustTick()
	}
	if len(got) == 0 || slices.ContainsFunc(got, func(p string) bool { return p != "old password" }) {
		t.Errorf("the CA was asked with the passwords %q", got)
	}
	none, err := vault.ResealIssuer(h.Vault, ctx, row)
	if err != nil || string(none.Doc) != string(row.Doc) {
		t.Errorf("an issuer without a password becomes %s, %v", none.Doc, err)
	}
}
