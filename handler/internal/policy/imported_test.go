package policy_test

// Policies of imported certificates.

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
)

// imported is a certificate to import, made from a template.
func imported(t rapid.TB, template *x509.Certificate) (policy.KeyProperties, *x509.Certificate) {
	t.Helper()
	key := certtest.Keys["P-256"]()
	leaf := certtest.NewCA(t, "Root", nil).Issue(t, template, key.Public())
	properties, err := policy.KeyPropertiesOf(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return properties, leaf
}

func TestImportedPolicyDefaults(t *testing.T) {
	t.Parallel()
	key, leaf := imported(t, certtest.Leaf("example.com"))
	got, err := policy.Imported(nil, leaf, key, policy.ContentPEM, certtest.Time)
	want := policy.Policy{
		Key:         policy.KeyProperties{Exportable: true, Type: policy.KeyEC, Size: 256, Curve: "P-256"},
		ContentType: policy.ContentPEM,
		X509: policy.X509Properties{
			Subject:        "CN=example.com",
			EKUs:           []string{},
			KeyUsage:       []string{},
			ValidityMonths: 3,
		},
		LifetimeActions: []policy.LifetimeAction{{Percentage: 80, Action: policy.ActionEmailContacts}},
		Issuer:          policy.IssuerParameters{Name: policy.IssuerUnknown},
		Enabled:         true,
		Created:         certtest.Time,
		Updated:         certtest.Time,
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, differs by\n%s", err, diff)
	}
}

// TestImportedPolicyAsSent: what the certificate does not show is kept as sent,
// what it shows is not, even if it could not be in a policy.
func TestImportedPolicyAsSent(t *testing.T) {
	t.Parallel()
	key, leaf := imported(t, certtest.Leaf("example.com"))
	got, err := policy.Imported(&policy.Params{
		Key:             &policy.KeyParams{Exportable: new(false), Reuse: new(true), Type: new("RSA"), Size: new(7)},
		ContentType:     new(policy.ContentPKCS12),
		X509:            &policy.X509Params{Subject: new("no subject"), ValidityMonths: new(-1), KeyUsage: []string{"none"}},
		LifetimeActions: []policy.LifetimeAction{{DaysBefore: 81, Action: "autorenew"}},
		Issuer:          &policy.IssuerParams{Name: new("self"), CertificateType: new("OV-SSL")},
		Enabled:         new(false),
	}, leaf, key, policy.ContentPEM, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	if want := (policy.KeyProperties{Exportable: false, Type: policy.KeyEC, Size: 256, Curve: "P-256", Reuse: true}); got.Key != want {
		t.Errorf("key properties %+v, want %+v", got.Key, want)
	}
	if got.ContentType != policy.ContentPKCS12 || got.Enabled || got.Issuer.Name != "self" || got.Issuer.CertificateType != "OV-SSL" {
		t.Errorf("policy %+v", got)
	}
	if want := []policy.LifetimeAction{{DaysBefore: 81, Action: policy.ActionAutoRenew}}; !slices.Equal(got.LifetimeActions, want) {
		t.Errorf("lifetime actions %v", got.LifetimeActions)
	}
	if got.X509.Subject != "CN=example.com" || got.X509.ValidityMonths != 3 || len(got.X509.KeyUsage) != 0 {
		t.Errorf("X.509 properties %+v", got.X509)
	}
	for _, sent := range []policy.Params{
		{ContentType: new("text/plain")},
		{Issuer: &policy.IssuerParams{Name: new("a b")}},
		{LifetimeActions: []policy.LifetimeAction{{DaysBefore: 82, Action: policy.ActionAutoRenew}}}, // of 3 months
	} {
		var e *field.Error
		if _, err := policy.Imported(&sent, leaf, key, policy.ContentPEM, certtest.Time); !errors.As(err, &e) {
			t.Errorf("%+v: %v, want BadParameter", sent, err)
		}
	}
}

func TestImportedPolicyHSM(t *testing.T) {
	t.Parallel()
	key, leaf := imported(t, certtest.Leaf("example.com"))
	for sent, want := range map[string]string{"EC-HSM": policy.KeyECHSM, "ec-hsm": policy.KeyECHSM, "RSA-HSM": policy.KeyEC, "": policy.KeyEC} {
		got, err := policy.Imported(&policy.Params{Key: &policy.KeyParams{Type: &sent, Exportable: new(true)}}, leaf, key, policy.ContentPEM, certtest.Time)
		if err != nil || got.Key.Type != want || got.Key.Exportable != (want == policy.KeyEC) {
			t.Errorf("%q: %+v, %v, want %s", sent, got.Key, err, want)
		}
	}
}

// TestImportedSubjectRoundTrip: a renewal asks for the name that was imported,
// byte for byte.
func TestImportedSubjectRoundTrip(t *testing.T) {
	t.Parallel()
	subject := pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "US"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 8}, Value: "WA"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 7}, Value: "Redmond"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Noodle, Inc."}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "a.example.com"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "b"}},
		{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("x@example.com")}}},
	}
	der, err := asn1.Marshal(subject)
	if err != nil {
		t.Fatal(err)
	}
	const want = `E=x@example.com, OU=b + CN=a.example.com, O="Noodle, Inc.", L=Redmond, S=WA, C=US`
	got, err := policy.FormatSubject(der)
	if err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	again, err := policy.ParseSubject(got)
	if err != nil || !bytes.Equal(again, der) {
		t.Errorf("a renewal would ask for %x, %v, want %x", again, err, der)
	}
}

