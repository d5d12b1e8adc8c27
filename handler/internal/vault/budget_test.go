package vault_test

// How many storage calls each request and an idle tick cost.

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestStorageCalls keeps the budgets of docs/architecture.md: how many calls to
// storage every operation takes.
func TestStorageCalls(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "issue")
	ctx := context.Background()
	n := name(t, "web")
	expect := func(what string, want int, f func() error) {
		t.Helper()
		h.store.ResetCalls()
		if err := f(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if calls := h.store.Calls(); calls.Total() != want {
			t.Errorf("%s takes %d storage calls %v, want %d", what, calls.Total(), calls, want)
		}
	}
	create := func(n vault.Name, issuer string) func() error {
		return func() error { return second(h.Create(ctx, n, vault.CreateParams{Policy: policyFor(issuer)})) }
	}
	expect("idle tick", 5, func() error { return second(h.Advance(ctx)) }) // a query per class and the heartbeat
	expect("create", 2, create(n, "Self"))
	expect("get operation", 1, func() error { return second(h.Operation(ctx, n, "")) })
	expect("get shell", 1, func() error { return second(h.Certificate(ctx, n)) })
	expect("cancel", 2, func() error { return second(h.Cancel(ctx, n, "", true)) })
	expect("taking the cancellation back", 2, func() error { return second(h.Cancel(ctx, n, "", false)) })
	h.clock.Advance(2 * time.Second)
	expect("poll that completes Self", 5, func() error { return second(h.Operation(ctx, n, "")) }) // head, claim, key, chain, transaction
	expect("get certificate", 1, func() error { return second(h.Certificate(ctx, n)) })
	cert, err := h.Certificate(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	expect("get version", 2, func() error { return second(h.CertificateVersion(ctx, n, cert.Version)) })
	expect("list", 1, func() error { _, _, err := h.Certificates(ctx, vault.Page{Max: 25}, false); return err })
	expect("list versions", 2, func() error { _, _, err := h.Versions(ctx, n, vault.Page{Max: 25}); return err })
	expect("delete operation", 2, func() error { return second(h.DeleteOperation(ctx, n, "")) })
	expect("create with a named issuer", 3, create(n, "ca"))
	h.clock.Advance(2 * time.Second)
	expect("tick that completes one", 14, func() error { return second(h.Advance(ctx)) }) // head, issuer, claim, chain, transaction; four queries twice; heartbeat
	expect("create for a merge", 2, create(name(t, "merged"), "Unknown"))
	op := h.mustOperation("merged")
	x5c := []string{signed(t, op.CSR, 9)}
	expect("merge", 3, func() error { return second(h.Merge(ctx, name(t, "merged"), vault.MergeParams{X5C: x5c})) })
	imported := vault.ImportParams{Value: newExisting(t, ecP256, h.clock.Now()).pfx(t)}
	expect("first import", 3, func() error { return second(h.Import(ctx, name(t, "imported"), imported)) })
	expect("next import", 3, func() error { return second(h.Import(ctx, name(t, "imported"), imported)) })
	expect("get secret", 3, func() error { return second(h.Secret(ctx, n, "", nil)) })
	expect("get secret of a version", 4, func() error { return second(h.Secret(ctx, n, cert.Version, nil)) })
	expect("get key", 1, func() error { return second(h.Key(ctx, n, "")) })
	digest := make([]byte, 32)
	expect("sign", 2, func() error { _, _, err := h.Sign(ctx, n, "", "RS256", digest); return err })
	expect("verify", 1, func() error { return second(h.Verify(ctx, n, "", "RS256", digest, nil)) })
	expect("update latest version", 2, func() error { return second(h.UpdateVersion(ctx, n, "", vault.UpdateParams{})) })
	expect("update policy", 2, func() error { return second(h.UpdatePolicy(ctx, n, policy.Params{})) })
	expect("set contacts", 1, func() error { return second(h.SetContacts(ctx, []vault.Contact{{Email: "a@example.com"}})) })
	expect("get contacts", 1, func() error { return second(h.Contacts(ctx)) })
	expect("delete contacts", 2, func() error { return second(h.DeleteContacts(ctx)) })
	var backup []byte
	expect("backup of two versions", 6, func() (err error) { // head, versions, keys, head; a chain each
		backup, err = h.Backup(ctx, name(t, "imported"))
		return err
	})
	expect("delete certificate", 2, func() error { return second(h.Delete(ctx, n)) })
	expect("get deleted", 1, func() error { return second(h.Deleted(ctx, n)) })
	expect("list deleted", 1, func() error { _, _, err := h.DeletedCertificates(ctx, vault.Page{Max: 25}, false); return err })
	expect("recover", 2, func() error { return second(h.Recover(ctx, n)) })
	h.mustDestroy("imported")
	expect("restore of two versions", 6, func() error { return second(h.Restore(ctx, backup)) }) // head, transaction; a chain each; head, transaction
}

// TestIdleTickIsFlat: what is stored does not matter to a tick, only what is
// due.
func TestIdleTickIsFlat(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	for i := range 50 {
		h.mustCreate(fmt.Sprintf("c%d", i), "Unknown")
	}
	h.store.ResetCalls()
	h.mustTick()
	if calls := h.store.Calls().Total(); calls != 5 {
		t.Errorf("an idle tick over 50 certificates takes %d calls, want 5", calls)
	}
}
