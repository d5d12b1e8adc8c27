package vault_test

// Any policy's certificate, as OpenSSL reads it.

import (
	"bytes"
	"context"
	"encoding/pem"
	"flag"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestOpenSSLAgrees: whatever policy a certificate of Self is made with, the
// policy that is read back, and the CSR, the certificate and the secret as
// OpenSSL reads them, all say what was asked for.
func TestOpenSSLAgrees(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, upTo(25, func(rt *rapid.T) { checkWithOpenSSL(rt, newHarness(t, nil)) }))
}

// checkWithOpenSSL makes one certificate.
func checkWithOpenSSL(t *rapid.T, h *harness) {
	ctx, n := context.Background(), name(h.t, "web")
	a := askedFor().Draw(t, "asked for")
	created := h.clock.Now()
	op, err := h.Create(ctx, n, vault.CreateParams{Policy: &a.params})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(3 * time.Second)
	issued := h.clock.Now()
	if op, err = h.Operation(ctx, n, op.RequestID); err != nil || op.Status != vault.StatusCompleted {
		t.Fatalf("operation is %s, %+v: %v", op.Status, op.Error, err)
	}
	cert, err := h.Certificate(ctx, n)
	if err != nil {
		t.Fatal(err)
	}

	a.policy.Created, a.policy.Updated = created, created
	if diff := cmp.Diff(&a.policy, cert.Policy); diff != "" {
		t.Errorf("policy (-asked +echo):\n%s", diff)
	}
	csr := openSSL(t, op.CSR, "req", "-inform", "DER", "-noout", "-verify", "-text", "-pubkey", "-subject", "-nameopt", nameOptions)
	if !strings.Contains(csr, "verify OK") {
		t.Errorf("the CSR's signature is not its key's:\n%s", csr)
	}
	a.check(t, "CSR", csr)

	leaf := openSSL(t, cert.Leaf, "x509", "-inform", "DER", "-noout", "-text", "-pubkey", "-subject", "-nameopt", nameOptions)
	a.check(t, "certificate", leaf)
	for _, line := range []string{
		"Not Before: " + openSSLTime(issued.Add(-10*time.Minute)),
		"Not After : " + openSSLTime(issued.AddDate(0, a.policy.X509.ValidityMonths, 0)), // from a day that every month has
	} {
		if !strings.Contains(leaf, line) {
			t.Errorf("no %q in\n%s", line, leaf)
		}
	}
	if public := publicKey(t, leaf); public != publicKey(t, csr) {
		t.Error("CSR and certificate have different keys")
	}

	secret, err := h.Secret(ctx, n, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	a.checkSecret(t, secret, cert.Leaf, publicKey(t, leaf))
}

// upTo tries a property on so many cases only, as each starts several programs;
// -rapid.checks asks for another number.
func upTo(cases int, property func(*rapid.T)) func(*rapid.T) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() != checks.DefValue {
		return property
	}
	failed := false // from then on, rapid looks for a smaller case that fails
	return func(t *rapid.T) {
		if cases <= 0 && !failed {
			return
		}
		cases--
		defer func() { failed = failed || t.Failed() }()
		property(t)
	}
}

// asked is a policy as a caller sends it, and what has to come of it.
type asked struct {
	params  policy.Params
	policy  policy.Policy // with the defaults; without times
	subject []string      // lines of OpenSSL: one for each RDN
}

// GoString shows a failed case.
func (a asked) GoString() string {
	return fmt.Sprintf("%+v with names %+v", a.policy, *a.policy.X509.SANs)
}

// reading is what OpenSSL reads in a CSR or a certificate.
type reading struct {
	Subject    []string
	Key        string
	Extensions map[string]string // by OpenSSL's name; a critical one's value begins with "critical "
}

