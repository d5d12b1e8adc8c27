package webhook

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/certwright/certwright/handler/internal/provider"
)

// revocation asks for the revocation of a certificate.
type revocation struct {
	Serial            string `json:"serial"`            // hexadecimal
	CertificateSHA256 string `json:"certificateSha256"` // of the DER, hexadecimal
	Reason            int    `json:"reason"`
}

// Revoke revokes a certificate. reason is a CRLReason (RFC 5280 section 5.3.1).
// A certificate that is revoked already is not an error. Where the endpoint does
// not revoke, the error wraps errors.ErrUnsupported.
func (p *Provider) Revoke(ctx context.Context, issuer provider.Issuer, certificate *x509.Certificate, reason int) error {
	serial := serialText(certificate)
	sum := sha256.Sum256(certificate.Raw)
	content, err := json.Marshal(revocation{serial, hex.EncodeToString(sum[:]), reason})
	if err != nil {
		return fmt.Errorf("revoking %s: %w", serial, err)
	}
	reply, err := p.call(ctx, issuer, http.MethodPost, "/v1/revocations", &message{content: content})
	switch {
	case err != nil:
		return fmt.Errorf("revoking %s: %w", serial, err)
	case reply.status >= 200 && reply.status < 300:
		return nil
	case reply.status == http.StatusNotFound || reply.status == http.StatusMethodNotAllowed || reply.status == http.StatusNotImplemented:
		return fmt.Errorf("revoking %s at %s: %w", serial, p.base.Host, errors.ErrUnsupported)
	default:
		return fmt.Errorf("revoking %s: %w", serial, p.unexpected(reply))
	}
}
