package vault_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// issueFat is issueFrom with an extension of so many bytes in the leaf.
func issueFat(t testing.TB, req provider.Request, from time.Time, size int) provider.Outcome {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		t.Fatal(err)
	}
	value, err := asn1.Marshal(make([]byte, size))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: from.Add(90 * day),
		ExtraExtensions: append(csr.Extensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: value}),
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "A CA"}}
	der, err := x509.CreateCertificate(zeros{}, template, parent, csr.PublicKey, ellipticKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	return provider.Issued([][]byte{der})
}

// longURIs are alternative names of about so many bytes, of characters that HTML
// would have escaped.
func longURIs(bytes int) *policy.SANs {
	sans := new(policy.SANs)
	for i := 0; bytes > 0; i++ {
		n := min(bytes, 1400)
		sans.URIs = append(sans.URIs, fmt.Sprintf("https://example.com/%d?%s", i, strings.Repeat("&", n)))
		bytes -= n
	}
	return sans
}

func longTags(character string) map[string]string {
	tags := make(map[string]string)
	for i := range 15 {
		tags[fmt.Sprintf("%02d%s", i, strings.Repeat(character, 254))] = strings.Repeat(character, 256)
	}
	return tags
}

// TestWhatIsAskedForCanBeKept: what create and the changes after it accept completes,
// with the largest certificate that a CA may return and the largest state of its
// provider; all else is refused as the caller's mistake.
func TestWhatIsAskedForCanBeKept(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what    string
		sans    *policy.SANs
		tags    map[string]string
		refused bool
	}{
		{"15 kB of ampersands, and tags of them", longURIs(15_000), longTags("&"), false},
		{"26 kB of ampersands", longURIs(26_000), nil, false},
		{"31 kB of ampersands", longURIs(31_000), nil, true},
		{"20 kB, and tags of four bytes each", longURIs(20_000), longTags("𝔸"), true},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			p := new(stepping)
			h := newHarness(t, map[string]provider.Provider{"ca": p})
			issued := 0
			p.step = func(_ context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
				if state == nil {
					return json.RawMessage(`"` + strings.Repeat("x", provider.MaxState-2) + `"`), provider.Pending(time.Time{}, strings.Repeat(`"`, 3000))
				}
				issued++
				return state, issueFat(t, req, h.clock.Now(), 31<<10)
			}
			h.mustSetIssuer("ca", "ca")
			pol := renewed("ca", policy.LifetimeAction{Percentage: 80})
			pol.X509.SANs = test.sans
			_, err := h.Create(t.Context(), name(t, "web"), vault.CreateParams{Policy: pol, Tags: test.tags})
			if test.refused {
				if reason(t, err) != vault.BadParameter {
					t.Errorf("create: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			h.clock.Advance(2 * time.Second)
			h.mustTick()
			first := h.mustCertificate("web")
			if op := h.mustOperation("web"); op.Status != vault.StatusCompleted || issued != 1 {
				t.Fatalf("%s after %d certificates: %v", op.Status, issued, op.Error)
			}
			h.until(h.clock.Now().Add(80 * day)) // and so does the renewal
			if h.mustCertificate("web").Version == first.Version || issued != 2 {
				t.Errorf("not renewed: %d certificates", issued)
			}
		})
	}
}

// TestWhatCannotBeKeptFailsOnce: a CA returns more than can be stored. It is not
// asked again and again.
func TestWhatCannotBeKeptFailsOnce(t *testing.T) {
	t.Parallel()
	fat := func(size int) func(testing.TB, provider.Request, time.Time) provider.Outcome {
		return func(t testing.TB, req provider.Request, now time.Time) provider.Outcome {
			return issueFat(t, req, now, size)
		}
	}
	// Four CAs, one below the other, whose certificates have 250 kB each.
	var cas []*certifier
	value, err := asn1.Marshal(make([]byte, 250<<10))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		ca := newCertifier(t, fmt.Sprint("CA ", i), nil)
		template := &x509.Certificate{
			Subject: ca.Subject, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: value}},
		}
		parent := ca
		if i > 0 {
			parent = cas[0]
		}
		cas = append([]*certifier{{parent.certify(t, template, ca.key.Public()), ca.key}}, cas...)
	}
	long := func(t testing.TB, req provider.Request, _ time.Time) provider.Outcome {
		csr, err := x509.ParseCertificateRequest(req.CSR)
		if err != nil {
			t.Fatal(err)
		}
		leaf := cas[0].certify(t, &x509.Certificate{Subject: csr.Subject}, csr.PublicKey)
		return provider.Issued(append([][]byte{leaf.Raw}, raw(cas...)...))
	}
	for what, answer := range map[string]func(testing.TB, provider.Request, time.Time) provider.Outcome{
		"a leaf larger than a row":   fat(200 << 10),
		"a leaf larger than allowed": fat(34 << 10),
		"a chain larger than a blob": long,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p, issued := new(releasing), 0
			h := newHarness(t, map[string]provider.Provider{"ca": p})
			p.step = func(_ context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
				issued++
				return json.RawMessage(`"order"`), answer(t, req, h.clock.Now())
			}
			released := 0
			p.release = func(provider.Request, json.RawMessage) error { released++; return nil }
			h.mustSetIssuer("ca", "ca")
			h.mustCreate("web", "ca")
			for range 60 {
				h.clock.Advance(2 * time.Minute)
				h.mustTick()
			}
			op := h.mustOperation("web")
			if op.Status != vault.StatusFailed || issued != 1 || op.Error.Code != provider.CodeIssuerError || released != 1 {
				t.Errorf("two hours later %s, %d certificates, %d released, %+v", op.Status, issued, released, op.Error)
			}
			if n := len(h.store.Contents().Blobs); n != 0 {
				t.Errorf("%d blobs are left", n)
			}
		})
	}
}

