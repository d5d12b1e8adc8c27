package kvhttp

// Imports by HTTP.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/certwright/certwright/handler/internal/policy"
)

// pair is a key with a certificate for it and the chain to a root.
type pair struct {
	key   crypto.Signer
	chain []*x509.Certificate // leaf, intermediate, root
}

func newPair(t testing.TB, now time.Time) pair {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	sign := func(name string, isCA bool, pub crypto.PublicKey, parent *x509.Certificate, parentKey crypto.Signer) *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber:          big.NewInt(1),
			Subject:               pkix.Name{CommonName: name},
			NotBefore:             now,
			NotAfter:              now.AddDate(1, 0, 0),
			KeyUsage:              x509.KeyUsageDigitalSignature,
			BasicConstraintsValid: true,
			IsCA:                  isCA,
		}
		if isCA {
			template.KeyUsage = x509.KeyUsageCertSign
		}
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	rootKey, middleKey, leafKey := newKey(), newKey(), newKey()
	root := sign("Root", true, rootKey.Public(), nil, rootKey)
	middle := sign("Intermediate", true, middleKey.Public(), root, rootKey)
	leaf := sign("leaf.example", false, leafKey.Public(), middle, middleKey)
	return pair{leafKey, []*x509.Certificate{leaf, middle, root}}
}

func (p pair) pem(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, c := range p.chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return string(out)
}

func (p pair) pfx(t testing.TB, password string) string {
	t.Helper()
	der, err := pkcs12.Modern2023.Encode(p.key, p.chain[0], p.chain[1:], password)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func pemPair(t testing.TB, now time.Time) string {
	t.Helper()
	return newPair(t, now).pem(t)
}

// importOf is the body of an import.
func importOf(value string, more ...string) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // a text is JSON
	}
	return `{"value":` + strings.Join(append([]string{string(text)}, more...), ",") + "}"
}

// Every form in which clients send a certificate with its key, and what the
// secret makes of it.
func TestImport(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	p := newPair(t, s.clock.Now())
	text := p.pem(t)
	const asPEM = `"policy":{"secret_props":{"contentType":"application/x-pem-file"}}`
	const asPKCS12 = `"policy":{"secret_props":{"contentType":"application/x-pkcs12"}}`
	for _, tt := range []struct {
		name, body  string
		contentType string
	}{
		{"pfx", importOf(p.pfx(t, "")), policy.ContentPKCS12},
		{"pfx-password", importOf(p.pfx(t, "secret"), `"pwd":"secret"`), policy.ContentPKCS12},
		{"pfx-line", importOf(p.pfx(t, "") + "\n"), policy.ContentPKCS12}, // Azure CLI
		{"pem", importOf(text, asPEM), policy.ContentPEM},                 // .NET, Java
		{"pem-no-policy", importOf(text), policy.ContentPEM},
		{"pem-crlf", importOf(strings.ReplaceAll(text, "\n", "\r\n")), policy.ContentPEM},
		{"pem-base64", importOf(base64.StdEncoding.EncodeToString([]byte(text)), asPEM), policy.ContentPEM}, // Python
		{"pem-to-pfx", importOf(text, asPKCS12), policy.ContentPKCS12},
		{"nulls", importOf(text, `"pwd":null,"policy":null,"attributes":null,"tags":null,"preserveCertOrder":null`), policy.ContentPEM},
	} {
		imported := s.must("POST", "/certificates/"+tt.name+"/import"+v74, tt.body)
		if imported.field(t, "cer") != stdBase64(p.chain[0].Raw) || imported.field(t, "pending") != nil || imported.field(t, "policy.issuer.name") != "Unknown" ||
			imported.field(t, "policy.x509_props.subject") != "CN=leaf.example" || imported.field(t, "policy.secret_props.contentType") != tt.contentType {
			t.Errorf("%s: got %s", tt.name, imported.body)
		}
		if got := s.must("GET", "/certificates/"+tt.name+"/"+v74, ""); got.body != imported.body {
			t.Errorf("%s: GET answers %s, import answered %s", tt.name, got.body, imported.body)
		}
		key, chain := s.secret(tt.name)
		if !p.key.(*ecdsa.PrivateKey).Equal(key) || !slices.EqualFunc(chain, p.chain, (*x509.Certificate).Equal) {
			t.Errorf("%s: the secret has another key or chain", tt.name)
		}
	}
	a := s.must("POST", "/certificates/disabled/import"+v74, importOf(text, `"attributes":{"enabled":false},"tags":{"a":"b"}`))
	if a.field(t, "attributes.enabled") != false || a.field(t, "tags.a") != "b" {
		t.Errorf("got %s, want it disabled and with its tag", a.body)
	}
	s.must("POST", "/certificates/kept/import"+v74, importOf(text, `"policy":{"key_props":{"exportable":false}}`))
	if key, chain := s.secret("kept"); key != nil || len(chain) != 3 {
		t.Errorf("the secret of a key that is not exportable has key %v and %d certificates, want none and 3", key, len(chain))
	}
}

// secret reads a certificate's secret: its key, nil if it has none, and its
// certificates.
func (s *service) secret(name string) (key any, chain []*x509.Certificate) {
	s.t.Helper()
	a := s.must("GET", "/secrets/"+name+"/"+v74, "")
	value := a.field(s.t, "value").(string)
	if a.field(s.t, "contentType") == policy.ContentPEM {
		for block, rest := pem.Decode([]byte(value)); block != nil; block, rest = pem.Decode(rest) {
			var err error
			if block.Type == "PRIVATE KEY" {
				key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
			} else {
				var c *x509.Certificate
				c, err = x509.ParseCertificate(block.Bytes)
				chain = append(chain, c)
			}
			if err != nil {
				s.t.Fatal(err)
			}
		}
		return key, chain
	}
	der, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		s.t.Fatal(err)
	}
	key, leaf, rest, err := pkcs12.DecodeChain(der, "")
	if err != nil {
		s.t.Fatal(err)
	}
	chain = append([]*x509.Certificate{leaf}, rest...) // as the library has them, which is the file's order
	slices.Reverse(chain)
	return key, chain
}

// An EC key is shown by its point, with leading zeros.
func TestECKey(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	p := newPair(t, s.clock.Now())
	s.must("POST", "/certificates/ec/import"+v74, importOf(p.pem(t)))
	a := s.must("GET", "/keys/ec"+v74, "")
	point, err := p.key.Public().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if a.field(t, "key.kty") != "EC" || a.field(t, "key.crv") != "P-256" || a.field(t, "key.n") != nil ||
		a.field(t, "key.x") != urlBase64(point[1:33]) || a.field(t, "key.y") != urlBase64(point[33:]) {
		t.Errorf("got %s, want the point %x", a.body, point)
	}
	if got := a.field(t, "key.key_ops"); !cmp.Equal(got, []any{"sign", "verify"}) {
		t.Errorf("got key_ops %v, want sign and verify", got)
	}
}
