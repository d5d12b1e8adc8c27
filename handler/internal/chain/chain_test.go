package chain

// The order of chains, and what is accepted from a CA.

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
)

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

func TestOrderChain(t *testing.T) {
	t.Parallel()
	pub := certtest.Keys["P-256"]().Public()
	root := certtest.NewCA(t, "Root", nil)
	middle := certtest.NewCA(t, "Intermediate", root)
	issuing := certtest.NewCA(t, "Issuing", middle)
	leaf := issuing.Issue(t, certtest.Leaf("example.com"), pub)
	older := certtest.Leaf("example.com")
	older.NotBefore = older.NotBefore.Add(-time.Second)
	old := issuing.Issue(t, older, pub)
	caTemplate := certtest.Leaf("CA of the same key")
	caTemplate.IsCA, caTemplate.BasicConstraintsValid, caTemplate.NotBefore = true, true, certtest.Time.Add(time.Hour)
	asCA := root.Issue(t, caTemplate, pub)
	stranger := certtest.NewCA(t, "Stranger", nil).Cert
	namesake := certtest.NewCA(t, "Issuing", root).Cert // another key
	renewed := certtest.NewCA(t, "Root", nil).Cert
	selfSigned := (&certtest.CA{Cert: certtest.Leaf("self"), Key: certtest.Keys["P-256"]()}).Issue(t, certtest.Leaf("self"), pub)

	for _, c := range []struct {
		name string
		want []*x509.Certificate
	}{
		{"leaf alone", []*x509.Certificate{leaf}},
		{"whole chain", []*x509.Certificate{leaf, issuing.Cert, middle.Cert, root.Cert}},
		{"without root", []*x509.Certificate{leaf, issuing.Cert, middle.Cert}},
		{"self-signed", []*x509.Certificate{selfSigned}},
		{"a gap", []*x509.Certificate{leaf, issuing.Cert, root.Cert}},
	} {
		permute(c.want, func(in []*x509.Certificate) {
			if got, err := Order(in, pub); err != nil || !slices.EqualFunc(got, c.want, (*x509.Certificate).Equal) {
				t.Errorf("%s: %s, %v, want %s", c.name, namesOf(got), err, namesOf(c.want))
			}
		})
	}
	// Of what is not in the chain, the given order stays.
	for _, c := range []struct{ in, want []*x509.Certificate }{
		{
			[]*x509.Certificate{stranger, root.Cert, asCA, leaf, issuing.Cert, old, middle.Cert},
			[]*x509.Certificate{leaf, issuing.Cert, middle.Cert, root.Cert, stranger, asCA, old},
		},
		{
			[]*x509.Certificate{asCA, old, leaf},
			[]*x509.Certificate{leaf, asCA, old},
		},
		{
			[]*x509.Certificate{namesake, issuing.Cert, leaf},
			[]*x509.Certificate{leaf, issuing.Cert, namesake},
		},
		{
			[]*x509.Certificate{namesake, leaf},
			[]*x509.Certificate{leaf, namesake},
		},
		{
			[]*x509.Certificate{root.Cert, asCA},
			[]*x509.Certificate{asCA, root.Cert},
		},
		{ // a renewed root has its predecessor's name
			[]*x509.Certificate{stranger, renewed, root.Cert, asCA},
			[]*x509.Certificate{asCA, root.Cert, stranger, renewed},
		},
	} {
		before := slices.Clone(c.in)
		if got, err := Order(c.in, pub); err != nil || !slices.EqualFunc(got, c.want, (*x509.Certificate).Equal) {
			t.Errorf("%s became %s, %v, want %s", namesOf(c.in), namesOf(got), err, namesOf(c.want))
		}
		if !slices.Equal(before, c.in) {
			t.Error("the caller's list was changed")
		}
	}
	// Of two leaves that differ in nothing but their bytes, the order does not decide.
	twin := issuing.Issue(t, certtest.Leaf("example.com"), pub)
	a, err := Order([]*x509.Certificate{leaf, twin}, pub)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := Order([]*x509.Certificate{twin, leaf}, pub); err != nil || !a[0].Equal(b[0]) {
		t.Errorf("the leaf depends on the order: %v", err)
	}
}

