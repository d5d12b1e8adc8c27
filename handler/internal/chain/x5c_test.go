package chain

// The certificates of a merge, in every form that clients send.

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
)

func std(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func pemOf(certs ...*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.String()
}

// p7b makes a PKCS #7 bundle with OpenSSL.
func p7b(t testing.TB, certs ...*x509.Certificate) []byte {
	t.Helper()
	return certtest.OpenSSL(t, []byte(pemOf(certs...)), "crl2pkcs7", "-nocrl", "-certfile", "/dev/stdin", "-outform", "DER")
}

// secret is a secret of certificates alone, as Key Vault has it.
func secret(t testing.TB, certs ...*x509.Certificate) []byte {
	t.Helper()
	value, err := Secret{ContentType: policy.ContentPKCS12, Chain: certs}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// pkiPath is a CertPath as Java encodes it: the certificate nearest to the root
// first.
func pkiPath(t testing.TB, certs ...*x509.Certificate) []byte {
	t.Helper()
	var list []asn1.RawValue
	for _, c := range certs {
		list = append(list, asn1.RawValue{FullBytes: c.Raw})
	}
	der, err := asn1.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestParseX5C(t *testing.T) {
	t.Parallel()
	ca := certtest.NewCA(t, "Root", nil)
	leaf := ca.Issue(t, certtest.Leaf("example.com"), certtest.Keys["P-256"]().Public())
	root := ca.Cert
	p7 := p7b(t, leaf, root)
	// The same with lengths left open, as streaming encoders write it.
	ber := slices.Concat([]byte{0x30, 0x80}, p7[4:], []byte{0, 0})
	p7PEM := string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: p7}))
	p7CMS := string(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: p7}))
	wrapped := string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: leaf.Raw}))
	wrapped = strings.ReplaceAll(strings.TrimPrefix(wrapped, "-----BEGIN X-----"), "-----END X-----", "")
	both, one := []*x509.Certificate{leaf, root}, []*x509.Certificate{leaf}
	for _, c := range []struct {
		name string
		in   []string
		want []*x509.Certificate
	}{
		{"base64 of DER", []string{std(leaf.Raw), std(root.Raw)}, both},
		{"in the sent order", []string{std(root.Raw), std(leaf.Raw)}, []*x509.Certificate{root, leaf}},
		{"base64url of DER", []string{base64.RawURLEncoding.EncodeToString(leaf.Raw)}, one},
		{"without padding", []string{strings.TrimRight(std(leaf.Raw), "=")}, one},
		{"with line breaks", []string{" \r\n" + strings.ReplaceAll(wrapped, "\n", "\r\n")}, one},
		{"base64 of base64", []string{std([]byte(std(leaf.Raw))), std([]byte(std(root.Raw)))}, both},
		{"base64 of base64 with line breaks", []string{std([]byte(wrapped))}, one},
		{"PEM", []string{pemOf(leaf), pemOf(root)}, both},
		{"PEM of the chain", []string{pemOf(leaf, root)}, both},
		{"PEM with text around", []string{"subject=CN = x\n" + pemOf(leaf) + "\nissuer=CN = y\n" + pemOf(root) + "--- end ---\n"}, both},
		{"PEM with CRLF", []string{strings.ReplaceAll(pemOf(leaf, root), "\n", "\r\n")}, both},
		{"PEM with other blocks", []string{string(pem.EncodeToMemory(&pem.Block{Type: "DH PARAMETERS", Bytes: []byte("x")})) + pemOf(leaf)}, one},
		{"base64 of PEM", []string{std([]byte(pemOf(leaf, root)))}, both},
		{"base64 of base64 of PEM", []string{std([]byte(std([]byte(pemOf(leaf)))))}, one},
		{"DER in a row", []string{std(slices.Concat(leaf.Raw, root.Raw))}, both},
		{"PKCS #7", []string{std(p7)}, both},
		{"base64 of base64 of PKCS #7", []string{std([]byte(std(p7)))}, both},
		{"PKCS #7 in PEM", []string{p7PEM}, both},
		{"PKCS #7 in PEM as CMS", []string{p7CMS}, both},
		{"base64 of PKCS #7 in PEM", []string{std([]byte(p7PEM))}, both},
		{"PKCS #7 in BER", []string{std(ber)}, both},
		{"PKCS #12", []string{std(opensslPFX(t, "", pemOf(leaf, root), "-nokeys"))}, both},
		{"PKCS #12 in 3DES", []string{std(opensslPFX(t, "", pemOf(leaf, root), "-nokeys", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"))}, both},
		{"PKCS #12, nothing encrypted, no MAC", []string{std(opensslPFX(t, "", pemOf(leaf, root), "-nokeys", "-certpbe", "NONE", "-nomac"))}, both},
		{"PKCS #12 under the null password, root first", []string{std(secret(t, leaf, root))}, []*x509.Certificate{root, leaf}},
		{"base64 of base64 of PKCS #12", []string{std([]byte(std(secret(t, leaf))))}, one},
		{"PkiPath of Java", []string{std(pkiPath(t, root, leaf))}, []*x509.Certificate{root, leaf}},
		{"base64 of PEM without its BEGIN line", []string{std([]byte(withoutBegin(leaf)))}, one},
		{"PEM with a byte order mark", []string{"\ufeff" + pemOf(leaf, root)}, both},
		{"PEM of two files without a line break", []string{strings.TrimSpace(pemOf(leaf)) + pemOf(root)}, both},
		{"twice the same", []string{std(leaf.Raw), pemOf(leaf), std(p7)}, both},
		{"next to an empty one", []string{"", std(leaf.Raw), "  "}, one},
		{"twenty times the same", slices.Repeat([]string{std(leaf.Raw)}, 20), one},
	} {
		got, err := ParseX5C(t.Context(), c.in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !slices.EqualFunc(got, c.want, (*x509.Certificate).Equal) {
			t.Errorf("%s: %d certificates, want %d", c.name, len(got), len(c.want))
		}
	}
}

// withoutBegin is a certificate in PEM whose first line is missing.
func withoutBegin(c *x509.Certificate) string {
	return strings.TrimPrefix(pemOf(c), "-----BEGIN CERTIFICATE-----\n")
}

func TestParseX5CRefuses(t *testing.T) {
	t.Parallel()
	ca := certtest.NewCA(t, "Root", nil)
	leaf := ca.Issue(t, certtest.Leaf("example.com"), certtest.Keys["P-256"]().Public())
	locked := opensslPFX(t, "pw", pemOf(leaf, ca.Cert), "-nokeys")
	asked, err := policy.New(policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}}, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := policy.NewCSR(asked, certtest.Keys["P-256"]())
	if err != nil {
		t.Fatal(err)
	}
	empty := certtest.OpenSSL(t, nil, "crl2pkcs7", "-nocrl", "-outform", "DER")
	var many [][]byte
	for range MaxChain + 1 {
		many = append(many, ca.Issue(t, certtest.Leaf("example.com"), certtest.Keys["P-256"]().Public()).Raw)
	}
	const none, badTag = "Property x5c has invalid value X5C must has at least one valid item", "ASN1 bad tag value met."
	for _, c := range []struct {
		name   string
		in     []string
		detail string // or its start
	}{
		{"nothing", nil, none},
		{"an empty entry", []string{""}, none},
		{"spaces", []string{" \n"}, none},
		{"PEM of a key only", []string{string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))}, none},
		{"an empty bundle", []string{std(empty)}, none},
		{"text", []string{"not a certificate!"}, badTag},
		{"base64 of text", []string{std([]byte("not a certificate!"))}, badTag},
		{"base64 of something", []string{"AAAA"}, badTag},
		{"broken PEM", []string{"-----BEGIN CERTIFICATE-----\nMII"}, badTag},
		{"PEM of no certificate", []string{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))}, badTag},
		{"a cut certificate", []string{std(leaf.Raw[:100])}, badTag},
		{"a good and a bad entry", []string{std(leaf.Raw), "garbage!"}, badTag},
		{"too many wrappings", []string{std([]byte(std([]byte(std([]byte(std(leaf.Raw)))))))}, badTag},
		{"a CSR", []string{std(csr)}, "a certificate that cannot be read: "},
		{"a certificate and more", []string{std(append(bytes.Clone(leaf.Raw), 0))}, "certificates that cannot be read: "},
		{"a cut bundle", []string{std(p7b(t, leaf)[:200])}, "certificates that cannot be read: the PKCS #7 bundle "},
		{"a PKCS #12 file under a password", []string{std(locked)}, "certificates that cannot be read: the content is protected by a password"},
		{"PEM with a damaged block", []string{pemOf(leaf) + strings.Replace(pemOf(ca.Cert), "MII", "M!I", 1)}, badTag + " PEM block 2 CERTIFICATE, line 10: "},
		{"PEM that is cut", []string{std([]byte(pemOf(leaf) + pemOf(ca.Cert)[:200]))}, badTag + " PEM block 2 CERTIFICATE, line 10: its END line is missing."},
		{"PEM without a BEGIN line, and more", []string{std([]byte(withoutBegin(leaf) + "x"))}, badTag + " PEM block 1 CERTIFICATE, line 1: its BEGIN line is missing."},
		{"too many certificates", []string{std(slices.Concat(many...))}, "must have at most 100 certificates"},
		{"too many entries", slices.Repeat([]string{std(leaf.Raw)}, maxX5CEntries+1), "101 entries of "},
		{"too much", []string{strings.Repeat(" ", maxX5CBytes+1)}, "1 entries of 262145 bytes: "},
	} {
		got, err := ParseX5C(t.Context(), c.in)
		var e *field.Error
		if !errors.As(err, &e) || !strings.HasPrefix(e.Detail, c.detail) {
			t.Errorf("%s: %d certificates, %v, want %q", c.name, len(got), err, c.detail)
		} else if whole := c.detail == none || strings.HasPrefix(c.detail, badTag); whole != (e.Field == "") {
			t.Errorf("%s: field %q", c.name, e.Field)
		}
	}
}

