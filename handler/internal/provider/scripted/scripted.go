// Package scripted is the provider Test: an issuer that does what its issuer
// object's org_details.id says, for tests of software that uses certificates. A
// stock client drives it with the ordinary update of the issuer; what is held
// follows the new script at its next step.
//
// A script is words separated by spaces or commas:
//
//	issue             issue at once; so does an empty script
//	issue-after=30s   issue that long after the request was created
//	hold              stay in progress
//	reject=MESSAGE    fail with the code "Request rejected"
//	error=MESSAGE     fail with the code "Certificate issuer error"
//	ignore-cancel     go on when a cancellation is asked for
//
// All but ignore-cancel exclude each other. A message is in double quotes or
// extends to the end of the script.
//
// A revocation succeeds at once, fails again and again under hold and error, and
// is refused for good under reject.
package scripted

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// holdInterval is how often a held request looks whether its script changed.
const holdInterval = 5 * time.Second

// Config is what a Provider is made of.
type Config struct {
	// Now is the clock; time.Now when nil.
	Now func() time.Time

	// Rand is the source of serial numbers; crypto/rand when nil. It must be
	// safe for concurrent use.
	Rand io.Reader
}

// Provider follows scripts. Its state is the number of an order that no CA has, for
// tests of software that shows it.
type Provider struct {
	cfg Config
}

var (
	_ provider.Provider      = (*Provider)(nil)
	_ provider.Canceler      = (*Provider)(nil)
	_ provider.IssuerChecker = (*Provider)(nil)
	_ provider.Revoker       = (*Provider)(nil)
	_ provider.OrderNamer    = (*Provider)(nil)
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

// Step does what the script says now.
func (p *Provider) Step(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
	state := newState(req)
	s, err := parseScript(req.Issuer.Org.ID)
	if err != nil {
		return state, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The script of the issuer cannot be followed: %v.", err))
	}
	now := p.cfg.Now()
	switch s.action {
	case hold:
		return state, provider.Pending(now.Add(holdInterval), "The script holds the request.")
	case reject:
		return state, provider.Failed(provider.CodeRejected, s.message)
	case fail:
		return state, provider.Failed(provider.CodeIssuerError, s.message)
	}
	if at := req.Created.Add(s.after); now.Before(at) {
		return state, provider.Pending(at, "The script issues the certificate at "+at.UTC().Format(time.RFC3339)+".")
	}
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		return state, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The CSR cannot be read: %v.", err))
	}
	chain, err := p.issue(csr, req.Policy.X509, now)
	if err != nil {
		return state, provider.Retry(time.Time{}, err)
	}
	return state, provider.Issued(chain)
}

// newState names the order by the beginning of the request's id.
func newState(req provider.Request) json.RawMessage {
	state, _ := json.Marshal("test-" + req.ID[:min(len(req.ID), 8)]) // a string always marshals
	return state
}

// OrderID is the number of the order.
func (p *Provider) OrderID(state json.RawMessage) string {
	var order string
	_ = json.Unmarshal(state, &order) // anything but a string names nothing
	return order
}

// Cancel gives the request up unless the script says ignore-cancel.
func (p *Provider) Cancel(_ context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, bool, error) {
	s, err := parseScript(req.Issuer.Org.ID)
	return state, err != nil || !s.ignoreCancel, nil
}

// Revoke does what the script says of requests, as the package comment has it.
func (p *Provider) Revoke(_ context.Context, issuer provider.Issuer, _ *x509.Certificate, _ int) error {
	s, err := parseScript(issuer.Org.ID)
	switch {
	case err != nil:
		return err
	case s.action == hold:
		return errors.New("the script holds the revocation")
	case s.action == reject:
		return fmt.Errorf("%s: %w", s.message, errors.ErrUnsupported)
	case s.action == fail:
		return errors.New(s.message)
	default:
		return nil
	}
}

// CheckIssuer refuses a script that cannot be followed.
func (p *Provider) CheckIssuer(o provider.Issuer) error {
	_, err := parseScript(o.Org.ID)
	return err
}
