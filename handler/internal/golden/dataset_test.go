package golden_test

// The data set: a certificate in every state that can be reached without a
// network, and every other kind of row.

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/vault"
)

func name(t *testing.T, s string) vault.Name {
	t.Helper()
	n, err := vault.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func issuerName(t *testing.T, s string) vault.Name {
	t.Helper()
	n, err := vault.ParseIssuerName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *world) name(s string) vault.Name { return name(w.t, s) }

// must fails the test for an error; what names the step.
func (w *world) must(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// setIssuer sets an issuer object. script is the id of its organization, account
// and password may be empty.
func (w *world) setIssuer(issuer, ca, script, account, password string) {
	w.t.Helper()
	set := vault.IssuerSet{Provider: &ca}
	if script != "" || account != "" {
		set.Org = &vault.OrgParams{ID: &script}
	}
	if account != "" {
		set.AccountID, set.Password = &account, &password
		set.Org.Admins = []provider.AdminDetails{{FirstName: "Ada", LastName: "Example", Email: "ada@example.com", Phone: "5550100"}}
	}
	_, err := w.SetIssuer(w.t.Context(), issuerName(w.t, issuer), set)
	w.must("setting issuer "+issuer, err)
}

// policyFor is a policy for an EC key and without extended key usages, which makes
// little data. Without actions it is told to contacts near its end, which was the
// default for issuer objects in 0.1.0.
func policyFor(subject, issuer string, months int, actions ...policy.LifetimeAction) *policy.Params {
	if actions == nil && issuer != policy.IssuerSelf {
		actions = []policy.LifetimeAction{{Percentage: 80, Action: policy.ActionEmailContacts}}
	}
	return &policy.Params{
		Key:             &policy.KeyParams{Type: new(policy.KeyEC)},
		X509:            &policy.X509Params{Subject: new("CN=" + subject), EKUs: []string{}, KeyUsage: []string{"digitalSignature"}, ValidityMonths: &months},
		Issuer:          &policy.IssuerParams{Name: &issuer},
		LifetimeActions: actions,
	}
}

// create begins an operation for a policy of a year, or of the given one.
func (w *world) create(n, issuer string, p *policy.Params) {
	w.t.Helper()
	if p == nil {
		p = policyFor(n+".example.com", issuer, 12)
	}
	_, err := w.Create(w.t.Context(), w.name(n), vault.CreateParams{Policy: p})
	w.must("creating "+n, err)
}

// tick moves the clock beyond the least age of operations and does what is due.
func (w *world) tick() vault.Tick {
	w.t.Helper()
	w.clock.advance(3 * time.Second)
	report, err := w.Advance(w.t.Context())
	w.must("ticking", err)
	return report
}

func (w *world) operation(n string) vault.Operation {
	w.t.Helper()
	op, err := w.Operation(w.t.Context(), w.name(n), "")
	w.must("reading the operation of "+n, err)
	return op
}

func (w *world) mustBe(n string, status vault.Status) {
	w.t.Helper()
	if op := w.operation(n); op.Status != status {
		w.t.Fatalf("the operation of %s is %s, want %s: %+v", n, op.Status, status, op.Error)
	}
}

// build makes the data set. It returns a backup of the certificate web.
func (w *world) build() []byte {
	w.setUp()
	w.early()
	w.clock.advance(18 * day)
	w.versions()
	w.brought()
	w.ended()
	w.revocations()
	w.releases()
	w.failing()
	w.waiting()
	w.removed()
	return w.backUp("web")
}

func (w *world) backUp(n string) []byte {
	w.t.Helper()
	blob, err := w.Backup(w.t.Context(), w.name(n))
	w.must("backing up "+n, err)
	return blob
}

// setUp sets contacts, issuers, and what providers keep.
func (w *world) setUp() {
	ctx := w.t.Context()
	_, err := w.SetContacts(ctx, []vault.Contact{{Email: "ada@example.com", Name: "Ada", Phone: "5550100"}, {Email: "bob@example.com"}})
	w.must("setting contacts", err)
	w.setIssuer("Fickle", "Test", "issue", "", "")
	w.setIssuer("Slow", "Test", "issue", "", "")
	w.setIssuer("Holding", "Test", "hold", "", "")
	w.setIssuer("Stubborn", "Test", "hold ignore-cancel", "", "")
	w.setIssuer("Rejecting", "Test", "reject=no", "", "")
	w.setIssuer("Advised", "Advised", "issue", "", "")
	w.setIssuer("Corp", "Corp", "", "", "")
	w.setIssuer("Hook", "Webhook", "", "golden-key", "golden, no secret")
	w.setIssuer("Acme", "Acme", "", "golden-account", "Z29sZGVu")
	w.setIssuer("Orders", "DigiCert", "17", "golden-account", "golden, no secret")
	_, err = w.UpdateIssuer(ctx, issuerName(w.t, "Orders"), vault.IssuerSet{Enabled: new(true)})
	w.must("updating an issuer", err)
	w.setIssuer("Disabled", "Test", "issue", "", "")
	_, err = w.UpdateIssuer(ctx, issuerName(w.t, "Disabled"), vault.IssuerSet{Enabled: new(false)})
	w.must("disabling an issuer", err)
	w.setIssuer("Paused", "Test", "issue", "", "")
	_, err = w.PauseIssuer(ctx, issuerName(w.t, "Paused"), start.Add(60*day), "maintenance")
	w.must("pausing an issuer", err)
	w.must("publishing a challenge", acme.Challenges{Store: w.store}.Put(ctx, "golden-token", "golden-token.thumbprint"))
}

// early makes certificates of one month, of which the renewals are due next: one
// is refused, one begins and does not end.
func (w *world) early() {
	soon := policy.LifetimeAction{Percentage: 50, Action: policy.ActionAutoRenew}
	w.create("unlucky", "Fickle", policyFor("unlucky.example.com", "Fickle", 1, soon))
	w.create("renewing", "Slow", policyFor("renewing.example.com", "Slow", 1, soon))
	w.create("advised", "Advised", policyFor("advised.example.com", "Advised", 12, soon))
	w.tick()
	for _, n := range []string{"unlucky", "renewing", "advised"} {
		w.mustBe(n, vault.StatusCompleted)
	}
	w.setIssuer("Fickle", "Test", "reject=not again", "", "")
	w.setIssuer("Slow", "Test", "hold", "", "")
}

// versions makes certificates of Self: with two versions and a full policy,
// with one key for all versions, with a key that stays.
func (w *world) versions() {
	ctx := w.t.Context()
	full := &policy.Params{
		Key:         &policy.KeyParams{Exportable: new(true), Type: new(policy.KeyEC), Size: new(384), Curve: new("P-384"), Reuse: new(false)},
		ContentType: new(policy.ContentPEM),
		X509: &policy.X509Params{
			Subject: new("CN=web.example.com, O=Golden"),
			SANs: &policy.SANs{
				DNSNames: []string{"web.example.com"}, Emails: []string{"ada@example.com"}, UPNs: []string{"ada@corp.example.com"},
				URIs: []string{"spiffe://example.com/web"}, IPAddresses: []string{"192.0.2.1"},
			},
			EKUs: []string{"1.3.6.1.5.5.7.3.1"}, KeyUsage: []string{"digitalSignature", "keyCertSign"}, ValidityMonths: new(12), CA: new(true),
		},
		LifetimeActions: []policy.LifetimeAction{{Percentage: 80, Action: policy.ActionAutoRenew}},
		Issuer:          &policy.IssuerParams{Name: new("Self"), CertificateType: new("golden"), Transparency: new(true)},
		Enabled:         new(true),
	}
	w.create("locked", "Self", &policy.Params{
		Key: &policy.KeyParams{Type: new(policy.KeyECHSM)}, X509: &policy.X509Params{Subject: new("CN=locked")}, Issuer: &policy.IssuerParams{Name: new("Self")},
	})
	reused := policyFor("reused.example.com", "Self", 12)
	reused.Key.Reuse = new(true)
	for i := range 2 {
		_, err := w.Create(ctx, w.name("Web"), vault.CreateParams{
			Policy: full, Tags: map[string]string{"team": "golden"}, PreserveOrder: new(true), ClientRequestID: "client-" + string(rune('a'+i)),
		})
		w.must("creating web", err)
		w.create("reused", "Self", reused)
		w.tick()
		w.mustBe("web", vault.StatusCompleted)
	}
	latest, err := w.Certificate(ctx, w.name("web"))
	w.must("reading web", err)
	_, err = w.UpdateVersion(ctx, w.name("web"), latest.Previous, vault.UpdateParams{
		Attributes: vault.AttributeParams{Enabled: new(false)}, Tags: map[string]string{"old": "yes"},
	})
	w.must("disabling a version", err)
	reused.Issuer.Name = new("Holding")
	reused.LifetimeActions = []policy.LifetimeAction{{Percentage: 80, Action: policy.ActionEmailContacts}} // as in policyFor
	w.create("reused", "Holding", reused)
}

// brought are certificates from elsewhere: merged, and imported in both forms.
func (w *world) brought() {
	ctx, now := w.t.Context(), w.clock.Now()
	elsewhere := newSigner(w.t, now)
	w.create("merged", policy.IssuerUnknown, nil)
	csr, err := x509.ParseCertificateRequest(w.operation("merged").CSR)
	w.must("reading a CSR", err)
	leaf := elsewhere.certify(csr.PublicKey, "merged.example.com", now, 300*day)
	_, err = w.Merge(ctx, w.name("merged"), vault.MergeParams{
		X5C:  []string{base64.StdEncoding.EncodeToString(leaf.Raw), base64.StdEncoding.EncodeToString(elsewhere.root.Raw)},
		Tags: map[string]string{"from": "elsewhere"},
	})
	w.must("merging", err)
	_, err = w.DeleteOperation(ctx, w.name("merged"), "")
	w.must("deleting an operation that is complete", err)

	rsaKey, err := policy.GenerateKey(policy.KeyProperties{Type: policy.KeyRSA, Size: 2048})
	w.must("making a key", err)
	leaf = elsewhere.certify(rsaKey.Public(), "pfx.example.com", now, 300*day)
	pfx, err := pkcs12.Modern.Encode(rsaKey, leaf, []*x509.Certificate{elsewhere.root}, "golden")
	w.must("making a PFX", err)
	_, err = w.Import(ctx, w.name("pfx"), vault.ImportParams{Value: base64.StdEncoding.EncodeToString(pfx), Password: "golden"})
	w.must("importing a PFX", err)

	// This one expires at once: both events about it have happened.
	ecKey, err := policy.GenerateKey(policy.KeyProperties{Type: policy.KeyEC, Curve: "P-256"})
	w.must("making a key", err)
	der, err := x509.MarshalPKCS8PrivateKey(ecKey)
	w.must("encoding a key", err)
	leaf = elsewhere.certify(ecKey.Public(), "pem.example.com", now, time.Minute)
	value := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})) + strings.Join(certificatePEM(leaf, elsewhere.root), "")
	_, err = w.Import(ctx, w.name("pem"), vault.ImportParams{
		Value: value, Tags: map[string]string{"form": "pem"}, PreserveOrder: new(true),
		Policy: &policy.Params{ContentType: new(policy.ContentPEM), Issuer: &policy.IssuerParams{Name: new(policy.IssuerUnknown)}},
	})
	w.must("importing PEM", err)
	w.clock.advance(time.Minute)
	w.tick()
}

