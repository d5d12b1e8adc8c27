package stepca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"time"
)

// lifetime of the CA's own certificates: longer than any certificate that a test
// asks for.
const lifetime = 20 * 365 * 24 * time.Hour

// authority is the key of a CA with its certificate.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// newAuthority makes a CA below parent, or a root when that is nil.
func newAuthority(name string, parent *authority, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of %q: %w", name, err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	a := &authority{key: key}
	if parent == nil {
		parent = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.certificate, key.Public(), parent.key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate of %q: %w", name, err)
	}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

// jwk is a key of the curve P-256. RFC 7518 section 6.2.
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	Kid string `json:"kid"`
	X   string `json:"x"`
	Y   string `json:"y"`
	D   string `json:"d,omitempty"` // of a private key
}

// newJWK makes a key pair and names it by its thumbprint (RFC 7638).
func newJWK() (private, public jwk, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return jwk{}, jwk{}, fmt.Errorf("making a provisioner's key: %w", err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return jwk{}, jwk{}, fmt.Errorf("making a provisioner's key: %w", err)
	}
	d, err := key.Bytes()
	if err != nil {
		return jwk{}, jwk{}, fmt.Errorf("making a provisioner's key: %w", err)
	}
	const size = 32 // octets of a coordinate; 4, for uncompressed, precedes them
	text := base64.RawURLEncoding.EncodeToString
	public = jwk{Kty: "EC", Crv: "P-256", X: text(point[1 : 1+size]), Y: text(point[1+size:])}
	thumbprint := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, public.X, public.Y))
	public.Kid = text(thumbprint[:])
	private = public
	private.D = text(d)
	return private, public, nil
}
