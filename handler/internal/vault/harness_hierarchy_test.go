package vault_test

// Chains of CAs for tests.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// certifier is a CA of a hierarchy, with its own certificate.
type certifier struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// newCertifier makes a CA below parent, a root when that is nil.
func newCertifier(t testing.TB, name string, parent *certifier) *certifier {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: newClock().Now().AddDate(-1, 0, 0), NotAfter: newClock().Now().AddDate(10, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent = &certifier{template, key}
	}
	return &certifier{parent.certify(t, template, key.Public()), key}
}

// certify signs a certificate, valid from the beginning of tests for a year
// unless the template has another time.
func (c *certifier) certify(t testing.TB, template *x509.Certificate, pub crypto.PublicKey) *x509.Certificate {
	t.Helper()
	if template.NotAfter.IsZero() {
		template.NotBefore = newClock().Now().Truncate(24 * time.Hour)
		template.NotAfter = template.NotBefore.AddDate(1, 0, 0)
	}
	template.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, template, c.Certificate, pub, c.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
