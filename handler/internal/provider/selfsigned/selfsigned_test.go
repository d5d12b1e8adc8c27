package selfsigned_test

// Self-signed certificates, as OpenSSL reads them.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// keys holds a key pair of each kind; most of the time would go into them.
var keys sync.Map

func pooledKey(k policy.KeyProperties) (crypto.Signer, error) {
	kind := policy.KeyProperties{Type: k.Type, Size: k.Size, Curve: k.Curve}
	if key, ok := keys.Load(kind); ok {
		return key.(crypto.Signer), nil
	}
	key, err := policy.GenerateKey(kind)
	if err == nil {
		keys.Store(kind, key)
	}
	return key, err
}

// issue has a vault make a certificate of the issuer Self and returns its CSR
// and leaf.
func issue(t rapid.TB, p policy.Params) (csr *x509.CertificateRequest, leaf *x509.Certificate) {
	t.Helper()
	var elapsed atomic.Int64
	now := func() time.Time { return start.Add(time.Duration(elapsed.Load())) }
	plain := func(_ context.Context, kind, name, id string, data []byte) ([]byte, error) {
		return bytes.Clone(data), nil
	}
	v, err := vault.New(vault.Config{
		Store:     new(memory.Store),
		Seal:      plain,
		Open:      plain,
		Providers: map[string]provider.Provider{"self": selfsigned.New(selfsigned.Config{Now: now})},
		NewKey:    pooledKey,
		Now:       now,
	})
	if err != nil {
		t.Fatal(err)
	}
	name, err := vault.ParseName("a")
	if err != nil {
		t.Fatal(err)
	}
	p.Issuer = &policy.IssuerParams{Name: new("Self")}
	op, err := v.Create(context.Background(), name, vault.CreateParams{Policy: &p})
	if err != nil {
		t.Fatal(err)
	}
	elapsed.Store(int64(time.Minute))
	op, err = v.Operation(context.Background(), name, op.RequestID)
	if err != nil {
		t.Fatal(err)
	}
	if string(op.Status) != "completed" {
		t.Fatalf("operation is %s: %+v", op.Status, op.Error)
	}
	c, err := v.Certificate(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	if csr, err = x509.ParseCertificateRequest(op.CSR); err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(c.Leaf); err != nil {
		t.Fatal(err)
	}
	return csr, leaf
}

func TestStepOpenSSL(t *testing.T) {
	t.Parallel()
	_, leaf := issue(t, policy.Params{X509: &policy.X509Params{
		Subject: new(`CN=www.contoso.com, O="Contoso, Ltd.", C=CH`),
		SANs: &policy.SANs{
			DNSNames:    []string{"www.contoso.com"},
			UPNs:        []string{"ada@contoso.com"},
			IPAddresses: []string{"2001:0db8::1"},
		},
		ValidityMonths: new(1),
	}})
	in := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	text := openssl(t, in, "x509", "-noout", "-text", "-nameopt", "sep_comma_plus_space,utf8,esc_2253,sname")
	for _, part := range []string{
		"Issuer: C=CH, O=Contoso\\, Ltd., CN=www.contoso.com\n",
		"Subject: C=CH, O=Contoso\\, Ltd., CN=www.contoso.com\n",
		"Not Before: Jan 31 11:51:00 2026 GMT\n",
		"Not After : Feb 28 12:01:00 2026 GMT\n",
		"Public-Key: (2048 bit)\n",
		"X509v3 Key Usage: critical\nDigital Signature, Key Encipherment\n",
		"X509v3 Basic Constraints:\nCA:FALSE\n",
		"X509v3 Extended Key Usage:\nTLS Web Server Authentication, TLS Web Client Authentication\n",
		"X509v3 Subject Alternative Name:\nDNS:www.contoso.com, othername: UPN::ada@contoso.com, IP Address:2001:DB8:0:0:0:0:0:1\n",
		"Signature Algorithm: sha256WithRSAEncryption\n",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	at := 0
	for _, extension := range []string{"Key Usage", "Basic Constraints", "Extended Key Usage", "Subject Alternative Name", "Authority Key Identifier", "Subject Key Identifier"} {
		i := strings.Index(text[at:], "X509v3 "+extension)
		if i < 0 {
			t.Fatalf("no %s in its place in\n%s", extension, text)
		}
		at += i
	}
	if got := len(leaf.SerialNumber.Bytes()); got != 16 || leaf.SerialNumber.Sign() <= 0 {
		t.Errorf("serial number %x", leaf.SerialNumber)
	}
	if !bytes.Equal(leaf.SubjectKeyId, leaf.AuthorityKeyId) || len(leaf.SubjectKeyId) == 0 {
		t.Errorf("key identifiers %x and %x", leaf.SubjectKeyId, leaf.AuthorityKeyId)
	}
	// OpenSSL takes it as its own root.
	file := t.TempDir() + "/leaf.pem"
	if err := os.WriteFile(file, in, 0o600); err != nil {
		t.Fatal(err)
	}
	openssl(t, nil, "verify", "-attime", "1770000000", "-check_ss_sig", "-CAfile", file, file)
}

// Whatever the policy, the certificate is what its CSR asks for, byte for byte,
// and its own key signed it.
func TestStepFollowsCSR(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		some := func(name string, list ...string) []string {
			return rapid.SliceOfN(rapid.SampledFrom(list), 0, len(list)).Draw(t, name)
		}
		csr, leaf := issue(t, policy.Params{
			Key: &policy.KeyParams{Type: new("EC"), Curve: new(rapid.SampledFrom([]string{"P-256", "P-384"}).Draw(t, "curve"))},
			X509: &policy.X509Params{
				Subject: new(rapid.SampledFrom([]string{"CN=a", "O=x; OU=y+CN=z", "C=CH,CN=Zürich"}).Draw(t, "subject")),
				SANs: &policy.SANs{
					DNSNames:    some("dns", "example.com", "*.example.com"),
					Emails:      some("emails", "ada@example.com"),
					UPNs:        some("upns", "ada@corp", "Zoë"),
					URIs:        some("uris", "spiffe://example.com/a"),
					IPAddresses: some("ips", "192.0.2.1", "2001:0db8::1"),
				},
				EKUs:           some("ekus", "1.3.6.1.5.5.7.3.1", "1.2.3"),
				KeyUsage:       some("usages", "digitalSignature", "keyCertSign", "decipherOnly"),
				ValidityMonths: new(rapid.IntRange(1, 1200).Draw(t, "months")),
				CA:             new(rapid.Bool().Draw(t, "ca")),
			},
		})
		if !bytes.Equal(leaf.RawSubject, csr.RawSubject) || !bytes.Equal(leaf.RawIssuer, csr.RawSubject) {
			t.Fatalf("subject %x, issuer %x, in the CSR %x", leaf.RawSubject, leaf.RawIssuer, csr.RawSubject)
		}
		if err := leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature); err != nil {
			t.Fatal(err)
		}
		if len(leaf.Extensions) != len(csr.Extensions)+2 {
			t.Fatalf("%d extensions of %d", len(leaf.Extensions), len(csr.Extensions))
		}
		for _, want := range csr.Extensions {
			if !slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool {
				return e.Id.Equal(want.Id) && e.Critical == want.Critical && bytes.Equal(e.Value, want.Value)
			}) {
				t.Fatalf("extension %s is missing or another", want.Id)
			}
		}
	})
}

