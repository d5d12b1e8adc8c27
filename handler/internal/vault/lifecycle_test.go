package vault_test

// Operations from create to their end.

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestSelfCompletesOnPoll(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	op := h.mustCreate("web", "self")
	if op.Status != vault.StatusInProgress || op.StatusDetails() == "" || op.RequestID == "" {
		t.Fatalf("created operation is %+v", op)
	}
	shell, err := h.Certificate(ctx, name(t, "web"))
	if err != nil {
		t.Fatal(err)
	}
	if shell.Attributes.Enabled || shell.Leaf != nil || !shell.Pending || shell.Policy == nil {
		t.Errorf("a certificate that was never completed is %+v, want a disabled shell with policy and pending", shell)
	}
	h.clock.Advance(1999 * time.Millisecond)
	if op := h.mustOperation("web"); op.Status != vault.StatusInProgress {
		t.Errorf("status is %s before two seconds have passed", op.Status)
	}
	h.clock.Advance(time.Millisecond)
	if op := h.mustOperation("WEB"); op.Status != vault.StatusCompleted || op.StatusDetails() != "" {
		t.Fatalf("status is %s with details %q after two seconds, want completed without", op.Status, op.StatusDetails())
	}
	cert, err := h.Certificate(ctx, name(t, "web"))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(op.CSR)
	if err != nil {
		t.Fatal(err)
	}
	if !leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(csr.PublicKey) {
		t.Error("the certificate's key is not the CSR's")
	}
	if cert.Version == shell.Version || !cert.Attributes.Enabled {
		t.Errorf("version %s (shell had %s), enabled %v", cert.Version, shell.Version, cert.Attributes.Enabled)
	}
	if _, err := h.CertificateVersion(ctx, name(t, "web"), shell.Version); reason(t, err) != vault.CertificateNotFound {
		t.Errorf("the provisional version still answers: %v", err)
	}
	if c, err := h.CertificateVersion(ctx, name(t, "web"), cert.Version); err != nil || c.Policy != nil || c.Pending {
		t.Errorf("CertificateVersion = %+v, %v; want neither policy nor pending", c, err)
	}
}

func TestSelfCompletesOnTick(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustCreate("web", "Self")
	h.mustTick() // waits until the operation falls due
	h.store.ResetCalls()
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted {
		t.Errorf("status after a tick is %s", op.Status)
	}
	if calls := h.store.Calls().Total(); calls != 1 {
		t.Errorf("the poll took %d calls: the tick had not completed it", calls)
	}
}

func TestCreateWhileInProgress(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	first, err := h.Create(sentAs(ctx, "a"), name(t, "web"), vault.CreateParams{Policy: policyFor("Unknown"), ClientRequestID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Create(sentAs(ctx, "b"), name(t, "Web"), vault.CreateParams{Policy: policyFor("Unknown"), ClientRequestID: "b"}); reason(t, err) != vault.OperationInProgress {
		t.Errorf("second create: %v, want OperationInProgress", err)
	}
	again, err := h.Create(sentAs(ctx, "a"), name(t, "web"), vault.CreateParams{Policy: policyFor("Unknown"), ClientRequestID: "a"})
	if err != nil || again.RequestID != first.RequestID {
		t.Errorf("the same request again: %s, %v; want request %s", again.RequestID, err, first.RequestID)
	}
}

func TestRequestIDIsAFilter(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	n := name(t, "web")
	op := h.mustCreate("web", "Unknown")
	other := "00000000000000000000000000000000"
	for what, call := range map[string]func(string) error{
		"get":    func(id string) error { _, err := h.Operation(ctx, n, id); return err },
		"cancel": func(id string) error { _, err := h.Cancel(ctx, n, id, true); return err },
		"delete": func(id string) error { _, err := h.DeleteOperation(ctx, n, id); return err },
	} {
		if err := call(other); reason(t, err) != vault.OperationNotFound {
			t.Errorf("%s with another request_id: %v, want OperationNotFound", what, err)
		}
	}
	if _, err := h.Operation(ctx, n, op.RequestID); err != nil {
		t.Errorf("get with its own request_id: %v", err)
	}
}

func TestOldVersionIsServedMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "hold")
	ctx, n := context.Background(), name(t, "web")
	h.mustCreate("web", "Self")
	h.mustTick()
	old, err := h.Certificate(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	h.mustCreate("web", "ca")
	now, err := h.Certificate(ctx, n)
	if err != nil || now.Version != old.Version || !now.Pending || now.Policy.Issuer.Name != "ca" {
		t.Errorf("while a new version is pending the certificate is %+v, %v; want version %s, policy of the new", now, err, old.Version)
	}
	h.mustScript("ca", "issue")
	h.clock.Advance(time.Minute)
	h.mustTick()
	next, err := h.Certificate(ctx, n)
	if err != nil || next.Version == old.Version {
		t.Errorf("version is still %s, %v", next.Version, err)
	}
	list, more, err := h.Versions(ctx, n, vault.Page{Max: 25})
	if err != nil || len(list) != 2 || more != "" {
		t.Errorf("Versions = %d of them, %q, %v; want 2", len(list), more, err)
	}
}

func TestDeleteOperation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "web")
	op := h.mustCreate("web", "Unknown")
	deleted, err := h.DeleteOperation(ctx, n, op.RequestID)
	if err != nil || deleted.RequestID != op.RequestID || deleted.Status != vault.StatusInProgress {
		t.Errorf("DeleteOperation = %+v, %v", deleted, err)
	}
	if _, err := h.Operation(ctx, n, ""); reason(t, err) != vault.OperationNotFound {
		t.Errorf("get after delete: %v, want OperationNotFound", err)
	}
	if _, err := h.DeleteOperation(ctx, n, ""); reason(t, err) != vault.OperationNotFound {
		t.Errorf("deleting again: %v, want OperationNotFound", err)
	}
	if _, err := h.Create(ctx, n, vault.CreateParams{}); err != nil {
		t.Errorf("create with the stored policy: %v", err)
	}
}

