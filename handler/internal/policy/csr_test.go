package policy_test

// CSRs, as OpenSSL reads them.

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/policy"
)

// fullPolicy has everything that a CSR can carry.
func fullPolicy(t testing.TB) policy.Policy {
	t.Helper()
	p, err := policy.New(policy.Params{X509: &policy.X509Params{
		Subject: new(`CN=www.contoso.com, OU=Azure, O="Contoso, Ltd.", L=Zürich, C=CH, E=pki@contoso.com`),
		SANs: &policy.SANs{
			DNSNames:    []string{"www.contoso.com", "*.contoso.com"},
			Emails:      []string{"ada@contoso.com"},
			UPNs:        []string{"ada@corp.contoso.com"},
			URIs:        []string{"spiffe://contoso.com/web"},
			IPAddresses: []string{"192.0.2.1", "2001:0db8::1"},
		},
		EKUs:     []string{"1.3.6.1.5.5.7.3.1", "1.3.6.1.4.1.311.10.3.4"},
		KeyUsage: policy.KeyUsages,
		CA:       new(true),
	}}, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNewCSROpenSSL(t *testing.T) {
	t.Parallel()
	text := requestText(t, fullPolicy(t), certtest.Keys["RSA"]())
	contains(t, text,
		`Subject: emailAddress=pki@contoso.com, C=CH, L=Zürich, O=Contoso\, Ltd., OU=Azure, CN=www.contoso.com`,
		"Signature Algorithm: sha256WithRSAEncryption",
		"Public-Key: (2048 bit)",
		"X509v3 Key Usage: critical\nDigital Signature, Non Repudiation, Key Encipherment, Data Encipherment, Key Agreement, Certificate Sign, CRL Sign, Encipher Only, Decipher Only\n",
		"X509v3 Extended Key Usage:\nTLS Web Server Authentication, Microsoft Encrypted File System\n",
		"X509v3 Subject Alternative Name:\nemail:ada@contoso.com, DNS:www.contoso.com, DNS:*.contoso.com, othername: UPN::ada@corp.contoso.com, URI:spiffe://contoso.com/web, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1\n",
		"X509v3 Basic Constraints: critical\nCA:TRUE\n",
	)
	inOrder(t, text, "X509v3 Key Usage", "X509v3 Extended Key Usage", "X509v3 Subject Alternative Name", "X509v3 Basic Constraints")
}

func TestNewCSRDefaults(t *testing.T) {
	t.Parallel()
	p, err := policy.New(sent(nil), certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	text := requestText(t, p, certtest.Keys["RSA"]())
	contains(t, text,
		"Subject: CN=example.com\n",
		"X509v3 Key Usage: critical\nDigital Signature, Key Encipherment\n",
		"X509v3 Extended Key Usage:\nTLS Web Server Authentication, TLS Web Client Authentication\n",
		"X509v3 Basic Constraints:\nCA:FALSE\n",
	)
	if strings.Contains(text, "Alternative") {
		t.Errorf("alternative names without any in the policy:\n%s", text)
	}
}

// Without a subject the alternative names are critical; empty lists leave their
// extension out.
func TestNewCSRWithoutSubject(t *testing.T) {
	t.Parallel()
	p, err := policy.New(policy.Params{X509: &policy.X509Params{
		SANs: &policy.SANs{DNSNames: []string{"example.com"}}, EKUs: []string{}, KeyUsage: []string{},
	}}, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	text := requestText(t, p, certtest.Keys["P-256"]())
	contains(t, text, "Subject:\n", "X509v3 Subject Alternative Name: critical\nDNS:example.com\n")
	if strings.Contains(text, "Key Usage") {
		t.Errorf("key usages without any in the policy:\n%s", text)
	}
}

func TestNewCSRSignatures(t *testing.T) {
	t.Parallel()
	p, err := policy.New(sent(nil), certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"RSA":   "sha256WithRSAEncryption",
		"P-256": "ecdsa-with-SHA256",
		"P-384": "ecdsa-with-SHA384",
		"P-521": "ecdsa-with-SHA512",
	} {
		contains(t, requestText(t, p, certtest.Keys[name]()), "Signature Algorithm: "+want)
	}
}

// Every policy that is accepted leads to a CSR that crypto/x509 reads, and that
// says what the policy says.
func TestNewCSRAgreesWithPolicy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := policies().Draw(t, "policy")
		der, err := policy.NewCSR(p, certtest.Keys["P-256"]())
		if err != nil {
			t.Fatalf("%+v: %v", p.X509, err)
		}
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatalf("%+v: %v", p.X509, err)
		}
		if err := csr.CheckSignature(); err != nil {
			t.Fatal(err)
		}
		subject, err := policy.ParseSubject(p.X509.Subject)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(csr.RawSubject, subject) {
			t.Fatalf("subject %q became %x", p.X509.Subject, csr.RawSubject)
		}
		checkRequested(t, p.X509, csr)
	})
}

