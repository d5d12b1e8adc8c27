package e2e

// A CA that signs what a merge needs.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// authority is a CA that people bring CSRs to: a root and an issuing certificate.
type authority struct {
	root, issuing []byte // DER
	parent        *x509.Certificate
	key           *ecdsa.PrivateKey
}

// certificateAuthority is the one of this run.
var certificateAuthority = sync.OnceValues(newAuthority)

func newAuthority() (*authority, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "End-to-end root"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	issuing := *root
	issuing.SerialNumber, issuing.Subject = newSerial(), pkix.Name{CommonName: "End-to-end issuing CA"}
	a := &authority{parent: &issuing, key: key}
	if a.root, err = x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey); err != nil {
		return nil, err
	}
	a.issuing, err = x509.CreateCertificate(rand.Reader, &issuing, root, &key.PublicKey, rootKey)
	return a, err
}

func newSerial() *big.Int { return new(big.Int).SetBytes([]byte(rand.Text()[:16])) }

// sign issues a certificate, in DER, for the key and the subject of a CSR.
func (a *authority) sign(csr []byte) ([]byte, error) {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("reading the CSR: %w", err)
	}
	now := time.Now()
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: newSerial(), Subject: request.Subject, DNSNames: request.DNSNames,
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}, a.parent, request.PublicKey, a.key)
}

// serve lets programs bring a CSR in DER and take a chain home: leaf and issuing
// certificate, in PEM.
func (a *authority) serve(t testing.TB) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		csr, err := io.ReadAll(io.LimitReader(r.Body, answerLimit))
		if err != nil {
			return // the client has gone
		}
		leaf, err := a.sign(csr)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, der := range [][]byte{leaf, a.issuing} {
			pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // what fails is the client's connection
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}