// ended are operations without a certificate, and one that its CA goes on with.
func (w *world) ended() {
	ctx := w.t.Context()
	w.create("failed", "Rejecting", nil)
	w.create("cancelled", "Holding", nil)
	w.create("refused", "Stubborn", nil)
	for _, n := range []string{"cancelled", "refused"} {
		_, err := w.Cancel(ctx, w.name(n), "", true)
		w.must("cancelling "+n, err)
	}
	w.tick()
	w.mustBe("failed", vault.StatusFailed)
	w.mustBe("cancelled", vault.StatusCancelled)
	w.mustBe("refused", vault.StatusInProgress)
	w.mustBe("unlucky", vault.StatusFailed)
	w.mustBe("renewing", vault.StatusInProgress)
}

// revocations are one that is done, one that is tried and one that was given up,
// each of a version of one certificate.
func (w *world) revocations() {
	for _, r := range []struct{ issuer, provider, script string }{
		{"Corp", "Corp", ""},
		{"Revoker", "Test", "error=not now"},
		{"Keeper", "Test", "reject=never"},
	} {
		if r.script != "" {
			w.setIssuer(r.issuer, r.provider, "issue", "", "")
		}
		w.create("revoked", r.issuer, nil)
		w.tick()
		w.mustBe("revoked", vault.StatusCompleted)
		if r.script != "" {
			w.setIssuer(r.issuer, r.provider, r.script, "", "")
		}
		c, err := w.Certificate(w.t.Context(), w.name("revoked"))
		w.must("reading a version to revoke", err)
		_, err = w.Revoke(w.t.Context(), w.name("revoked"), c.Version, 4)
		w.must("revoking", err)
		w.tick()
	}
	_, err := w.DeleteOperation(w.t.Context(), w.name("revoked"), "")
	w.must("deleting an operation that is complete", err)
}