// checkRequested compares the extensions of a CSR, as crypto/x509 and
// encoding/asn1 read them, with a policy.
func checkRequested(t rapid.TB, x policy.X509Properties, csr *x509.CertificateRequest) {
	t.Helper()
	sans := policy.Deref(x.SANs)
	var uris, ips, wantIPs []string
	for _, u := range csr.URIs {
		uris = append(uris, u.String())
	}
	for _, ip := range csr.IPAddresses {
		ips = append(ips, ip.String())
	}
	for _, ip := range sans.IPAddresses {
		wantIPs = append(wantIPs, net.IP(netip.MustParseAddr(ip).AsSlice()).String())
	}
	type names struct{ DNS, Emails, UPNs, URIs, IPs []string }
	want := names{sans.DNSNames, sans.Emails, sans.UPNs, sans.URIs, wantIPs}
	got := names{csr.DNSNames, csr.EmailAddresses, readUPNs(t, csr), uris, ips}
	if diff := cmp.Diff(want, got, equalWhenEmpty); diff != "" {
		t.Fatalf("names (-policy +CSR):\n%s", diff)
	}
	var usages, ekus []string
	for _, e := range csr.Extensions {
		switch {
		case e.Id.Equal(policy.OIDKeyUsage):
			var bits asn1.BitString
			if rest, err := asn1.Unmarshal(e.Value, &bits); err != nil || len(rest) > 0 || !e.Critical {
				t.Fatalf("key usage %x, critical %t: %v", e.Value, e.Critical, err)
			}
			for i, name := range policy.KeyUsages {
				if bits.At(i) == 1 {
					usages = append(usages, name)
				}
			}
			if bits.At(bits.BitLength-1) != 1 {
				t.Fatalf("key usage %x has trailing zero bits", e.Value)
			}
		case e.Id.Equal(policy.OIDExtKeyUsage):
			var oids []asn1.ObjectIdentifier
			if rest, err := asn1.Unmarshal(e.Value, &oids); err != nil || len(rest) > 0 || e.Critical {
				t.Fatalf("extended key usage %x, critical %t: %v", e.Value, e.Critical, err)
			}
			for _, oid := range oids {
				ekus = append(ekus, oid.String())
			}
		case e.Id.Equal(policy.OIDBasicConstraints):
			var bc struct {
				CA bool `asn1:"optional"`
			}
			if rest, err := asn1.Unmarshal(e.Value, &bc); err != nil || len(rest) > 0 || e.Critical != x.CA || bc.CA != x.CA {
				t.Fatalf("basic constraints %x, critical %t, want CA %t: %v", e.Value, e.Critical, x.CA, err)
			}
		case e.Id.Equal(policy.OIDSubjectAltName):
			if e.Critical != (x.Subject == "") {
				t.Fatalf("alternative names critical: %t, subject %q", e.Critical, x.Subject)
			}
		default:
			t.Fatalf("extension %s", e.Id)
		}
	}
	slices.Sort(usages)
	if diff := cmp.Diff(x.KeyUsage, usages, equalWhenEmpty); diff != "" {
		t.Fatalf("key usages (-policy +CSR):\n%s", diff)
	}
	if diff := cmp.Diff(x.EKUs, ekus, equalWhenEmpty); diff != "" {
		t.Fatalf("extended key usages (-policy +CSR):\n%s", diff)
	}
}