func TestOrderChainMismatch(t *testing.T) {
	t.Parallel()
	root := certtest.NewCA(t, "Root", nil)
	leaf := root.Issue(t, certtest.Leaf("example.com"), certtest.Keys["P-384"]().Public())
	pub := certtest.Keys["P-256"]().Public()
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range [][]*x509.Certificate{{leaf}, {root.Cert, leaf}} {
		_, err = Order(in, pub)
		var e *field.Error
		if !errors.As(err, &e) || e.Field != "" {
			t.Fatalf("%v", err)
		}
		want := "The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid." +
			" SHA-256 of the public keys: " + fingerprint(leaf.RawSubjectPublicKeyInfo) + " in the certificate, " + fingerprint(spki) + " expected."
		if e.Detail != want {
			t.Errorf("%s\nwant\n%s", e.Detail, want)
		}
	}
}

func TestCheckIssued(t *testing.T) {
	t.Parallel()
	key := certtest.Keys["P-256"]()
	root := certtest.NewCA(t, "Root", nil)
	issuing := certtest.NewCA(t, "Issuing", root)
	other := certtest.NewCA(t, "Issuing", root)
	p, err := policy.New(policy.Params{X509: &policy.X509Params{
		Subject: new("CN=WWW.Example.com, O=Contoso"),
		SANs: &policy.SANs{
			DNSNames:    []string{"a.example.com", "*.b.example.com"},
			Emails:      []string{"Ada@example.com"},
			UPNs:        []string{"ada@corp"},
			URIs:        []string{"https://example.com/A"},
			IPAddresses: []string{"2001:0db8::1", "192.0.2.1"},
		},
	}}, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := policy.NewCSR(p, key)
	if err != nil {
		t.Fatal(err)
	}
	mustURL := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	upn := func(name string) pkix.Extension {
		p, err := policy.New(policy.Params{X509: &policy.X509Params{SANs: &policy.SANs{UPNs: []string{name}}}}, certtest.Time)
		if err != nil {
			t.Fatal(err)
		}
		der, err := policy.NewCSR(p, key)
		if err != nil {
			t.Fatal(err)
		}
		request, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(request.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(subjectAltName) })
		return request.Extensions[i]
	}
	issue := func(edit func(*x509.Certificate)) []*x509.Certificate {
		template := &x509.Certificate{NotBefore: certtest.Time, NotAfter: certtest.Time.AddDate(0, 3, 0)}
		edit(template)
		return []*x509.Certificate{issuing.Issue(t, template, key.Public()), issuing.Cert, root.Cert}
	}
	self := func(signer crypto.Signer) []*x509.Certificate {
		ca := &certtest.CA{Cert: &x509.Certificate{Subject: pkix.Name{CommonName: "www.example.com"}}, Key: signer}
		template := certtest.Leaf("www.example.com")
		return []*x509.Certificate{ca.Issue(t, template, key.Public())}
	}
	for _, c := range []struct {
		name  string
		chain []*x509.Certificate
		want  string // part of the error, "" when there is none
	}{
		{"all that was asked for", issue(func(c *x509.Certificate) {
			c.Subject.CommonName = "www.example.com"
			c.DNSNames = []string{"A.EXAMPLE.com", "*.b.example.com"}
			c.EmailAddresses = []string{"ada@example.com"}
			c.URIs = []*url.URL{mustURL("https://example.com/A")}
			c.IPAddresses = []net.IP{net.ParseIP("2001:db8::1"), net.ParseIP("192.0.2.1")}
		}), ""},
		{"nothing but the key", issue(func(*x509.Certificate) {}), ""},
		{"other EKUs", issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), ""},
		{"common name as DNS name", issue(func(c *x509.Certificate) { c.DNSNames = []string{"www.example.com"} }), ""},
		{"DNS name as common name", issue(func(c *x509.Certificate) { c.Subject.CommonName = "a.example.com" }), ""},
		{"UPN", issue(func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{upn("ada@corp")} }), ""},
		{"another organization", issue(func(c *x509.Certificate) { c.Subject.Organization = []string{"CA's customer"} }), ""},
		{"leaf and its issuer", issue(func(*x509.Certificate) {})[:2], ""},
		{"leaf alone", issue(func(*x509.Certificate) {})[:1], ""},
		{"signed by itself", self(key), ""},
		{"within the skew, early", issue(func(c *x509.Certificate) { c.NotBefore = certtest.Time.Add(5 * time.Minute) }), ""},
		{"within the skew, late", issue(func(c *x509.Certificate) { c.NotAfter = certtest.Time.Add(-5 * time.Minute) }), ""},

		{"empty", nil, "the chain has 0 certificates"},
		{"long", slices.Repeat(issue(func(*x509.Certificate) {})[:1], 11), "the chain has 11 certificates"},
		{"another key", []*x509.Certificate{issuing.Issue(t, certtest.Leaf("www.example.com"), certtest.Keys["P-384"]().Public())}, "public key"},
		{"another DNS name", issue(func(c *x509.Certificate) { c.DNSNames = []string{"a.example.com", "c.example.com"} }), `"c.example.com"`},
		{"below the wildcard", issue(func(c *x509.Certificate) { c.DNSNames = []string{"x.b.example.com"} }), `"x.b.example.com"`},
		{"another email", issue(func(c *x509.Certificate) { c.EmailAddresses = []string{"eve@example.com"} }), `"eve@example.com"`},
		{"another UPN", issue(func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{upn("eve@corp")} }), "eve@corp"},
		{"another URI", issue(func(c *x509.Certificate) { c.URIs = []*url.URL{mustURL("https://example.com/a")} }), `"https://example.com/a"`},
		{"another address", issue(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("192.0.2.2")} }), `"192.0.2.2"`},
		{"an email as DNS name", issue(func(c *x509.Certificate) { c.DNSNames = []string{"ada@example.com"} }), `"ada@example.com"`},
		{"another common name", issue(func(c *x509.Certificate) { c.Subject.CommonName = "c.example.com" }), `"c.example.com"`},
		{"early", issue(func(c *x509.Certificate) { c.NotBefore = certtest.Time.Add(5*time.Minute + time.Second) }), "not valid before"},
		{"late", issue(func(c *x509.Certificate) { c.NotAfter = certtest.Time.Add(-5*time.Minute - time.Second) }), "expired"},
		{"namesake of the issuer", []*x509.Certificate{issue(func(*x509.Certificate) {})[0], other.Cert, root.Cert}, `certificate 1 of its chain is not signed by the next, "CN=Issuing"`},
		{"a gap", []*x509.Certificate{issue(func(*x509.Certificate) {})[0], root.Cert}, "certificate 1 of its chain"},
		{"more than the chain", append(issue(func(*x509.Certificate) {}), other.Cert), "certificate 3 of its chain"},
		{"not signed by itself", self(certtest.Keys["P-384"]()), "not signed by itself"},
	} {
		err := CheckIssued(c.chain, csr, certtest.Time)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if err := CheckIssued(issue(func(*x509.Certificate) {}), []byte("CSR"), certtest.Time); err == nil {
		t.Error("took a CSR that is none")
	}
	broken := issue(func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: subjectAltName, Value: []byte{0x30, 0}}}
	})
	broken[0].Extensions = []pkix.Extension{{Id: subjectAltName, Value: []byte{0x30, 3, 0x82, 5, 'a'}}}
	if err := CheckIssued(broken, csr, certtest.Time); err == nil {
		t.Error("took alternative names that cannot be read")
	}
}

