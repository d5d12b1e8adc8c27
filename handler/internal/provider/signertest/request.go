package signertest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
)

// RequestID is that of every Request.
const RequestID = "0123456789abcdef0123456789abcdef"

// Request is an operation for names that was created a minute before now. UPNs, for
// which crypto/x509 has no field, are in its policy only. Its private key must not
// be asked for.
func Request(t testing.TB, issuer provider.Issuer, now time.Time, cn string, sans policy.SANs) provider.Request {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}, DNSNames: sans.DNSNames, EmailAddresses: sans.Emails}
	for _, text := range sans.IPAddresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(text))
	}
	for _, text := range sans.URIs {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return provider.Request{
		ID: RequestID, Certificate: "web", CSR: csr, Created: now.Add(-time.Minute), Attempts: 1,
		Policy: policy.Policy{X509: policy.X509Properties{SANs: &sans, ValidityMonths: 12}},
		Issuer: issuer,
		Key: func(context.Context) (crypto.Signer, error) {
			t.Error("the private key was opened")
			return nil, io.EOF
		},
	}
}

// Parse reads a chain.
func Parse(t testing.TB, chain [][]byte) []*x509.Certificate {
	t.Helper()
	var list []*x509.Certificate
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

// SameKey reports whether a certificate has the key of a CSR.
func SameKey(t testing.TB, leaf *x509.Certificate, csrDER []byte) bool {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Equal(leaf.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo)
}

// PEM is a certificate in PEM.
func PEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Pool is a pool of roots.
func Pool(roots ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, root := range roots {
		p.AddCert(root)
	}
	return p
}
