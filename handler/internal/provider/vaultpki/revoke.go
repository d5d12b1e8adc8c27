package vaultpki

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"

	"github.com/certwright/certwright/handler/internal/provider"
)

// revocation names a certificate by one of its two members.
type revocation struct {
	SerialNumber string `json:"serial_number,omitempty"` // octets in hexadecimal, with colons between
	Certificate  string `json:"certificate,omitempty"`   // PEM
}

// Revoke revokes a certificate. One that is revoked already, or has expired, is not
// an error. The API takes no reason. A certificate that the server does not know by
// its serial number, because the role keeps none (no_store), is shown to it.
func (p *Provider) Revoke(ctx context.Context, issuer provider.Issuer, certificate *x509.Certificate, _ int) error {
	serial := serialText(certificate)
	if wrong := p.checkCredentials(issuer); wrong != "" {
		return fmt.Errorf("revoking %s: %s", serial, wrong)
	}
	path := p.cfg.Mount + "/revoke"
	_, err := p.call(ctx, issuer, path, revocation{SerialNumber: serial})
	if a, ok := errors.AsType[*answerError](err); ok && a.final && a.status == http.StatusBadRequest {
		text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
		_, err = p.call(ctx, issuer, path, revocation{Certificate: text})
	}
	if err != nil {
		return fmt.Errorf("revoking %s: %w", serial, err)
	}
	return nil
}

// serialText is a serial number as the server writes it.
func serialText(c *x509.Certificate) string {
	var text []byte
	for n, octet := range c.SerialNumber.Bytes() {
		if n > 0 {
			text = append(text, ':')
		}
		text = fmt.Appendf(text, "%02x", octet)
	}
	return string(text)
}