// TestMergeTooLarge: nobody can merge what cannot be stored, and it is the caller's
// mistake.
func TestMergeTooLarge(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	op := h.mustCreate("web", "Unknown")
	out := issueFat(t, provider.Request{CSR: op.CSR}, h.clock.Now(), 180<<10)
	_, err := h.Merge(t.Context(), name(t, "web"), vault.MergeParams{X5C: []string{base64.StdEncoding.EncodeToString(out.Chain[0])}})
	if reason(t, err) != vault.BadParameter {
		t.Errorf("%v", err)
	}
}

// TestTooLargeForARow: objects within the limits of their fields are stored, or
// refused as the caller's mistake, which no client sends again.
func TestTooLargeForARow(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	admins := func(n int) *vault.OrgParams {
		org := new(vault.OrgParams)
		text := strings.Repeat("<", 1000)
		for range n {
			org.Admins = append(org.Admins, provider.AdminDetails{FirstName: text, LastName: text, Email: text, Phone: text})
		}
		return org
	}
	for n, want := range map[int]vault.Reason{50: 0, 100: vault.BadParameter} {
		_, err := h.SetIssuer(t.Context(), issuerName(t, "big"), vault.IssuerSet{Provider: new("Test"), Org: admins(n)})
		if reason(t, err) != want {
			t.Errorf("%d administrators: %v", n, err)
		}
	}
	var contacts []vault.Contact
	for range 100 {
		contacts = append(contacts, vault.Contact{Email: strings.Repeat("<", 320), Name: strings.Repeat("&", 320), Phone: strings.Repeat(">", 320)})
	}
	if _, err := h.SetContacts(t.Context(), contacts); err != nil {
		t.Errorf("contacts within all limits: %v", err)
	}
	for i := range contacts {
		contacts[i] = vault.Contact{Email: strings.Repeat(`"`, 320), Name: strings.Repeat(`\`, 320), Phone: strings.Repeat(`"`, 320)}
	}
	if _, err := h.SetContacts(t.Context(), contacts); err != nil { // twice as long in JSON
		t.Errorf("contacts in quotes: %v", err)
	}
	for _, r := range h.store.Contents().Rows {
		if strings.Contains(string(r.Doc), `\u003c`) {
			t.Errorf("row %s is escaped as for HTML", r.Key)
		}
	}
	if got := len(store.NewRow("k", "", "<&>\u2028").Doc); got != len(`"<&>\u2028"`) {
		t.Errorf("a text of 4 characters takes %d bytes", got)
	}
}

// TestUpdatesLeaveRoom: what is changed while a CA is at work must not make its
// answer too large.
func TestUpdatesLeaveRoom(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "hold")
	pol := policyFor("ca")
	pol.X509.SANs = longURIs(20_000)
	if _, err := h.Create(t.Context(), name(t, "web"), vault.CreateParams{Policy: pol}); err != nil {
		t.Fatal(err)
	}
	_, err := h.UpdateVersion(t.Context(), name(t, "web"), "", vault.UpdateParams{Tags: longTags("𝔸")})
	if reason(t, err) != vault.BadParameter {
		t.Errorf("tags: %v", err)
	}
	if _, err := h.UpdateVersion(t.Context(), name(t, "web"), "", vault.UpdateParams{Tags: map[string]string{"team": "web"}}); err != nil {
		t.Errorf("a tag: %v", err)
	}
	_, err = h.UpdatePolicy(t.Context(), name(t, "web"), policy.Params{X509: &policy.X509Params{SANs: longURIs(31_900), Subject: pol.X509.Subject}})
	if err == nil {
		_, err = h.UpdatePolicy(t.Context(), name(t, "web"), policy.Params{X509: &policy.X509Params{SANs: longURIs(32_000), Subject: pol.X509.Subject}})
	}
	if err != nil && reason(t, err) != vault.BadParameter {
		t.Errorf("policy: %v", err)
	}
}
