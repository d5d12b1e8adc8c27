// Package certtest makes keys and certificates for tests, and asks OpenSSL about
// them.
package certtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"os/exec"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Time is when the certificates of NewCA and Leaf are valid.
var Time = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Keys are made once each; key pairs are what tests take longest for.
var Keys = map[string]func() crypto.Signer{
	"RSA":   sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) }),
	"P-256": sync.OnceValue(func() crypto.Signer { return newEC(elliptic.P256()) }),
	"P-384": sync.OnceValue(func() crypto.Signer { return newEC(elliptic.P384()) }),
	"P-521": sync.OnceValue(func() crypto.Signer { return newEC(elliptic.P521()) }),
}

func newEC(curve elliptic.Curve) crypto.Signer { return must(ecdsa.GenerateKey(curve, rand.Reader)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// CA signs certificates.
type CA struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// NewCA makes a CA below parent, a root when parent is nil.
func NewCA(t rapid.TB, name string, parent *CA) *CA {
	t.Helper()
	key := newEC(elliptic.P256())
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             Time.Add(-time.Hour),
		NotAfter:              Time.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if parent == nil {
		parent = &CA{template, key}
	}
	return &CA{parent.Issue(t, template, key.Public()), key}
}

// Issue signs a certificate of the public key.
func (ca *CA) Issue(t rapid.TB, template *x509.Certificate, pub crypto.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Cert, pub, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Leaf is the template of a certificate for one host, valid for three months
// from Time.
func Leaf(host string) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: host},
		NotBefore: Time,
		NotAfter:  Time.AddDate(0, 3, 0),
	}
}

// OpenSSL runs OpenSSL on input and returns what it prints.
func OpenSSL(t testing.TB, input []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, stderr.Bytes())
	}
	return out
}
