package golden_test

// The program of today reads what 0.1.0 stored, and goes on with it.

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/pkcs12"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/google/go-cmp/cmp"
)

// TestReadsOld reads everything in the fixture.
func TestReadsOld(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	w := f.open(t)
	ctx := t.Context()
	statuses := make(map[string]vault.Status)
	for _, n := range f.names(live...) {
		c, err := w.Certificate(ctx, w.name(n))
		w.must("reading "+n, err)
		if c.Policy == nil || c.Policy.Issuer.Name == "" {
			t.Errorf("%s has no policy", n)
		}
		versions, _, err := w.Versions(ctx, w.name(n), vault.Page{Max: 10})
		w.must("listing versions of "+n, err)
		for _, v := range versions {
			w.checkVersion(n, v)
		}
		if c.Pending {
			statuses[n] = w.storedOperation(n)
		}
	}
	want := map[string]vault.Status{
		"acme": "inProgress", "advised": "completed", "approval": "inProgress", "asked": "inProgress", "cancelled": "cancelled",
		"corp1": "inProgress", "corp2": "inProgress", "corp3": "inProgress", "doubled": "inProgress", "failed": "failed",
		"locked": "completed", "ordered": "inProgress", "ordering": "inProgress", "paused": "inProgress",
		"pending": "inProgress", "refused": "inProgress", "renewing": "inProgress", "reused": "inProgress", "unlucky": "failed", "web": "completed",
	}
	if diff := cmp.Diff(want, statuses); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	web, err := w.Certificate(ctx, w.name("web"))
	w.must("reading web", err)
	if web.Name != "Web" || web.Tags["team"] != "golden" || web.PreserveOrder == nil || !*web.PreserveOrder || web.Policy.X509.SANs.UPNs[0] != "ada@corp.example.com" {
		t.Errorf("web is %+v with the policy %+v", web, web.Policy)
	}
	w.readRest(f)
}

// storedOperation is the status of an operation as the board shows it, which
// takes no step.
func (w *world) storedOperation(n string) vault.Status {
	w.t.Helper()
	e, err := w.OperationEntry(w.t.Context(), w.name(n), "")
	w.must("reading the operation of "+n, err)
	return e.Status
}

// checkVersion reads a version and signs with its key; where it may leave, the
// key is in the secret too.
func (w *world) checkVersion(n string, v vault.Certificate) {
	t, ctx := w.t, w.t.Context()
	t.Helper()
	c, err := w.CertificateVersion(ctx, w.name(n), v.Version)
	w.must("reading a version of "+n, err)
	leaf, err := x509.ParseCertificate(c.Leaf)
	w.must("reading a leaf of "+n, err)
	secret, err := w.Secret(ctx, w.name(n), v.Version, nil)
	if !c.Attributes.Enabled {
		if e := (*vault.Error)(nil); !errors.As(err, &e) || e.Reason != vault.SecretDisabled {
			t.Errorf("the secret of a disabled version of %s: %v", n, err)
		}
		return
	}
	w.must("reading a secret of "+n, err)
	if key := secretKey(t, secret); key != nil && !leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
		t.Errorf("the secret of %s has another key", n)
	} else if (key == nil) != (n == "locked") {
		t.Errorf("the secret of %s has the key %T", n, key)
	}
	if w.clock.Now().After(leaf.NotAfter) {
		return // its key signs no more
	}
	switch public := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		digest := sha256.Sum256([]byte("golden"))
		_, signature, err := w.Sign(ctx, w.name(n), v.Version, "RS256", digest[:])
		w.must("signing with the key of "+n, err)
		w.must("verifying", rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature))
	case *ecdsa.PublicKey:
		sum256, sum384 := sha256.Sum256([]byte("golden")), sha512.Sum384([]byte("golden"))
		algorithm, digest := "ES256", sum256[:]
		if public.Params().BitSize == 384 {
			algorithm, digest = "ES384", sum384[:]
		}
		_, signature, err := w.Sign(ctx, w.name(n), v.Version, algorithm, digest)
		w.must("signing with the key of "+n, err)
		half := len(signature) / 2
		if !ecdsa.Verify(public, digest, new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])) {
			t.Errorf("the signature of %s is wrong", n)
		}
	}
}