// A common name that is an IP address may come back as an alternative name.
func TestCheckIssuedAddressAsCommonName(t *testing.T) {
	t.Parallel()
	key := certtest.Keys["P-256"]()
	p, err := policy.New(policy.Params{X509: &policy.X509Params{Subject: new("CN=192.0.2.1")}}, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := policy.NewCSR(p, key)
	if err != nil {
		t.Fatal(err)
	}
	template := certtest.Leaf("192.0.2.1")
	template.IPAddresses = []net.IP{net.ParseIP("192.0.2.1")}
	if err := CheckIssued([]*x509.Certificate{certtest.NewCA(t, "Root", nil).Issue(t, template, key.Public())}, csr, certtest.Time); err != nil {
		t.Error(err)
	}
}

func namesOf(certs []*x509.Certificate) string {
	var list []string
	for _, c := range certs {
		list = append(list, c.Subject.CommonName)
	}
	return strings.Join(list, " < ")
}

// permute calls f with each order of list.
func permute[T any](list []T, f func([]T)) {
	var rest func(prefix, left []T)
	rest = func(prefix, left []T) {
		if len(left) == 0 {
			f(prefix)
		}
		for i := range left {
			rest(append(slices.Clone(prefix), left[i]), slices.Delete(slices.Clone(left), i, i+1))
		}
	}
	rest(nil, list)
}