// releases are what ended operations of the certificate left had at the webhook's
// CA: one is tried, one was given up, one is being run. Another operation holds
// what a lost step left.
func (w *world) releases() {
	ctx := w.t.Context()
	w.create("doubled", "Hook", nil)
	w.ca.set(func() {
		w.ca.onPost = func() {
			w.clock.advance(2 * time.Minute) // this step is slower than its claim
			_, err := w.AdvanceOperation(ctx, w.name("doubled"), "")
			if err != nil {
				w.t.Errorf("overtaking a step: %v", err)
			}
		}
	})
	w.tick()
	w.ca.set(func() { w.ca.keeps = true })
	for _, how := range []string{"tried", "given up", "interrupted"} {
		w.create("left", "Hook", nil)
		w.tick()
		op, err := w.DeleteOperation(ctx, w.name("left"), "")
		w.must("deleting an operation", err)
		switch how {
		case "tried":
			w.tick()
		case "given up":
			_, err = w.GiveUpRelease(ctx, w.name("left"), op.RequestID)
			w.must("giving a release up", err)
		case "interrupted":
			w.ca.set(func() { w.ca.onTake = func() { w.store.set(func() { w.store.down = true }) } })
			if _, err := w.AdvanceRelease(ctx, w.name("left"), op.RequestID); err == nil {
				w.t.Error("a release without a store succeeded")
			}
			w.store.set(func() { w.store.down = false })
		}
	}
}

