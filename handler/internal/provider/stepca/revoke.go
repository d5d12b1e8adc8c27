package stepca

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certwright/certwright/handler/internal/provider"
)

// revocation names a certificate. Passive: the server publishes what is revoked
// and does not renew it; it knows no other way.
type revocation struct {
	Serial     string `json:"serial"` // decimal
	Token      string `json:"ott"`
	ReasonCode int    `json:"reasonCode"`
	Passive    bool   `json:"passive"`
}

// Revoke revokes a certificate. reason is a CRLReason (RFC 5280 section 5.3.1).
// A certificate that is revoked already is not an error. Where the server keeps no
// record of revocations, the error wraps errors.ErrUnsupported.
func (p *Provider) Revoke(ctx context.Context, issuer provider.Issuer, certificate *x509.Certificate, reason int) error {
	serial := certificate.SerialNumber.String()
	jwk, wrong := p.provisioner(issuer)
	if wrong != "" {
		return fmt.Errorf("revoking %s: %s", serial, wrong)
	}
	const path = "/1.0/revoke"
	token, err := p.token(jwk, path, jwt.MapClaims{"sub": serial})
	if err != nil {
		return fmt.Errorf("revoking %s: %w", serial, err)
	}
	_, err = p.post(ctx, path, revocation{serial, token, reason, true}, token)
	a, answered := errors.AsType[*answerError](err)
	switch {
	case err == nil:
		return nil
	case answered && a.status == http.StatusBadRequest && strings.Contains(a.text, "already revoked"):
		return nil
	case answered && a.status == http.StatusNotImplemented:
		return fmt.Errorf("revoking %s at %s: %w", serial, p.base.Host, errors.ErrUnsupported)
	default:
		return fmt.Errorf("revoking %s: %w", serial, err)
	}
}