// readUPNs reads the UPNs, which crypto/x509 leaves alone.
func readUPNs(t rapid.TB, csr *x509.CertificateRequest) []string {
	t.Helper()
	var upns []string
	for _, e := range csr.Extensions {
		if !e.Id.Equal(policy.OIDSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if _, err := asn1.Unmarshal(e.Value, &names); err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if n.Tag != 0 {
				continue
			}
			var other struct {
				ID    asn1.ObjectIdentifier
				Value string `asn1:"tag:0,explicit,utf8"`
			}
			if _, err := asn1.UnmarshalWithParams(n.FullBytes, &other, "tag:0"); err != nil || other.ID.String() != "1.3.6.1.4.1.311.20.2.3" {
				t.Fatalf("other name %x: %v", n.FullBytes, err)
			}
			upns = append(upns, other.Value)
		}
	}
	return upns
}

// equalWhenEmpty takes nil and empty lists for the same.
var equalWhenEmpty = cmp.Transformer("empty", func(list []string) string { return strings.Join(list, "\n") })

// policies generates policies that NewPolicy accepts.
func policies() *rapid.Generator[policy.Policy] {
	label := rapid.StringMatching(`[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,10}[a-zA-Z0-9])?`)
	host := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".")
	})
	return rapid.Custom(func(t *rapid.T) policy.Policy {
		list := func(name string, g *rapid.Generator[string]) []string {
			return rapid.SliceOfN(g, 0, 3).Draw(t, name)
		}
		x := &policy.X509Params{
			Subject: new(rapid.SampledFrom([]string{"CN=a", "", "O=x, CN=y"}).Draw(t, "subject")),
			SANs: &policy.SANs{
				DNSNames: list("dns", rapid.Custom(func(t *rapid.T) string {
					return rapid.SampledFrom([]string{"", "*."}).Draw(t, "wildcard") + host.Draw(t, "host")
				})),
				Emails: list("emails", rapid.Custom(func(t *rapid.T) string {
					return rapid.StringMatching(`[a-z+_'-]{1,10}`).Draw(t, "local") + "@" + host.Draw(t, "host")
				})),
				UPNs: list("upns", rapid.StringMatching(`[a-zé漢 @\\.]{1,20}`)),
				URIs: list("uris", rapid.Custom(func(t *rapid.T) string {
					return rapid.StringMatching(`[a-z][a-z0-9]{0,5}`).Draw(t, "scheme") + "://" + host.Draw(t, "host") +
						rapid.StringMatching(`(:[0-9]{1,4})?(/[a-z0-9._-]{1,5}){0,2}`).Draw(t, "path")
				})),
				IPAddresses: list("ips", rapid.Custom(func(t *rapid.T) string {
					b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "ip")
					if rapid.Bool().Draw(t, "IPv4") {
						b = b[:4]
					}
					addr, _ := netip.AddrFromSlice(b)
					return addr.StringExpanded()
				})),
			},
			EKUs:           list("ekus", rapid.StringMatching(`1\.[1-9]\.[1-9][0-9]{0,8}`)),
			KeyUsage:       rapid.SliceOf(rapid.SampledFrom(policy.KeyUsages)).Draw(t, "usages"),
			ValidityMonths: new(rapid.IntRange(1, 1200).Draw(t, "months")),
			CA:             new(rapid.Bool().Draw(t, "ca")),
		}
		if *x.Subject == "" && x.SANs.Count() == 0 {
			x.SANs.DNSNames = []string{"example.com"}
		}
		p, err := policy.New(policy.Params{X509: x}, certtest.Time)
		if err != nil {
			t.Fatalf("%+v, %+v: %v", x, x.SANs, err)
		}
		return p
	})
}

// requestText makes a CSR, has OpenSSL verify and print it, and returns that
// with the indentation and the spaces at line ends taken away.
func requestText(t testing.TB, p policy.Policy, key crypto.Signer) string {
	t.Helper()
	der, err := policy.NewCSR(p, key)
	if err != nil {
		t.Fatal(err)
	}
	in := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return unindent(certtest.OpenSSL(t, in, "req", "-verify", "-noout", "-text", "-nameopt", "sep_comma_plus_space,utf8,esc_2253,sname"))
}

func unindent(text []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

func inOrder(t testing.TB, text string, parts ...string) {
	t.Helper()
	at := 0
	for _, part := range parts {
		i := strings.Index(text[at:], part)
		if i < 0 {
			t.Errorf("no %q in its place in\n%s", part, text)
			return
		}
		at += i + len(part)
	}
}