func TestValidityMonths(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	from := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		notAfter time.Time
		want     int
	}{
		{from.Add(time.Minute), 1},
		{from.Add(28 * day), 1},                   // 28 February
		{from.AddDate(0, 2, 0).Add(-31 * day), 1}, // 28 February
		{time.Date(2026, 3, 31, 12, 0, 0, 0, from.Location()), 2},
		{from.AddDate(1, 0, 0), 12},
		{from.AddDate(1, 0, 0).Add(time.Second), 13},
		{from.AddDate(5, 0, 0).Add(10 * time.Minute), 61}, // as recorded
		{from.AddDate(100, 0, 0), 1200},                   // as recorded
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), 1200},
		{from, 1},
		{from.Add(-day), 1},
	} {
		if got := policy.ValidityMonths(from, c.notAfter); got != c.want {
			t.Errorf("to %s: %d months, want %d", c.notAfter, got, c.want)
		}
	}
}

// TestX509PropertiesOfForeignNames: what a policy cannot say is left out.
func TestX509PropertiesOfForeignNames(t *testing.T) {
	t.Parallel()
	san := func(values ...asn1.RawValue) pkix.Extension {
		der, err := asn1.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		return pkix.Extension{Id: asn1.ObjectIdentifier(policy.OIDSubjectAltName), Value: der}
	}
	registered := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{42, 3}}
	other := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: []byte{6, 2, 42, 3, 0xa0, 2, 5, 0}}
	dns := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("a_b.example.com")}
	for _, c := range []struct {
		extension pkix.Extension
		want      *policy.SANs
	}{
		{san(registered, other), nil},
		{san(registered, dns, other), &policy.SANs{DNSNames: []string{"a_b.example.com"}, Emails: []string{}, UPNs: []string{}}},
	} {
		template := certtest.Leaf("example.com")
		template.ExtraExtensions = []pkix.Extension{c.extension}
		_, leaf := imported(t, template)
		x, err := policy.X509PropertiesOf(leaf)
		if diff := cmp.Diff(c.want, x.SANs); err != nil || diff != "" {
			t.Errorf("%v, differs by\n%s", err, diff)
		}
	}
}

// TestX509PropertiesOfPolicies: a certificate that was made by a policy has this
// policy when it is imported.
func TestX509PropertiesOfPolicies(t *testing.T) {
	t.Parallel()
	key := certtest.Keys["P-256"]()
	ca := certtest.NewCA(t, "Root", nil)
	rapid.Check(t, func(t *rapid.T) {
		p := policies().Draw(t, "policy").X509
		der, err := policy.NewCSR(policy.Policy{X509: p}, key)
		if err != nil {
			t.Fatal(err)
		}
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		template, err := policy.Template(csr, p, certtest.Time, []byte{1}, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template.SerialNumber = big.NewInt(1)
		got, err := policy.X509PropertiesOf(ca.Issue(t, template, key.Public()))
		if err != nil {
			t.Fatal(err)
		}
		p.ValidityMonths = min(p.ValidityMonths+1, policy.MaxValidityMonths) // the ten minutes before
		if p.SANs.Count() == 0 {
			p.SANs = nil
		} else {
			for i, ip := range p.SANs.IPAddresses {
				p.SANs.IPAddresses[i] = canonicalIP(t, ip)
			}
		}
		if diff := cmp.Diff(p, got, equalWhenEmpty); diff != "" {
			t.Fatalf("(-policy +certificate):\n%s", diff)
		}
	})
}

func canonicalIP(t rapid.TB, ip string) string {
	t.Helper()
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}
