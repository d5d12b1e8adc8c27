package vault_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

// signed is a certificate that a CA somewhere made from a CSR: base64 of DER.
func signed(t testing.TB, csr []byte, serial int64) string {
	t.Helper()
	req, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sign(t, req.PublicKey, caKey, serial))
}

func sign(t testing.TB, pub any, caKey crypto.Signer, serial int64) []byte {
	t.Helper()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "example.com"},
		NotBefore:    time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, pub, caKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

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
	first, err := h.Create(ctx, name(t, "web"), vault.CreateParams{Policy: policyFor("Unknown"), ClientRequestID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Create(ctx, name(t, "Web"), vault.CreateParams{Policy: policyFor("Unknown"), ClientRequestID: "b"}); reason(t, err) != vault.OperationInProgress {
		t.Errorf("second create: %v, want OperationInProgress", err)
	}
	again, err := h.Create(ctx, name(t, "web"), vault.CreateParams{Policy: policyFor("Unknown"), ClientRequestID: "a"})
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

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"Self", "Unknown", "holder"} {
		t.Run(issuer, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			h.mustScript("holder", "hold")
			ctx, n := context.Background(), name(t, "web")
			h.mustCreate("web", issuer)
			op, err := h.Cancel(ctx, n, "", true)
			if err != nil || !op.CancellationRequested || op.Status != vault.StatusInProgress {
				t.Fatalf("Cancel = %+v, %v; want the flag set and still inProgress", op, err)
			}
			if op := h.mustOperation("web"); op.Status != vault.StatusInProgress {
				t.Errorf("status right after the cancellation is %s", op.Status)
			}
			h.clock.Advance(2 * time.Second)
			h.mustTick()
			if op := h.mustOperation("web"); op.Status != vault.StatusCancelled || !op.CancellationRequested {
				t.Errorf("operation after the next step is %s, flag %v; want cancelled, true", op.Status, op.CancellationRequested)
			}
			if _, err := h.Cancel(ctx, n, "", true); reason(t, err) != vault.OperationNotInProgress {
				t.Errorf("cancelling again: %v, want OperationNotInProgress", err)
			}
			c, err := h.Certificate(ctx, n)
			if err != nil || c.Leaf != nil || c.Attributes.Enabled {
				t.Errorf("the certificate is %+v, %v; want a shell", c, err)
			}
		})
	}
}

func TestCancelOnPoll(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"Self", "Unknown"} {
		h := newHarness(t, nil)
		h.mustCreate("web", issuer)
		if _, err := h.Cancel(context.Background(), name(t, "web"), "", true); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(2 * time.Second)
		if op := h.mustOperation("web"); op.Status != vault.StatusCancelled {
			t.Errorf("issuer %s: status on the next poll is %s, want cancelled", issuer, op.Status)
		}
	}
}

func TestCancellationTakenBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "web")
	h.mustCreate("web", "Self")
	for _, wish := range []bool{true, false} {
		if _, err := h.Cancel(ctx, n, "", wish); err != nil {
			t.Fatal(err)
		}
	}
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted || op.CancellationRequested {
		t.Errorf("operation is %s, flag %v; want completed, false", op.Status, op.CancellationRequested)
	}
}

func TestIssuerThatIgnoresCancellation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("stubborn", "ignore-cancel issue-after=30s")
	h.mustCreate("web", "stubborn")
	if _, err := h.Cancel(context.Background(), name(t, "web"), "", true); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(5 * time.Second)
	h.mustTick()
	h.clock.Advance(time.Minute)
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted || !op.CancellationRequested {
		t.Errorf("operation is %s, flag %v; want completed, true", op.Status, op.CancellationRequested)
	}
}

