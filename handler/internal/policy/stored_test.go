package policy

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// old is a policy as 0.1.0 stored it.
func old(t rapid.TB, subject string) []byte {
	t.Helper()
	b, err := json.Marshal(plainPolicy{X509: X509Properties{Subject: subject, EKUs: []string{}, KeyUsage: []string{}, ValidityMonths: 12}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAndWritten reads a stored policy, writes it, and reads that.
func readAndWritten(t rapid.TB, stored []byte) Policy {
	t.Helper()
	var first, second Policy
	if err := json.Unmarshal(stored, &first); err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(written, &second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("written and read again (-first +second):\n%s", diff)
	}
	return second
}

// TestOldSubjects: a policy that 0.1.0 stored asks for the name that it asked for
// there, whose RDNs had the written order, and prints it in today's.
func TestOldSubjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ stored, turned string }{
		{"", ""},
		{"CN=a", "CN=a"},
		{"cn = a", "cn = a"},
		{"OU=a+CN=b", "OU=a+CN=b"},
		{`O="a, b; c"`, `O="a, b; c"`},
		{"C=US, O=x, CN=a", "CN=a, O=x, C=US"},
		{"CN=a;CN=b ,CN=c", "CN=c, CN=b , CN=a"},
		{"O=x, OU=Sales + CN=J. Smith,C=US", "C=US, OU=Sales + CN=J. Smith, O=x"},
		{`O="say ""a, b""", CN=c`, `CN=c, O="say ""a, b"""`},
		{`O="say \"a, b\"", CN=c`, `CN=c, O="say \"a, b\""`},
		{`O=a\, b, CN=c\ , L=d\\`, `L=d\\, CN=c\ , O=a\, b`},
		{"1.2.3=#0c024869 ,CN=#130141", "CN=#130141, 1.2.3=#0c024869 "},
		// Of imported certificates: no CSR can ask for these.
		{`CN="", C=Germany`, `C=Germany, CN=""`},
		{"CN=a, OID.1.2.3=#0500", "OID.1.2.3=#0500, CN=a"},
	} {
		p := readAndWritten(t, old(t, c.stored))
		if p.X509.Subject != c.turned {
			t.Errorf("%q is %q, want %q", c.stored, p.X509.Subject, c.turned)
		}
	}
}

// inWrittenOrder is how 0.1.0 encoded a subject.
func inWrittenOrder(t rapid.TB, subject string) []byte {
	t.Helper()
	der, err := parseSubject(subject)
	if err != nil {
		t.Fatal(err)
	}
	var name []rdnSET
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) != 0 {
		t.Fatalf("name %x: %v, %d bytes left", der, err, len(rest))
	}
	slices.Reverse(name)
	if der, err = asn1.Marshal(name); err != nil {
		t.Fatal(err)
	}
	return der
}

// TestOldSubjectsKeepTheirName is a property of all subjects.
func TestOldSubjectsKeepTheirName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var rdns []string
		for range rapid.IntRange(0, 5).Draw(t, "RDNs") {
			value := rapid.StringOfN(rapid.RuneFrom([]rune(`ab ,;+"\=#<>é`)), 1, 8, -1).Draw(t, "value")
			if strings.Trim(value, " ") == "" {
				value = "x"
			}
			var text string
			switch rapid.IntRange(0, 2).Draw(t, "form") {
			case 0:
				text = `"` + strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), `"`, `""`) + `"`
			case 1:
				for _, r := range value {
					if strings.ContainsRune(` "#+,;<=>\`, r) {
						text += `\`
					}
					text += string(r)
				}
			default:
				text = fmt.Sprintf("#0c%02x%x", len(value), value)
			}
			rdn := rapid.SampledFrom([]string{"CN", "o", "OID.1.2.3", " L "}).Draw(t, "type") + "=" + text
			if rapid.Bool().Draw(t, "two values") {
				rdn += " + OU=b"
			}
			rdns = append(rdns, rdn+rapid.SampledFrom([]string{"", " "}).Draw(t, "space"))
		}
		subject := strings.Join(rdns, rapid.SampledFrom([]string{",", ", ", ";"}).Draw(t, "separator"))
		p := readAndWritten(t, old(t, subject))
		der, err := parseSubject(p.X509.Subject)
		if err != nil || !bytes.Equal(der, inWrittenOrder(t, subject)) {
			t.Fatalf("%q is %q, which is not the same name: %v", subject, p.X509.Subject, err)
		}
	})
}

// TestOldRenewalAsksForTheSameName goes as far as the CSR.
func TestOldRenewalAsksForTheSameName(t *testing.T) {
	t.Parallel()
	key, err := GenerateKey(KeyProperties{Type: KeyEC, Curve: "P-256"})
	if err != nil {
		t.Fatal(err)
	}
	for _, stored := range []string{"", "CN=a", "C=US, O=Noodle, OU=b + CN=a, CN=c"} {
		csr, err := NewCSR(readAndWritten(t, old(t, stored)), key)
		if err != nil {
			t.Fatal(err)
		}
		request, err := x509.ParseCertificateRequest(csr)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(request.RawSubject, inWrittenOrder(t, stored)) {
			t.Errorf("%q: the CSR asks for %s", stored, request.Subject)
		}
	}
}

// TestSubjectAsDotNET: the name and its print are those that .NET makes of the text:
// the last part is encoded first.
func TestSubjectAsDotNET(t *testing.T) {
	t.Parallel()
	der, err := parseSubject("CN=www.example.com, OU=a + L=b, O=Example, C=US")
	if err != nil {
		t.Fatal(err)
	}
	var name pkix.RDNSequence
	if _, err := asn1.Unmarshal(der, &name); err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, rdn := range name {
		for _, a := range rdn {
			types = append(types, a.Type.String()[len("2.5.4."):])
		}
	}
	if diff := cmp.Diff([]string{"6", "10", "7", "11", "3"}, types); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	const want = "CN=www.example.com, L=b + OU=a, O=Example, C=US" // the values of one RDN are a set
	if got, err := FormatSubject(der); err != nil || got != want {
		t.Errorf("printed as %s, %v, want %s", got, err, want)
	}
}

// TestNewerPolicy: a policy that a newer program stored is not read, and so not
// written.
func TestNewerPolicy(t *testing.T) {
	t.Parallel()
	for _, stored := range []string{`{"schema":2,"x509":{"subject":"CN=a"}}`, `{"x509":{"subject":"CN=a"},"schema":17}`} {
		var p Policy
		if err := json.Unmarshal([]byte(stored), &p); err == nil || !strings.Contains(err.Error(), "schema") || p.X509.Subject != "" {
			t.Errorf("%s: %+v, %v", stored, p, err)
		}
	}
}
