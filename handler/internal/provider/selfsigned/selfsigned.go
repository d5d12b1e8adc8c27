// Package selfsigned is the provider of the issuer Self: each certificate is
// signed by its own key.
package selfsigned

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
)

// Config is what a Provider is made of.
type Config struct {
	// Now is the clock; time.Now when nil.
	Now func() time.Time

	// Rand is the source of serial numbers; crypto/rand when nil. It must be
	// safe for concurrent use.
	Rand io.Reader
}

// Provider signs certificates with their own keys. It needs no state: a step that
// is run again makes another certificate, of which the vault takes one.
type Provider struct {
	cfg Config
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Instant  = (*Provider)(nil)
)

// New makes a Provider of cfg.
func New(cfg Config) *Provider {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &Provider{cfg}
}

// Instant implements provider.Instant: a step needs no network.
func (*Provider) Instant() bool { return true }

// Step issues the certificate.
func (p *Provider) Step(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		return state, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The CSR cannot be read: %v.", err))
	}
	key, err := req.Key(ctx)
	if err != nil {
		return state, provider.Retry(time.Time{}, fmt.Errorf("opening the private key: %w", err))
	}
	template, err := policy.Template(csr, req.Policy.X509, p.cfg.Now(), nil, p.cfg.Rand)
	if err != nil {
		return state, provider.Retry(time.Time{}, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, template.PublicKey, key)
	if err != nil {
		return state, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The certificate cannot be signed: %v.", err))
	}
	return state, provider.Issued([][]byte{der})
}
