package privateca_test

// A CA of tests, requests to it, and OpenSSL's opinion.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rsaKey is the one RSA key of these tests.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ca is a root, or a CA below another one.
type ca struct {
	key   crypto.Signer
	chain []*x509.Certificate
	opens atomic.Int32 // of the key
}

// newCA makes a CA, valid for ten years around start, that change makes special.
func newCA(t testing.TB, above *ca, key crypto.Signer, change func(*x509.Certificate)) *ca {
	t.Helper()
	id, err := policy.KeyID(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Root", Organization: []string{"Contoso"}}, SubjectKeyId: id,
		NotBefore: start.AddDate(-5, 0, 0), NotAfter: start.AddDate(5, 0, 0),
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: -1, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	parent, signer := template, key
	if above != nil {
		template.Subject.CommonName = "Issuing CA"
		parent, signer = above.chain[0], above.key
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	made := &ca{key: key, chain: []*x509.Certificate{c}}
	if above != nil {
		made.chain = append(made.chain, above.chain...)
	}
	return made
}

// newPair makes a root and a CA below it.
func newPair(t testing.TB) *ca {
	t.Helper()
	return newCA(t, newCA(t, nil, ecKey(t, elliptic.P384()), nil), ecKey(t, elliptic.P256()), nil)
}

func (c *ca) open(context.Context) (crypto.Signer, error) {
	c.opens.Add(1)
	return c.key, nil
}

// config is what makes c a Provider at start.
func (c *ca) config() privateca.Config {
	return privateca.Config{Chain: c.chain, Key: c.open, Now: func() time.Time { return start }}
}

func issuer(t testing.TB, cfg privateca.Config) *privateca.Provider {
	t.Helper()
	i, err := privateca.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// story is a vault with the providers corp and instant.
type story struct {
	*vault.Vault
	elapsed atomic.Int64
}

func newStory(t testing.TB, c *ca, profile privateca.Profile) *story {
	t.Helper()
	s := new(story)
	cfg := c.config()
	cfg.Profile, cfg.Now = profile, s.now
	i := issuer(t, cfg)
	cfg.Instant = true
	s.open(t, map[string]provider.Provider{"self": i, "corp": i, "instant": issuer(t, cfg)})
	for _, provider := range []string{"corp", "instant"} {
		name, err := vault.ParseIssuerName(provider)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.SetIssuer(t.Context(), name, vault.IssuerSet{Provider: &provider}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *story) now() time.Time { return start.Add(time.Duration(s.elapsed.Load())) }

func (s *story) open(t testing.TB, issuers map[string]provider.Provider) {
	t.Helper()
	plain := func(_ context.Context, kind, name, id string, data []byte) ([]byte, error) {
		return bytes.Clone(data), nil
	}
	var err error
	s.Vault, err = vault.New(vault.Config{
		Store: new(memory.Store), Seal: plain, Open: plain, Providers: issuers, Now: s.now,
		Sleep: func(_ context.Context, d time.Duration) error { s.elapsed.Add(int64(d)); return nil },
		NewKey: func(k policy.KeyProperties) (crypto.Signer, error) {
			if k.Type == policy.KeyRSA {
				return rsaKey(), nil
			}
			return policy.GenerateKey(k)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// create begins an operation for the certificate web.
func (s *story) create(ctx context.Context, issuer string, x policy.X509Params, key policy.KeyParams) (vault.Name, vault.Operation, error) {
	name, err := vault.ParseName("web")
	if err != nil {
		return name, vault.Operation{}, err
	}
	op, err := s.Create(ctx, name, vault.CreateParams{Policy: &policy.Params{Key: &key, X509: &x, Issuer: &policy.IssuerParams{Name: &issuer}}})
	return name, op, err
}

var ec256 = policy.KeyParams{Type: new("EC"), Curve: new("P-256")}

// request is an operation as a vault makes it.
func request(t testing.TB, x policy.X509Params, key policy.KeyParams) provider.Request {
	t.Helper()
	s := new(story)
	s.open(t, map[string]provider.Provider{"self": selfsigned.New(selfsigned.Config{})})
	_, op, err := s.create(t.Context(), policy.IssuerUnknown, x, key)
	if err != nil {
		t.Fatal(err)
	}
	return provider.Request{ID: op.RequestID, Certificate: "web", CSR: op.CSR, Policy: op.Policy, Created: start, Attempts: 1}
}

func webRequest(t testing.TB) provider.Request {
	t.Helper()
	return request(t, policy.X509Params{Subject: new("CN=www.contoso.com"), SANs: &policy.SANs{DNSNames: []string{"www.contoso.com"}}}, ec256)
}

// run takes both steps.
func run(t testing.TB, i *privateca.Provider, req provider.Request) provider.Outcome {
	t.Helper()
	state, out := i.Step(t.Context(), req, nil)
	if out.Kind == provider.OutcomePending {
		return second(t, i, req, state)
	}
	return out
}

// second takes the step that follows a state.
func second(t testing.TB, i *privateca.Provider, req provider.Request, state []byte) provider.Outcome {
	t.Helper()
	_, out := i.Step(t.Context(), req, state)
	return out
}

// brief is an outcome without its chain.
func brief(out provider.Outcome) string {
	return strings.TrimSpace(fmt.Sprintln(out.Kind, out.Code, out.Message, out.Detail))
}

// issued is the certificate of an outcome.
func issued(t testing.TB, out provider.Outcome) *x509.Certificate {
	t.Helper()
	if out.Kind != provider.OutcomeIssued {
		t.Fatal(brief(out))
	}
	leaf, err := x509.ParseCertificate(out.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// verify has Go's verifier accept a certificate under the CA's real chain.
func verify(t rapid.TB, c *ca, leaf *x509.Certificate) {
	t.Helper()
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(c.chain[len(c.chain)-1])
	for _, certificate := range c.chain[:len(c.chain)-1] {
		between.AddCert(certificate)
	}
	purposes := leaf.ExtKeyUsage
	if len(purposes) == 0 {
		purposes = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} // it has others, that Go has no names for
	}
	for _, purpose := range purposes {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: start, KeyUsages: []x509.ExtKeyUsage{purpose}}); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// writePEM writes certificates, or a CRL, into a file of their own.
func writePEM(t testing.TB, blockType string, ders ...[]byte) string {
	t.Helper()
	var b bytes.Buffer
	for _, der := range ders {
		if err := pem.Encode(&b, &pem.Block{Type: blockType, Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// openssl runs OpenSSL and returns what it prints without the spaces around
// lines.
func openssl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command("openssl", args...).CombinedOutput()
	var text strings.Builder
	for line := range strings.Lines(string(out)) {
		text.WriteString(strings.TrimSpace(line) + "\n")
	}
	return text.String(), err
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