// failing are operations whose CAs cannot be reached; one of the CAs is paused
// for it. Of two orders at DigiCert one is placed and one may be.
func (w *world) failing() {
	w.keyAway = true
	for _, n := range []string{"corp1", "corp2", "corp3"} {
		w.create(n, "Corp", nil)
	}
	w.create("acme", "Acme", nil)
	w.create("ordered", "Orders", nil)
	w.tick()
	w.orders.set(func() { w.orders.lost = true })
	w.create("ordering", "Orders", nil)
	w.tick()
}

// waiting are operations that are in progress: for a person, at a CA, at an
// issuer that is paused, before the first step, about to be cancelled.
func (w *world) waiting() {
	ctx := w.t.Context()
	w.create("approval", "Hook", nil)
	w.tick()
	w.create("pending", policy.IssuerUnknown, nil)
	w.clock.advance(2 * time.Second)
	_, err := w.UpdateVersion(ctx, w.name("pending"), "", vault.UpdateParams{
		Attributes: vault.AttributeParams{Enabled: new(false)}, Tags: map[string]string{"waits": "for a person"},
	})
	w.must("updating a pending certificate", err)
	w.create("paused", "Paused", nil)
	w.create("asked", "Holding", nil)
	_, err = w.Cancel(ctx, w.name("asked"), "", true)
	w.must("asking for a cancellation", err)
}

// removed are certificates that are deleted, in the middle of a purge, and in the
// middle of a restore.
func (w *world) removed() {
	ctx := w.t.Context()
	for _, n := range []string{"deleted", "purging", "restoring"} {
		w.create(n, "Self", nil)
		w.clock.advance(3 * time.Second)
		w.mustBe(n, vault.StatusCompleted) // a poll takes the step
	}
	blob := w.backUp("restoring")
	_, err := w.DeleteOperation(ctx, w.name("purging"), "")
	w.must("deleting an operation that is complete", err)
	for _, n := range []string{"deleted", "purging", "restoring"} {
		_, err := w.Delete(ctx, w.name(n))
		w.must("deleting "+n, err)
	}
	w.must("purging", w.Purge(ctx, w.name("restoring")))
	w.store.set(func() { w.store.noDelete = true })
	w.must("purging", w.Purge(ctx, w.name("purging")))
	w.store.set(func() { w.store.noDelete = false; w.store.noPut = true })
	if _, err := w.Restore(context.WithoutCancel(ctx), blob); err == nil {
		w.t.Error("a restore without a store succeeded")
	}
	w.store.set(func() { w.store.noPut, w.store.down = false, false })
}
