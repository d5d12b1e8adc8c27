package vault_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"encoding/pem"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

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
	params  vault.PolicyParams
	policy  vault.Policy // with the defaults; without times
	subject []string     // lines of OpenSSL: one for each RDN
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
	if a.policy.ContentType == vault.ContentPKCS12 {
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
	{vault.KeyRSA, 2048, ""}:    "rsaEncryption (2048 bit)",
	{vault.KeyEC, 256, "P-256"}: "id-ecPublicKey (256 bit) P-256",
	{vault.KeyEC, 384, "P-384"}: "id-ecPublicKey (384 bit) P-384",
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
		{"DNS:", x.SANs.DNSNames}, {"email:", x.SANs.Emails}, {"othername: UPN:", x.SANs.UPNs}, {"URI:", x.SANs.URIs},
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

// askedFor generates policies of Self that are accepted, and knows what the
// vault completes them to.
func askedFor() *rapid.Generator[asked] {
	return rapid.Custom(func(t *rapid.T) asked {
		kind := rapid.SampledFrom([]keyKind{
			{vault.KeyEC, 256, "P-256"}, {vault.KeyEC, 384, "P-384"}, {vault.KeyRSA, 2048, ""},
		}).Draw(t, "key")
		key := vault.KeyProperties{
			Exportable: rapid.Bool().Draw(t, "exportable"),
			Type:       kind.kty, Size: kind.size, Curve: kind.crv,
			Reuse: rapid.Bool().Draw(t, "reuse"),
		}
		keyParams := &vault.KeyParams{Exportable: &key.Exportable, Type: &key.Type, Size: &key.Size, Reuse: &key.Reuse}
		if key.Curve != "" {
			keyParams.Curve = new(rapid.SampledFrom([]string{key.Curve, strings.ToLower(key.Curve)}).Draw(t, "crv"))
		}
		sent, contentType := vault.PolicyParams{Key: keyParams, Issuer: &vault.IssuerParams{Name: new(vault.IssuerSelf)}}, vault.ContentPKCS12
		if rapid.Bool().Draw(t, "content type is sent") {
			contentType = rapid.SampledFrom([]string{vault.ContentPEM, vault.ContentPKCS12}).Draw(t, "content type")
			sent.ContentType = &contentType
		}
		subject, rdns := drawSubject(t)
		x := vault.X509Properties{
			Subject:        subject,
			SANs:           drawSANs(t, len(rdns) == 0),
			EKUs:           []string{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"},
			KeyUsage:       []string{"digitalSignature", "keyEncipherment"},
			ValidityMonths: rapid.IntRange(1, 1200).Draw(t, "months"),
			CA:             rapid.Bool().Draw(t, "ca"),
		}
		sent.X509 = &vault.X509Params{Subject: &subject, SANs: x.SANs, ValidityMonths: &x.ValidityMonths, CA: &x.CA}
		if rapid.Bool().Draw(t, "EKUs are sent") {
			x.EKUs = rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(openSSLEKUs))), 0, 4, rapid.ID).Draw(t, "EKUs")
			sent.X509.EKUs = x.EKUs
		}
		if rapid.Bool().Draw(t, "key usages are sent") {
			x.KeyUsage, sent.X509.KeyUsage = drawKeyUsage(t)
		}
		return asked{sent, vault.Policy{
			Key: key, ContentType: contentType, X509: x, Enabled: true,
			LifetimeActions: []vault.LifetimeAction{{Percentage: 80, Action: vault.ActionAutoRenew}},
			Issuer:          vault.IssuerParameters{Name: vault.IssuerSelf},
		}, rdns}
	})
}

// drawKeyUsage draws key usages in any order and case, some of them twice, and
// what is made of them.
func drawKeyUsage(t *rapid.T) (usages, sent []string) {
	usages, sent = []string{}, []string{}
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(openSSLKeyUsages)-1), 0, 6).Draw(t, "key usages") {
		usage := openSSLKeyUsages[i].name
		usages = append(usages, usage)
		sent = append(sent, rapid.SampledFrom([]string{usage, strings.ToUpper(usage)}).Draw(t, "spelling"))
	}
	slices.Sort(usages)
	return slices.Compact(usages), sent
}