func TestStepFailures(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	gives := func(key crypto.Signer, err error) func(context.Context) (crypto.Signer, error) {
		return func(context.Context) (crypto.Signer, error) { return key, err }
	}
	x := policy.X509Properties{ValidityMonths: 12}
	for _, c := range []struct {
		name string
		cfg  selfsigned.Config
		req  provider.Request
		want provider.OutcomeKind
	}{
		{"issued", selfsigned.Config{}, provider.Request{CSR: csr, Key: gives(key, nil)}, provider.OutcomeIssued},
		{"no CSR", selfsigned.Config{}, provider.Request{CSR: []byte("CSR"), Key: gives(key, nil)}, provider.OutcomeFailed},
		{"another key", selfsigned.Config{}, provider.Request{CSR: csr, Key: gives(other, nil)}, provider.OutcomeFailed},
		{"no key now", selfsigned.Config{}, provider.Request{CSR: csr, Key: gives(nil, errors.New("storage is away"))}, provider.OutcomeRetry},
		{"no entropy", selfsigned.Config{Rand: iotest.ErrReader(errors.New("none"))}, provider.Request{CSR: csr, Key: gives(key, nil)}, provider.OutcomeRetry},
	} {
		c.req.Policy.X509 = x
		state, out := selfsigned.New(c.cfg).Step(t.Context(), c.req, []byte(`{"a":1}`))
		if out.Kind != c.want || string(state) != `{"a":1}` {
			t.Errorf("%s: %+v, state %s", c.name, out, state)
		}
		if out.Kind == provider.OutcomeFailed && (out.Code != provider.CodeIssuerError || out.Message == "") {
			t.Errorf("%s: %+v", c.name, out)
		}
		if out.Kind == provider.OutcomeRetry && out.Detail == "" {
			t.Errorf("%s: %+v", c.name, out)
		}
	}
}

// openssl runs OpenSSL on input and returns what it prints without the spaces
// around lines.
func openssl(t testing.TB, input []byte, args ...string) string {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, stderr.Bytes())
	}
	var text strings.Builder
	for line := range strings.Lines(string(out)) {
		text.WriteString(strings.TrimSpace(line) + "\n")
	}
	return text.String()
}
