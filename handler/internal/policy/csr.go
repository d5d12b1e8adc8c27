package policy

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
)

// NewCSR makes the PKCS #10 request (RFC 2986) of a policy for a key: the subject, then
// key usage, extended key usage, subject alternative names and basic constraints as
// requested extensions. It is signed with SHA-256 for RSA and P-256, SHA-384 for P-384 and SHA-512 for P-521.
func NewCSR(p Policy, key crypto.Signer) ([]byte, error) {
	subject, err := parseSubject(p.X509.Subject)
	if err != nil {
		return nil, fmt.Errorf("making a CSR: %w", err)
	}
	extensions, err := p.X509.extensions()
	if err != nil {
		return nil, fmt.Errorf("making a CSR: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject:      subject,
		ExtraExtensions: extensions,
	}, key)
	if err == nil {
		// Names of an imported certificate may be such that no CA reads them.
		_, err = x509.ParseCertificateRequest(der)
	}
	if err != nil {
		return nil, fmt.Errorf("making a CSR: %w", err)
	}
	return der, nil
}