// drawSANs draws alternative names of all kinds, at least one when some is
// needed.
func drawSANs(t *rapid.T, needed bool) *vault.SANs {
	list := func(kind string, draw func(*rapid.T) string) (names []string) {
		return append(names, rapid.SliceOfN(rapid.Custom(draw), 0, 2).Draw(t, kind)...) // nil when empty, as it is read back
	}
	host := func(t *rapid.T) string {
		return rapid.StringMatching(`[a-zA-Z0-9_]([a-z0-9-]{0,5}[a-z0-9])?(\.[a-z]{2,6}){1,2}`).Draw(t, "host")
	}
	address := func(size int) func(*rapid.T) string {
		return func(t *rapid.T) string {
			addr, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "address"))
			return addr.String()
		}
	}
	s := &vault.SANs{
		DNSNames: list("DNS names", func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"", "*."}).Draw(t, "wildcard") + host(t)
		}),
		Emails: list("emails", func(t *rapid.T) string {
			return rapid.StringMatching(`[a-z+_'-]{1,10}`).Draw(t, "local part") + "@" + host(t)
		}),
		UPNs: list("UPNs", func(t *rapid.T) string {
			return rapid.StringMatching(`[a-zé漢\\][a-zé漢 .\\]{0,8}@[a-z]{1,8}`).Draw(t, "UPN")
		}),
		URIs: list("URIs", func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"https", "spiffe", "ldap"}).Draw(t, "scheme") + "://" + host(t) +
				rapid.StringMatching(`(:[0-9]{1,4})?(/[a-z0-9._-]{1,5}){0,2}(\?[a-z]=%20)?`).Draw(t, "path")
		}),
		IPAddresses: append(list("IPv4 addresses", address(4)), list("IPv6 addresses", address(16))...),
	}
	if needed && len(s.DNSNames)+len(s.Emails)+len(s.UPNs)+len(s.URIs)+len(s.IPAddresses) == 0 {
		s.DNSNames = []string{host(t)}
	}
	return s
}

// attributes are some that subjects have: how callers and OpenSSL call them, and
// of which characters they are made.
var attributes = []struct{ keyword, short, characters string }{
	{"CN", "CN", directoryCharacters},
	{"o", "O", directoryCharacters},
	{"OU", "OU", directoryCharacters},
	{"L", "L", directoryCharacters},
	{"S", "ST", directoryCharacters},
	{"STREET", "street", directoryCharacters},
	{"T", "title", directoryCharacters},
	{"G", "GN", directoryCharacters},
	{"SN", "SN", directoryCharacters},
	{"PostalCode", "postalCode", directoryCharacters},
	{"SERIALNUMBER", "serialNumber", `abXY09 -.,+=`},
	{"DC", "DC", `abXY09 -_,;+="\#<>`},
	{"E", "emailAddress", `abXY09@._"\+`},
	{"OID.1.2.3", "1.2.3", directoryCharacters},
	{"2.5.4.65", "pseudonym", directoryCharacters},
}

const directoryCharacters = `abXY09 .-_,;+="\#<>é漢`

// drawSubject draws a subject as a caller writes it, and its RDNs as
// subjectLines finds them.
func drawSubject(t *rapid.T) (written string, rdns []string) {
	rdns = []string{}
	var b strings.Builder
	for i := range rapid.IntRange(0, 4).Draw(t, "RDNs") {
		if i > 0 {
			b.WriteString(rapid.SampledFrom([]string{",", ", ", ";", " ; "}).Draw(t, "separator"))
		}
		var rdn []string
		most := rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "most attributes")
		for j, k := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(attributes)-1), 1, most, rapid.ID).Draw(t, "attributes") {
			if j > 0 {
				b.WriteString(rapid.SampledFrom([]string{"+", " + "}).Draw(t, "plus"))
			}
			a := attributes[k]
			text := rapid.StringOfN(rapid.SampledFrom([]rune(a.characters)), 1, 12, -1).Draw(t, "text")
			b.WriteString(a.keyword + "=" + drawForm(t, text))
			rdn = append(rdn, a.short+"="+text)
		}
		rdns = append(rdns, sortedRDN(strings.Split(strings.Join(rdn, " + "), " + ")))
	}
	return b.String(), rdns
}

// drawForm writes an attribute's value in one of the forms of RFC 4514 or .NET.
func drawForm(t *rapid.T, text string) string {
	switch rapid.SampledFrom([]string{"escaped", "quoted", "hexadecimal"}).Draw(t, "form") {
	case "quoted":
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `""`).Replace(text) + `"`
	case "hexadecimal":
		ber, err := asn1.MarshalWithParams(text, "utf8")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("#%x", ber)
	}
	var b strings.Builder
	for i, r := range text {
		first, last := i == 0, i == len(text)-1
		if strings.ContainsRune(`",+;<=>\`, r) || r == '#' && first || r == ' ' && (first || last) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
