package stepca

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
)

// signing asks for a certificate.
type signing struct {
	CSR      string `json:"csr"` // PEM
	Token    string `json:"ott"`
	NotAfter string `json:"notAfter"` // from the server's now, in seconds, as 3600s
}

// unfitError is of a CSR that cannot be sent.
type unfitError struct{ why string }

func (e *unfitError) Error() string { return "The CSR cannot be sent to step-ca: " + e.why + "." }

// newSigning describes an operation to the server, with a token of its own. Its
// error may be an *unfitError.
func (p *Provider) newSigning(req provider.Request, jwk provisioner) (signing, error) {
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		return signing{}, &unfitError{err.Error()}
	}
	sans := names(csr)
	subject := csr.Subject.CommonName
	if subject == "" && len(sans) > 0 {
		subject = sans[0] // a token must have one
	}
	if subject == "" {
		return signing{}, &unfitError{"it has neither a common name nor an alternative name"}
	}
	fingerprint := sha256.Sum256(csr.Raw)
	claims := jwt.MapClaims{
		"sub":  subject,
		"sans": sans,
		"cnf":  map[string]string{"x5rt#S256": base64.RawURLEncoding.EncodeToString(fingerprint[:])},
	}
	token, err := p.token(jwk, "/1.0/sign", claims)
	if err != nil {
		return signing{}, err
	}
	return signing{
		CSR:      string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: req.CSR})),
		Token:    token,
		NotAfter: fmt.Sprintf("%ds", int64(p.validity(req.Policy.X509).Seconds())),
	}, nil
}

// validity is how long a certificate is to be valid.
func (p *Provider) validity(x policy.X509Properties) time.Duration {
	now := p.cfg.Now()
	_, notAfter := x.Validity(now)
	validity := notAfter.Sub(now)
	if p.cfg.MaxValidity > 0 {
		validity = min(validity, p.cfg.MaxValidity)
	}
	return validity
}

// names are the alternative names of a CSR, which those of its token must equal.
func names(csr *x509.CertificateRequest) []string {
	list := append([]string{}, csr.DNSNames...)
	list = append(list, csr.EmailAddresses...)
	for _, ip := range csr.IPAddresses {
		list = append(list, ip.String())
	}
	for _, uri := range csr.URIs {
		list = append(list, uri.String())
	}
	return list
}
