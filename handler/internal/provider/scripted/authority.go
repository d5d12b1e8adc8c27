package scripted

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
)

// authority is a CA that lives for one certificate.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue makes a root, an intermediate CA below it and the certificate that csr
// asks for, and returns them leaf first.
func (p *Provider) issue(csr *x509.CertificateRequest, x policy.X509Properties, now time.Time) ([][]byte, error) {
	notBefore, notAfter := x.Validity(now)
	root, err := newAuthority("Certwright Test Root", notBefore, notAfter, nil)
	if err != nil {
		return nil, err
	}
	intermediate, err := newAuthority("Certwright Test Intermediate", notBefore, notAfter, root)
	if err != nil {
		return nil, err
	}
	template, err := policy.Template(csr, x, now, intermediate.certificate.SubjectKeyId, p.cfg.Rand)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, intermediate.certificate, template.PublicKey, intermediate.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	return [][]byte{leaf, intermediate.certificate.Raw, root.certificate.Raw}, nil
}

// newAuthority makes a CA below parent, a root when parent is nil.
func newAuthority(name string, notBefore, notAfter time.Time, parent *authority) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating the key of %s: %w", name, err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if parent == nil {
		parent = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.certificate, key.Public(), parent.key)
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return &authority{certificate, key}, nil
}
