package policy

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
)

// imported is a certificate to import, made from a template.
func imported(t rapid.TB, template *x509.Certificate) (KeyProperties, *x509.Certificate) {
	t.Helper()
	key := certtest.Keys["P-256"]()
	leaf := certtest.NewCA(t, "Root", nil).Issue(t, template, key.Public())
	properties, err := KeyPropertiesOf(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return properties, leaf
}

func TestImportedPolicyDefaults(t *testing.T) {
	t.Parallel()
	key, leaf := imported(t, certtest.Leaf("example.com"))
	got, err := Imported(nil, leaf, key, ContentPEM, certtest.Time)
	want := Policy{
		Key:         KeyProperties{Exportable: true, Type: KeyEC, Size: 256, Curve: "P-256"},
		ContentType: ContentPEM,
		X509: X509Properties{
			Subject:        "CN=example.com",
			EKUs:           []string{},
			KeyUsage:       []string{},
			ValidityMonths: 3,
		},
		LifetimeActions: []LifetimeAction{{Percentage: 80, Action: ActionEmailContacts}},
		Issuer:          IssuerParameters{Name: IssuerUnknown},
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
	got, err := Imported(&Params{
		Key:             &KeyParams{Exportable: new(false), Reuse: new(true), Type: new("RSA"), Size: new(7)},
		ContentType:     new(ContentPKCS12),
		X509:            &X509Params{Subject: new("no subject"), ValidityMonths: new(-1), KeyUsage: []string{"none"}},
		LifetimeActions: []LifetimeAction{{DaysBefore: 81, Action: "autorenew"}},
		Issuer:          &IssuerParams{Name: new("self"), CertificateType: new("OV-SSL")},
		Enabled:         new(false),
	}, leaf, key, ContentPEM, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	if want := (KeyProperties{Exportable: false, Type: KeyEC, Size: 256, Curve: "P-256", Reuse: true}); got.Key != want {
		t.Errorf("key properties %+v, want %+v", got.Key, want)
	}
	if got.ContentType != ContentPKCS12 || got.Enabled || got.Issuer.Name != "self" || got.Issuer.CertificateType != "OV-SSL" {
		t.Errorf("policy %+v", got)
	}
	if want := []LifetimeAction{{DaysBefore: 81, Action: ActionAutoRenew}}; !slices.Equal(got.LifetimeActions, want) {
		t.Errorf("lifetime actions %v", got.LifetimeActions)
	}
	if got.X509.Subject != "CN=example.com" || got.X509.ValidityMonths != 3 || len(got.X509.KeyUsage) != 0 {
		t.Errorf("X.509 properties %+v", got.X509)
	}
	for _, sent := range []Params{
		{ContentType: new("text/plain")},
		{Issuer: &IssuerParams{Name: new("a b")}},
		{LifetimeActions: []LifetimeAction{{DaysBefore: 82, Action: ActionAutoRenew}}}, // of 3 months
	} {
		var e *field.Error
		if _, err := Imported(&sent, leaf, key, ContentPEM, certtest.Time); !errors.As(err, &e) {
			t.Errorf("%+v: %v, want BadParameter", sent, err)
		}
	}
}

func TestImportedPolicyHSM(t *testing.T) {
	t.Parallel()
	key, leaf := imported(t, certtest.Leaf("example.com"))
	for sent, want := range map[string]string{"EC-HSM": KeyECHSM, "ec-hsm": KeyECHSM, "RSA-HSM": KeyEC, "": KeyEC} {
		got, err := Imported(&Params{Key: &KeyParams{Type: &sent, Exportable: new(true)}}, leaf, key, ContentPEM, certtest.Time)
		if err != nil || got.Key.Type != want || got.Key.Exportable != (want == KeyEC) {
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
	got, err := FormatSubject(der)
	if err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	again, err := parseSubject(got)
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
		if got := validityMonths(from, c.notAfter); got != c.want {
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
		return pkix.Extension{Id: asn1.ObjectIdentifier(OidSubjectAltName), Value: der}
	}
	registered := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{42, 3}}
	other := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: []byte{6, 2, 42, 3, 0xa0, 2, 5, 0}}
	dns := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("a_b.example.com")}
	for _, c := range []struct {
		extension pkix.Extension
		want      *SANs
	}{
		{san(registered, other), nil},
		{san(registered, dns, other), &SANs{DNSNames: []string{"a_b.example.com"}, Emails: []string{}, UPNs: []string{}}},
	} {
		template := certtest.Leaf("example.com")
		template.ExtraExtensions = []pkix.Extension{c.extension}
		_, leaf := imported(t, template)
		x, err := x509PropertiesOf(leaf)
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
		der, err := NewCSR(Policy{X509: p}, key)
		if err != nil {
			t.Fatal(err)
		}
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		template, err := Template(csr, p, certtest.Time, []byte{1}, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template.SerialNumber = big.NewInt(1)
		got, err := x509PropertiesOf(ca.Issue(t, template, key.Public()))
		if err != nil {
			t.Fatal(err)
		}
		p.ValidityMonths = min(p.ValidityMonths+1, maxValidityMonths) // the ten minutes before
		if p.SANs.count() == 0 {
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