// secretKey is the private key in a secret, nil when it has none.
func secretKey(t *testing.T, s vault.Secret) crypto.Signer {
	t.Helper()
	var key any
	var err error
	if s.ContentType == policy.ContentPKCS12 {
		file, decodeErr := pkcs12.Decode(t.Context(), s.Value, "")
		if decodeErr != nil {
			t.Fatal(decodeErr)
		}
		if len(file.Keys) == 0 {
			return nil
		}
		key, err = x509.ParsePKCS8PrivateKey(file.Keys[0].PKCS8)
	} else {
		block, _ := pem.Decode(s.Value)
		if block.Type != "PRIVATE KEY" {
			return nil
		}
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key.(crypto.Signer)
}

// readRest reads what belongs to no certificate, or to one that is not live.
func (w *world) readRest(f *fixture) {
	t, ctx := w.t, w.t.Context()
	deleted, _, err := w.DeletedCertificates(ctx, vault.Page{Max: 10}, true)
	w.must("listing deleted certificates", err)
	if len(deleted) != 1 || deleted[0].Name != "deleted" || deleted[0].Deletion == nil {
		t.Errorf("deleted are %+v", deleted)
	}
	_, err = w.Deleted(ctx, w.name("deleted"))
	w.must("reading a deleted certificate", err)

	contents := w.store.Contents()
	issuers, _, err := w.Issuers(ctx, vault.Page{Max: 100})
	w.must("listing issuers", err)
	var paused []string
	for _, i := range issuers {
		if i.Pause != nil {
			paused = append(paused, i.Name+" by "+i.Pause.By)
		}
	}
	if diff := cmp.Diff([]string{"Corp by breaker", "Paused by operator"}, paused); diff != "" || len(issuers) != len(ids(contents, "i:")) {
		t.Errorf("%d issuers, paused (-want +got):\n%s", len(issuers), diff)
	}
	contacts, err := w.Contacts(ctx)
	w.must("reading contacts", err)
	if diff := cmp.Diff([]vault.Contact{{Email: "ada@example.com", Name: "Ada", Phone: "5550100"}, {Email: "bob@example.com"}}, contacts); diff != "" {
		t.Errorf("contacts (-want +got):\n%s", diff)
	}
	work := make(map[vault.Work]int)
	for _, e := range w.board() {
		work[e.Work]++
	}
	if diff := cmp.Diff(map[vault.Work]int{vault.WorkOperation: 16, vault.WorkRelease: 3, vault.WorkRevocation: 2}, work); diff != "" {
		t.Errorf("work on the board (-want +got):\n%s", diff)
	}
	dead := 0
	undelivered := w.undelivered()
	for _, u := range undelivered {
		if u.Reason == vault.DeadRefused || u.Reason == vault.DeadTooOld {
			dead++
		}
	}
	if len(undelivered) != len(ids(contents, "e:")) || dead == 0 || dead == len(undelivered) {
		t.Errorf("%d undelivered events, %d of them given up", len(undelivered), dead)
	}
	var revocations []vault.Status
	for _, id := range ids(contents, "w:revoked:") {
		r, err := w.Revocation(ctx, w.name("revoked"), id)
		w.must("reading a revocation", err)
		revocations = append(revocations, r.Status)
	}
	slices.Sort(revocations)
	if diff := cmp.Diff([]vault.Status{vault.StatusCompleted, vault.StatusFailed, vault.StatusInProgress}, revocations); diff != "" {
		t.Errorf("revocations (-want +got):\n%s", diff)
	}
	for _, id := range ids(contents, "a:") {
		der, err := w.accounts.Load(ctx, id)
		w.must("loading an account", err)
		if _, err := x509.ParsePKCS8PrivateKey(der); err != nil {
			t.Errorf("the key of an account: %v", err)
		}
	}
	challenge, err := acme.Challenges{Store: w.store}.Get(ctx, "golden-token")
	w.must("reading a challenge", err)
	if challenge != "golden-token.thumbprint" {
		t.Errorf("the challenge is %q", challenge)
	}
	crl, err := w.corp.CRL(ctx)
	w.must("reading the CRL", err)
	if len(crl.RevokedCertificateEntries) != 1 {
		t.Errorf("the CRL has %d entries", len(crl.RevokedCertificateEntries))
	}
	for sealed := range w.sealer.opened {
		if !slices.Contains(f.Sealed, sealed) {
			t.Errorf("opened %q, under which 0.1.0 sealed nothing", sealed)
		}
	}
}

// TestAdvancesOld lets time pass over the fixture, with CAs that answer.
func TestAdvancesOld(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	w := f.open(t)
	ctx := t.Context()
	w.tellable = true
	w.ca.set(func() { w.ca.issue = true })
	ordered, err := w.OperationEntry(ctx, w.name("ordered"), "")
	w.must("reading the operation of ordered", err)
	if ordered.Provider != "digicert" {
		t.Errorf("ordered at %s", ordered.Provider)
	}
	w.orders.set(func() {
		w.orders.issue = true
		w.orders.csrs = certificateRequests(w.operation("ordered").CSR)
	})
	for _, issuer := range []string{"Fickle", "Slow", "Holding", "Stubborn", "Rejecting", "Revoker", "Keeper"} {
		_, err := w.UpdateIssuer(ctx, issuerName(t, issuer), vault.IssuerSet{Org: &vault.OrgParams{ID: new("issue")}})
		w.must("updating the issuer "+issuer, err)
	}
	_, err = w.ResumeIssuer(ctx, issuerName(t, "Paused"))
	w.must("resuming an issuer", err)
	for _, id := range ids(w.store.Contents(), "w:revoked:") { // the one that was given up
		_, err := w.Revoke(ctx, w.name("revoked"), id, 4)
		w.must("revoking", err)
	}
	for _, e := range w.board() {
		if e.Work == vault.WorkRelease && e.Status == vault.StatusFailed {
			_, err := w.RetryRelease(ctx, w.name(e.Name), e.RequestID)
			w.must("retrying a release", err)
		}
	}
	_, err = w.RetryOperation(ctx, w.name("failed"), "", "")
	w.must("retrying an operation", err)
	for _, u := range w.undelivered() {
		if !u.GivenUp.IsZero() {
			_, err := w.RetryEvent(ctx, vault.Delivery{EventID: u.Event.ID, Destination: u.Destination})
			w.must("retrying an event", err)
		}
	}
	w.merge("pending")

	w.pass(2*time.Hour, 10*time.Minute)
	for _, n := range []string{"approval", "corp1", "corp2", "corp3", "doubled", "failed", "ordered", "ordering", "paused", "pending", "refused", "renewing", "reused", "unlucky"} {
		w.mustBe(n, vault.StatusCompleted)
	}
	w.mustBe("asked", vault.StatusCancelled)
	w.mustBe("acme", vault.StatusInProgress) // its CA cannot be reached
	contents := w.store.Contents()
	for what, prefixes := range map[string][]string{
		"a purge has not ended":               {"c:purging", "v:purging", "k:purging"},
		"a broken restore was not taken back": {"c:restoring", "v:restoring", "k:restoring"},
		"a release has not ended":             {"r:"},
		"an event was not delivered":          {"e:"},
	} {
		for _, p := range prefixes {
			if left := ids(contents, p); len(left) > 0 {
				t.Errorf("%s: %s%v", what, p, left)
			}
		}
	}
	for name := range contents.Blobs {
		if strings.HasPrefix(name, "purging/") || strings.HasPrefix(name, "restoring/") {
			t.Errorf("the blob %s is left", name)
		}
	}
	if accounts := ids(contents, "a:"); len(accounts) != 2 { // of the private CA and at the ACME server
		t.Errorf("keys of the accounts %v: others were made than those of 0.1.0", accounts)
	}
	for _, id := range ids(contents, "w:revoked:") {
		if r, err := w.Revocation(ctx, w.name("revoked"), id); err != nil || r.Status != vault.StatusCompleted {
			t.Errorf("a revocation is %s (%v)", r.Status, err)
		}
	}
	w.renew()
}

// merge completes an operation by hand.
func (w *world) merge(n string) {
	w.t.Helper()
	csr, err := x509.ParseCertificateRequest(w.operation(n).CSR)
	w.must("reading a CSR", err)
	leaf := w.ca.certify(csr.PublicKey, n, w.clock.Now(), 300*day)
	c, err := w.Merge(w.t.Context(), w.name(n), vault.MergeParams{X5C: []string{base64.StdEncoding.EncodeToString(leaf.Raw)}})
	w.must("merging", err)
	if c.Tags["waits"] != "for a person" || c.Attributes.Enabled {
		w.t.Errorf("the merged version has the tags %v and is enabled: %t", c.Tags, c.Attributes.Enabled)
	}
}

// certificateRequests are CSRs in PEM.
func certificateRequests(ders ...[]byte) (list []string) {
	for _, der := range ders {
		list = append(list, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	}
	return list
}

// pass lets time pass with a tick in every step.
func (w *world) pass(d, step time.Duration) {
	w.t.Helper()
	for end := w.clock.Now().Add(d); w.clock.Now().Before(end); {
		w.clock.advance(step)
		if report := w.tick(); report.Failed > 0 {
			w.t.Errorf("the tick reports %+v", report)
		}
	}
}

// renew lets most of a year pass. What 0.1.0 issued is renewed, what it deleted is
// purged.
func (w *world) renew() {
	t, ctx := w.t, w.t.Context()
	renewed := []string{"web", "locked", "advised"}
	old := make(map[string]string)
	for _, n := range renewed {
		c, err := w.Certificate(ctx, w.name(n))
		w.must("reading "+n, err)
		old[n] = c.Version
	}
	w.pass(330*day, 3*day)
	for _, n := range renewed {
		versions, _, err := w.Versions(ctx, w.name(n), vault.Page{Max: 50})
		w.must("listing versions of "+n, err)
		if !slices.ContainsFunc(versions, func(v vault.Certificate) bool { return v.Previous == old[n] }) {
			t.Errorf("%s was not renewed", n)
		}
	}
	for _, r := range w.store.Contents().Rows {
		if strings.Contains(r.Key, ":deleted") {
			t.Errorf("the deleted certificate still has %s", r.Key)
		}
	}
}

// TestRestoresOld backs certificates of the fixture up and restores them, and
// restores the backup that 0.1.0 made.
func TestRestoresOld(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	w := f.open(t)
	ctx := t.Context()
	_, err := w.Recover(ctx, w.name("deleted"))
	w.must("recovering", err)
	for _, n := range append(f.names("certificate", "certificate open", "certificate failed"), "deleted") {
		before := w.history(n)
		blob := w.backUp(n)
		if n == "web" {
			blob = f.Backup
		}
		_, err := w.Delete(ctx, w.name(n))
		w.must("deleting "+n, err)
		w.must("purging "+n, w.Purge(ctx, w.name(n)))
		_, err = w.Restore(ctx, blob)
		w.must("restoring "+n, err)
		after := w.history(n)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s (-before +after):\n%s", n, diff)
		}
		for _, v := range after {
			w.checkVersion(n, v)
		}
	}
	if !bytes.HasPrefix(f.Backup, []byte("\x1dCertwrightCertificateBackupV1")) {
		t.Errorf("the backup begins with %q", f.Backup[:32])
	}
}

// TestDueTimes restores certificates into an empty vault, which works out from
// their heads alone when what is due: at the times that 0.1.0 wrote.
func TestDueTimes(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	old := f.open(t)
	empty := newWorld(t, new(memoryStore), f.Now, 3, nil)
	names := []string{"locked", "merged", "pfx", "revoked", "web"}
	due := func(w *world) (keys []string) {
		for _, r := range w.store.Contents().Rows {
			if name := strings.Split(r.Key, ":"); name[0] == "d" && len(name) == 5 && slices.Contains(names, name[3]) {
				keys = append(keys, r.Key+" ["+r.Label+"]")
			}
		}
		return keys
	}
	for _, n := range names {
		_, err := empty.Restore(t.Context(), old.backUp(n))
		empty.must("restoring "+n, err)
	}
	want := due(old)
	if len(want) < 2*len(names) {
		t.Errorf("0.1.0 wrote only %q", want)
	}
	if diff := cmp.Diff(want, due(empty)); diff != "" {
		t.Errorf("due rows (-0.1.0 +today):\n%s", diff)
	}
}

// history are the versions of a certificate but for whether something is pending,
// which a backup leaves out.
func (w *world) history(n string) []vault.Certificate {
	w.t.Helper()
	versions, _, err := w.Versions(w.t.Context(), w.name(n), vault.Page{Max: 50})
	w.must("listing versions of "+n, err)
	for i := range versions {
		versions[i].Pending = false
	}
	return versions
}