func TestScriptReleasesWhatIsHeld(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]vault.Operation{
		"issue":               {Status: vault.StatusCompleted},
		"reject=no such host": {Status: vault.StatusFailed, Error: &vault.OperationError{Code: "Request rejected", Message: "no such host"}},
		"error=out of order":  {Status: vault.StatusFailed, Error: &vault.OperationError{Code: "Certificate issuer error", Message: "out of order"}},
	} {
		h := newHarness(t, nil)
		h.mustScript("ca", "hold")
		h.mustCreate("web", "ca")
		h.mustTick()
		if op := h.mustOperation("web"); op.Status != vault.StatusInProgress {
			t.Fatalf("held operation is %s", op.Status)
		}
		if _, err := h.UpdateIssuer(context.Background(), issuerName(t, "CA"), vault.IssuerSet{Org: &vault.OrganizationDetails{ID: script}}); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(time.Minute)
		h.mustTick()
		op := h.mustOperation("web")
		if op.Status != want.Status || (op.Error == nil) != (want.Error == nil) || op.Error != nil && *op.Error != *want.Error {
			t.Errorf("script %q: operation is %s, error %+v", script, op.Status, op.Error)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "web")
	if _, err := h.Merge(ctx, n, vault.MergeParams{X5C: []string{"MIIC"}}); reason(t, err) != vault.BadParameter {
		t.Errorf("merge of garbage: %v, want BadParameter", err)
	}
	op := h.mustCreate("web", "Unknown")
	x5c := []string{signed(t, op.CSR, 7)}
	disabled := false
	cert, err := h.Merge(ctx, n, vault.MergeParams{X5C: x5c, Tags: map[string]string{"a": "b"}, Attributes: vault.AttributeParams{Enabled: &disabled}})
	if err != nil {
		t.Fatal(err)
	}
	if base64.StdEncoding.EncodeToString(cert.Leaf) != x5c[0] || cert.Tags["a"] != "b" || cert.Attributes.Enabled || !cert.Pending || cert.Policy == nil {
		t.Errorf("merged certificate is %+v", cert)
	}
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted {
		t.Errorf("operation is %s after the merge", op.Status)
	}
	if _, err := h.Merge(ctx, n, vault.MergeParams{X5C: x5c}); reason(t, err) != vault.BadParameter {
		t.Errorf("merging again: %v, want BadParameter", err)
	}
	if _, err := h.Merge(ctx, name(t, "none"), vault.MergeParams{X5C: x5c}); reason(t, err) != vault.OperationNotFound {
		t.Errorf("merge without an operation: %v, want OperationNotFound", err)
	}
}

func TestMergeOfAnotherKeyChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustCreate("web", "Unknown")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(h.store.Contents())
	x5c := []string{base64.StdEncoding.EncodeToString(sign(t, key.Public(), key, 3))}
	if _, err := h.Merge(context.Background(), name(t, "web"), vault.MergeParams{X5C: x5c}); reason(t, err) != vault.BadParameter {
		t.Errorf("merge of another key's certificate: %v, want BadParameter", err)
	}
	if after := fmt.Sprint(h.store.Contents()); after != before {
		t.Error("the refused merge changed the store")
	}
}

