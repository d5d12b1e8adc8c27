package digicert

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/certwright/certwright/handler/internal/provider"
)

// revocationReasons are CertCentral's names of CRLReasons.
var revocationReasons = map[int]string{
	0: "unspecified",
	1: "keyCompromise",
	3: "affiliationChanged",
	4: "superseded",
	5: "cessationOfOperation",
}

// revocation is the body of a request to revoke. Services API page: Revoke
// certificate.
type revocation struct {
	Reason       string `json:"revocation_reason"`
	Comments     string `json:"comments"`
	SkipApproval bool   `json:"skip_approval"`
}

// Revoke revokes a certificate. reason is a CRLReason (RFC 5280 section 5.3.1); one
// that CertCentral does not have wraps errors.ErrUnsupported. A certificate
// that is revoked already is not an error. While an administrator of the account has
// to approve the revocation, each call returns an error, and asks for no second
// approval.
//
// No order has to be remembered: CertCentral finds it by the serial number of its
// certificate.
func (p *Provider) Revoke(ctx context.Context, issuer provider.Issuer, certificate *x509.Certificate, reason int) error {
	serial := fmt.Sprintf("%X", certificate.SerialNumber.Bytes())
	if err := p.revoke(ctx, issuer, serial, reason); err != nil {
		return fmt.Errorf("revoking %s: %w", serial, err)
	}
	return nil
}

func (p *Provider) revoke(ctx context.Context, issuer provider.Issuer, serial string, reason int) error {
	name, ok := revocationReasons[reason]
	if !ok {
		return fmt.Errorf("reason %d: %w", reason, errors.ErrUnsupported)
	}
	o, err := p.orderBy(ctx, issuer, serial, func(o order) bool { return strings.EqualFold(o.Certificate.Serial, serial) })
	if err != nil {
		return err
	}
	if o.status() == statusRevoked {
		return nil
	}
	if id := o.request(typeRevoke, statusPending); id != 0 {
		return unapproved(id)
	}
	body, err := json.Marshal(revocation{name, "Requested from Certwright.", !p.cfg.Approval})
	if err != nil {
		return err
	}
	r, err := p.call(ctx, issuer, http.MethodPut, "/certificate/"+strconv.FormatInt(o.Certificate.ID, 10)+"/revoke", nil, body)
	if err == nil {
		err = r.failure()
	}
	if err != nil {
		return err
	}
	if id := parsePendingRequest(r.body); id != 0 {
		return unapproved(id)
	}
	return nil
}

func unapproved(request int64) error {
	return fmt.Errorf("request %d waits for the approval of an administrator at CertCentral", request)
}