// check compares OpenSSL's text of a CSR or a certificate with what was asked
// for.
func (a asked) check(t rapid.TB, of, text string) {
	t.Helper()
	got := reading{subjectLines(text), keyLine(text), extensionValues(t, text)}
	// A CSR has no key identifiers; that of the signer is the certificate's own.
	subjectKey, authorityKey := got.Extensions["Subject Key Identifier"], got.Extensions["Authority Key Identifier"]
	if authorityKey = strings.TrimPrefix(authorityKey, "keyid:"); subjectKey != authorityKey || (subjectKey == "") != (of == "CSR") {
		t.Errorf("%s: key identifier %q, signer's %q", of, subjectKey, authorityKey)
	}
	delete(got.Extensions, "Subject Key Identifier")
	delete(got.Extensions, "Authority Key Identifier")
	want := reading{a.subject, openSSLKeys[keyKind{a.policy.Key.Type, a.policy.Key.Size, a.policy.Key.Curve}], a.extensions()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-asked +OpenSSL):\n%s\n%s", of, diff, text)
	}
}

// checkSecret has OpenSSL take the secret apart: it holds the leaf, and its key
// exactly when that is exportable.
func (a asked) checkSecret(t rapid.TB, s vault.Secret, leaf []byte, public string) {
	t.Helper()
	if s.ContentType != a.policy.ContentType {
		t.Errorf("secret is %s, want %s", s.ContentType, a.policy.ContentType)
	}
	text := string(s.Value)
	if a.policy.ContentType == policy.ContentPKCS12 {
		text = openSSL(t, s.Value, "pkcs12", "-passin", "pass:", "-nodes")
	}
	if has := strings.Contains(text, "PRIVATE KEY"); has != a.policy.Key.Exportable {
		t.Fatalf("secret has the key: %t, exportable: %t", has, a.policy.Key.Exportable)
	}
	if n := strings.Count(text, "BEGIN CERTIFICATE"); n != 1 {
		t.Errorf("secret has %d certificates, want 1", n)
	}
	if der := openSSL(t, []byte(text), "x509", "-outform", "DER"); der != string(leaf) {
		t.Error("secret has another certificate")
	}
	if a.policy.Key.Exportable && publicKey(t, openSSL(t, []byte(text), "pkey", "-pubout")) != public {
		t.Error("the secret's key is not the certificate's")
	}
}

// nameOptions print each RDN on a line of its own and nothing escaped.
const nameOptions = "sep_multiline,utf8,sname"

// openSSL runs openssl on input and returns all that it says.
func openSSL(t rapid.TB, input []byte, args ...string) string {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func openSSLTime(t time.Time) string { return t.UTC().Format("Jan _2 15:04:05 2006 GMT") }

// publicKey is the SubjectPublicKeyInfo in a text, as DER.
func publicKey(t rapid.TB, text string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		t.Fatalf("no public key in\n%s", text)
	}
	return string(block.Bytes)
}

// subjectLines are the RDNs below "subject=". Attributes of one RDN are sorted:
// DER has an order of its own for them.
func subjectLines(text string) []string {
	_, text, _ = strings.Cut(text, "\nsubject=")
	_, text, _ = strings.Cut(text, "\n")
	lines := []string{}
	for line := range strings.SplitSeq(text, "\n") {
		rdn, ok := strings.CutPrefix(line, "    ")
		if !ok || rdn == "" { // OpenSSL indents an empty name too
			break
		}
		lines = append(lines, sortedRDN(strings.Split(rdn, " + ")))
	}
	return lines
}

func sortedRDN(attributes []string) string {
	slices.Sort(attributes)
	return strings.Join(attributes, " + ")
}

// keyLine is what a text says about the key's algorithm, size and curve.
func keyLine(text string) string {
	var parts []string
	for line := range strings.SplitSeq(text, "\n") {
		for _, label := range []string{"Public Key Algorithm: ", "Public-Key: ", "NIST CURVE: "} {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), label); ok {
				parts = append(parts, value)
			}
		}
	}
	return strings.Join(parts, " ")
}

// keyKind is a kind of key pair.
type keyKind struct {
	kty  string
	size int
	crv  string
}

// openSSLKeys are the keyLine of the kinds of key.
var openSSLKeys = map[keyKind]string{
	{policy.KeyRSA, 2048, ""}:    "rsaEncryption (2048 bit)",
	{policy.KeyEC, 256, "P-256"}: "id-ecPublicKey (256 bit) P-256",
	{policy.KeyEC, 384, "P-384"}: "id-ecPublicKey (384 bit) P-384",
}

