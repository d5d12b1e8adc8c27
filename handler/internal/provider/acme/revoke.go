package acme

import (
	"context"
	"crypto/x509"
	"fmt"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/provider"
)

// Revoke revokes a certificate that was obtained with the issuer object's
// account. reason is a CRLReason (RFC 5280 section 5.3.1). A certificate that is
// revoked already is not an error. A CA that does not take the reason is asked without
// one: that the certificate is revoked matters more. RFC 8555 section 7.6.
func (p *Provider) Revoke(ctx context.Context, issuer provider.Issuer, certificate *x509.Certificate, reason int) error {
	account, err := p.lookUp(ctx, issuer)
	if err != nil {
		return fmt.Errorf("revoking %x: %w", certificate.SerialNumber, err)
	}
	err = p.client.RevokeCertificate(ctx, account, certificate, nil, reason)
	if isProblem(err, acmez.ProblemTypeBadRevocationReason) && reason != acmez.ReasonUnspecified {
		p.cfg.Log.WarnContext(ctx, "the CA does not take the reason of a revocation", "host", p.host, "reason", reason, "error", err)
		err = p.client.RevokeCertificate(ctx, account, certificate, nil, acmez.ReasonUnspecified)
	}
	if err != nil && !isProblem(err, acmez.ProblemTypeAlreadyRevoked) {
		return fmt.Errorf("revoking %x: %w", certificate.SerialNumber, err)
	}
	return nil
}