func TestMergeWhileAnIssuerWorks(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "hold")
	ctx, n := context.Background(), name(t, "web")
	op := h.mustCreate("web", "ca")
	x5c := []string{signed(t, op.CSR, 7)}
	_, err := h.Merge(ctx, n, vault.MergeParams{X5C: x5c})
	if reason(t, err) != vault.MergeForbidden || err.(*vault.Error).Issuer != "ca" {
		t.Errorf("merge while the issuer works: %v, want MergeForbidden by ca", err)
	}
	h.mustScript("ca", "reject=later")
	h.clock.Advance(time.Minute)
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusFailed {
		t.Fatalf("operation is %s", op.Status)
	}
	if _, err := h.Merge(ctx, n, vault.MergeParams{X5C: x5c}); err != nil {
		t.Errorf("merge after the request was rejected: %v", err)
	}
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted || op.Error != nil {
		t.Errorf("operation is %s, error %v", op.Status, op.Error)
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

func TestDeleteRecoverPurge(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "Web")
	h.mustCreate("Web", "Self")
	h.mustTick()
	cert, err := h.Certificate(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	deleted, err := h.Delete(ctx, n)
	if err != nil || deleted.Deletion == nil || deleted.Version != cert.Version {
		t.Fatalf("Delete = %+v, %v", deleted, err)
	}
	if got := deleted.Deletion.PurgeAt.Sub(deleted.Deletion.At); got != 90*24*time.Hour {
		t.Errorf("purge is scheduled after %s", got)
	}
	for what, err := range map[string]error{
		"get":    second(h.Certificate(ctx, n)),
		"delete": second(h.Delete(ctx, n)),
	} {
		if reason(t, err) != vault.CertificateNotFound {
			t.Errorf("%s of a deleted certificate: %v, want CertificateNotFound", what, err)
		}
	}
	if _, err := h.Create(ctx, n, vault.CreateParams{Policy: policyFor("Self")}); reason(t, err) != vault.DeletedButRecoverable {
		t.Errorf("create on a deleted name: %v, want DeletedButRecoverable", err)
	}
	list, _, err := h.DeletedCertificates(ctx, vault.Page{Max: 25}, false)
	if err != nil || len(list) != 1 || list[0].Version != cert.Version || list[0].Name != "Web" || list[0].Deletion == nil {
		t.Errorf("DeletedCertificates = %+v, %v", list, err)
	}
	if list, _, err := h.Certificates(ctx, vault.Page{Max: 25}, true); err != nil || len(list) != 0 {
		t.Errorf("Certificates = %d, %v; want none", len(list), err)
	}
	recovered, err := h.Recover(ctx, n)
	if err != nil || recovered.Version != cert.Version || recovered.Deletion != nil {
		t.Errorf("Recover = %+v, %v", recovered, err)
	}
	if _, err := h.Delete(ctx, n); err != nil {
		t.Fatal(err)
	}
	if err := h.Purge(ctx, n); err != nil {
		t.Fatal(err)
	}
	if left := h.store.Contents(); len(left.Blobs) != 0 || len(left.Rows) != 1 {
		t.Errorf("after the purge %d rows and %d blobs are left; want the heartbeat alone", len(left.Rows), len(left.Blobs))
	}
	if _, err := h.Deleted(ctx, n); reason(t, err) != vault.DeletedNotFound {
		t.Errorf("get deleted after the purge: %v, want DeletedNotFound", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestScheduledPurge(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "web")
	h.mustCreate("web", "Self")
	h.mustTick()
	if _, err := h.Delete(ctx, n); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(90*24*time.Hour - time.Minute)
	h.mustTick()
	if _, err := h.Deleted(ctx, n); err != nil {
		t.Errorf("a minute before its purge date: %v", err)
	}
	h.clock.Advance(time.Minute)
	h.mustTick()
	if left := h.store.Contents(); len(left.Rows) != 1 {
		t.Errorf("after the purge date %d rows are left", len(left.Rows))
	}
}

func TestDeleteEndsTheOperation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "hold")
	ctx, n := context.Background(), name(t, "web")
	h.mustCreate("web", "ca")
	h.mustTick()
	if _, err := h.Delete(ctx, n); err != nil {
		t.Fatal(err)
	}
	h.mustScript("ca", "issue")
	h.clock.Advance(time.Hour)
	h.mustTick()
	if _, err := h.Recover(ctx, n); err != nil {
		t.Fatal(err)
	}
	if op := h.mustOperation("web"); op.Status != vault.StatusCancelled {
		t.Errorf("operation of a recovered certificate is %s, want cancelled", op.Status)
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

func TestUnknownIssuerIsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	if _, err := h.Create(ctx, name(t, "web"), vault.CreateParams{Policy: policyFor("nobody")}); reason(t, err) != vault.BadParameter {
		t.Errorf("create with an issuer that does not exist: %v, want BadParameter", err)
	}
	provider := "Nonesuch"
	if _, err := h.SetIssuer(ctx, issuerName(t, "ca"), vault.IssuerSet{Provider: &provider}); reason(t, err) != vault.BadParameter {
		t.Errorf("issuer of an unknown provider: %v, want BadParameter", err)
	}
	if len(h.store.Contents().Rows) != 0 {
		t.Error("refused requests left rows behind")
	}
}

func TestIssuerObjects(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), issuerName(t, "ca")
	provider, account, password := "Test", "account", "hunter2-not-a-real-secret"
	set := vault.IssuerSet{Provider: &provider, AccountID: &account, Password: &password}
	if _, err := h.SetIssuer(ctx, n, set); err != nil {
		t.Fatal(err)
	}
	for _, r := range h.store.Contents().Rows {
		if contains(r.Doc, password) || contains(r.Doc, base64.StdEncoding.EncodeToString([]byte(password))) {
			t.Errorf("row %s holds the password unsealed", r.Key)
		}
	}
	updated, err := h.UpdateIssuer(ctx, n, vault.IssuerSet{Org: &vault.OrganizationDetails{ID: "issue"}})
	if err != nil || updated.AccountID != account || updated.Org.ID != "issue" || updated.Password != "" {
		t.Errorf("UpdateIssuer = %+v, %v", updated, err)
	}
	got, err := h.Issuer(ctx, n)
	if err != nil || got.Password != "" || got.Provider != provider {
		t.Errorf("Issuer = %+v, %v", got, err)
	}
	list, next, err := h.Issuers(ctx, vault.Page{Max: 25})
	if err != nil || len(list) != 1 || next != "" {
		t.Errorf("Issuers = %v, %q, %v", list, next, err)
	}
	deleted, err := h.DeleteIssuer(ctx, n)
	if err != nil || deleted.Org.ID != "issue" {
		t.Errorf("DeleteIssuer = %+v, %v", deleted, err)
	}
	for what, err := range map[string]error{
		"get":    second(h.Issuer(ctx, n)),
		"update": second(h.UpdateIssuer(ctx, n, vault.IssuerSet{})),
		"delete": second(h.DeleteIssuer(ctx, n)),
	} {
		if reason(t, err) != vault.IssuerNotFound {
			t.Errorf("%s after delete: %v, want IssuerNotFound", what, err)
		}
	}
}

func contains(b []byte, s string) bool { return strings.Contains(string(b), s) }

func TestIssuerReplacedUnderAnOperation(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*harness){
		"deleted": func(h *harness) {
			if _, err := h.DeleteIssuer(context.Background(), issuerName(h.t, "ca")); err != nil {
				h.t.Fatal(err)
			}
		},
		"deleted and set again": func(h *harness) {
			if _, err := h.DeleteIssuer(context.Background(), issuerName(h.t, "ca")); err != nil {
				h.t.Fatal(err)
			}
			h.mustScript("ca", "issue")
		},
	} {
		h := newHarness(t, nil)
		h.mustScript("ca", "hold")
		h.mustCreate("web", "ca")
		change(h)
		h.clock.Advance(time.Minute)
		h.mustTick()
		op := h.mustOperation("web")
		if op.Status != vault.StatusFailed || op.Error == nil || op.Error.Code != vault.CodeIssuerError {
			t.Errorf("issuer %s: operation is %s, error %+v", what, op.Status, op.Error)
		}
	}
}

func TestReuseKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "web")
	policy := policyFor("Self")
	reuse, kty := true, vault.KeyEC // not from the pool: a new key must be a new one
	policy.Key = &vault.KeyParams{Reuse: &reuse, Type: &kty}
	create := func() []byte {
		op, err := h.Create(ctx, n, vault.CreateParams{Policy: policy})
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
	if _, err := h.Create(ctx, n, vault.CreateParams{Policy: policy}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.DeleteOperation(ctx, n, ""); err != nil {
		t.Fatal(err)
	}
}