// extensionValues finds the extensions in a text: "X509v3 Name: critical" and
// its value on the line below.
func extensionValues(t rapid.TB, text string) map[string]string {
	t.Helper()
	values := map[string]string{}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "X509v3 ")
		if !ok || name == "extensions:" {
			continue
		}
		name, critical, _ := strings.Cut(name, ":")
		if _, twice := values[name]; twice {
			t.Errorf("extension %s is there twice", name)
		}
		value := strings.TrimSpace(lines[i+1])
		// OpenSSL 3.0 has a second colon there, later ones do not.
		value = strings.ReplaceAll(value, "othername: UPN::", "othername: UPN:")
		values[name] = strings.TrimSpace(strings.TrimSpace(critical) + " " + value)
	}
	return values
}

// extensions are what extensionValues has to find.
func (a asked) extensions() map[string]string {
	x := a.policy.X509
	values := map[string]string{"Basic Constraints": "CA:FALSE"}
	if x.CA {
		values["Basic Constraints"] = "critical CA:TRUE"
	}
	var usages, ekus, names []string
	for _, u := range openSSLKeyUsages {
		if slices.Contains(x.KeyUsage, u.name) {
			usages = append(usages, u.printed)
		}
	}
	if len(usages) > 0 {
		values["Key Usage"] = "critical " + strings.Join(usages, ", ")
	}
	for _, oid := range x.EKUs {
		ekus = append(ekus, openSSLEKUs[oid])
	}
	if len(ekus) > 0 {
		values["Extended Key Usage"] = strings.Join(ekus, ", ")
	}
	for _, kind := range []struct {
		label string
		names []string
	}{
		{"email:", x.SANs.Emails}, {"DNS:", x.SANs.DNSNames}, {"othername: UPN:", x.SANs.UPNs}, {"URI:", x.SANs.URIs},
	} {
		for _, name := range kind.names {
			names = append(names, kind.label+name)
		}
	}
	for _, ip := range x.SANs.IPAddresses {
		names = append(names, "IP Address:"+openSSLAddress(ip))
	}
	if len(names) > 0 {
		values["Subject Alternative Name"] = strings.Join(names, ", ")
		if len(a.subject) == 0 {
			values["Subject Alternative Name"] = "critical " + values["Subject Alternative Name"]
		}
	}
	return values
}

// openSSLAddress prints IPv6 in capitals and with all its zero groups.
func openSSLAddress(ip string) string {
	addr := netip.MustParseAddr(ip)
	if addr.Is4() {
		return ip
	}
	b := addr.As16()
	var groups []string
	for i := 0; i < len(b); i += 2 {
		groups = append(groups, fmt.Sprintf("%X", int(b[i])<<8|int(b[i+1])))
	}
	return strings.Join(groups, ":")
}

// openSSLKeyUsages are in the order of their bits.
var openSSLKeyUsages = []struct{ name, printed string }{
	{"digitalSignature", "Digital Signature"},
	{"nonRepudiation", "Non Repudiation"},
	{"keyEncipherment", "Key Encipherment"},
	{"dataEncipherment", "Data Encipherment"},
	{"keyAgreement", "Key Agreement"},
	{"keyCertSign", "Certificate Sign"},
	{"cRLSign", "CRL Sign"},
	{"encipherOnly", "Encipher Only"},
	{"decipherOnly", "Decipher Only"},
}

var openSSLEKUs = map[string]string{
	"1.3.6.1.5.5.7.3.1":      "TLS Web Server Authentication",
	"1.3.6.1.5.5.7.3.2":      "TLS Web Client Authentication",
	"1.3.6.1.5.5.7.3.3":      "Code Signing",
	"1.3.6.1.5.5.7.3.4":      "E-mail Protection",
	"1.3.6.1.5.5.7.3.8":      "Time Stamping",
	"1.3.6.1.4.1.311.10.3.4": "Microsoft Encrypted File System",
	"1.3.6.1.4.1.55555.300":  "1.3.6.1.4.1.55555.300",
}