func FuzzParseX5C(f *testing.F) {
	ca := certtest.NewCA(f, "Root", nil)
	leaf := ca.Issue(f, certtest.Leaf("example.com"), certtest.Keys["P-256"]().Public())
	p7 := p7b(f, leaf, ca.Cert)
	for _, seed := range []string{
		"", std(leaf.Raw), std([]byte(std(leaf.Raw))), pemOf(leaf, ca.Cert), std([]byte(pemOf(leaf))), std(p7),
		std(slices.Concat([]byte{0x30, 0x80}, p7[4:], []byte{0, 0})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: p7})),
		"-----BEGIN CERTIFICATE-----", "MIAGCSqGSIb3DQEHAqCA", "garbage!",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		certs, err := ParseX5C(t.Context(), []string{entry})
		if err != nil {
			var e *field.Error
			if !errors.As(err, &e) || e.Detail == "" {
				t.Fatalf("%q: %v is not a BadParameter", entry, err)
			}
			return
		}
		var plain []string
		for _, c := range certs {
			plain = append(plain, std(c.Raw))
		}
		again, err := ParseX5C(t.Context(), plain)
		if err != nil || !slices.EqualFunc(certs, again, (*x509.Certificate).Equal) {
			t.Fatalf("%q: %d certificates, of which %d come back: %v", entry, len(certs), len(again), err)
		}
	})
}