func TestListPaging(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	for _, n := range []string{"a", "a-b", "b", "B2", "c"} {
		h.mustCreate(n, "Self")
	}
	h.mustCreate("never", "Unknown")
	h.mustTick()
	var got []string
	page := vault.Page{Max: 2}
	for {
		list, next, err := h.Certificates(ctx, page, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			got = append(got, c.Name)
		}
		if next == "" {
			break
		}
		page.After = next
		if next == "a-b" { // what is deleted while paging must not shift the rest
			if _, err := h.Delete(ctx, name(t, "a")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := "[a a-b b B2 c]"; fmt.Sprint(got) != want {
		t.Errorf("paged list is %v, want %s", got, want)
	}
	list, _, err := h.Certificates(ctx, vault.Page{Max: 25}, true)
	if err != nil || len(list) != 5 || list[4].Name != "never" || list[4].Attributes.Enabled {
		t.Errorf("list with pending has %d entries, %v", len(list), err)
	}
}

func TestReuseKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "web")
	pol := policyFor("Self")
	reuse, kty := true, policy.KeyEC // not from the pool: a new key must be a new one
	pol.Key = &policy.KeyParams{Reuse: &reuse, Type: &kty}
	create := func() []byte {
		op, err := h.Create(ctx, n, vault.CreateParams{Policy: pol})
		if err != nil {
			t.Fatal(err)
		}
		h.mustTick()
		csr, err := x509.ParseCertificateRequest(op.CSR)
		if err != nil {
			t.Fatal(err)
		}
		return csr.RawSubjectPublicKeyInfo
	}
	first, second := create(), create()
	if string(first) != string(second) {
		t.Error("reuse_key made a new key")
	}
	reuse = false
	if third := create(); string(third) == string(second) {
		t.Error("without reuse_key the key stayed")
	}
	// A request with the shared key that is deleted must leave the version its key.
	reuse = true
	if _, err := h.Create(ctx, n, vault.CreateParams{Policy: pol}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.DeleteOperation(ctx, n, ""); err != nil {
		t.Fatal(err)
	}
}

// TestReuseKeyOpensNothing: a key that must not be exported is not that of a version
// that may be.
func TestReuseKeyOpensNothing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ from, to, shared bool }{{true, true, true}, {true, false, true}, {false, false, true}, {false, true, false}} {
		h := newHarness(t, nil)
		create := func(exportable bool) any {
			t.Helper()
			pol := policyFor("Self")
			pol.ContentType = new(policy.ContentPEM)
			pol.Key = &policy.KeyParams{Reuse: new(true), Type: new(policy.KeyEC), Exportable: &exportable}
			if _, err := h.Create(t.Context(), name(t, "web"), vault.CreateParams{Policy: pol}); err != nil {
				t.Fatal(err)
			}
			h.mustTick()
			k, err := h.Key(t.Context(), name(t, "web"), "")
			if err != nil {
				t.Fatal(err)
			}
			if parsed := parsePEM(t, string(h.mustSecret("web", "").Value)); parsed.key == nil == exportable {
				t.Errorf("%+v: the secret of an exportable key (%t) has it: %t", test, exportable, parsed.key != nil)
			}
			return k.Public
		}
		first, second := create(test.from), create(test.to)
		if policy.SamePublicKey(first, second) != test.shared {
			t.Errorf("%+v: the key is shared: %t", test, !test.shared)
		}
	}
}
