package privateca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
)

// Config is what a Provider is made of. Chain and Key are required.
type Config struct {
	// Chain is the CA's certificate, then its issuer's, and so on; the root may
	// be left out. It follows every certificate that is issued.
	Chain []*x509.Certificate

	// Key opens the private key of Chain[0]; ctx bounds what the key is used for.
	// It is called for each signature. See SoftwareKey and KeyVaultKey.
	Key func(ctx context.Context) (crypto.Signer, error)

	// Instant says that Key needs no network besides the vault's storage, so that
	// a client's poll may run a step.
	Instant bool

	// Profile says what is certified.
	Profile Profile

	// LoadCRL returns the CRL (DER) that SaveCRL published last, with its ETag;
	// nil when there is none. Nil: nothing can be revoked.
	LoadCRL func(ctx context.Context) (crl []byte, etag string, err error)

	// SaveCRL publishes a CRL in place of the one with the ETag, or of none when
	// it is empty. It returns a store.ConflictError when that is not the last one
	// any more.
	SaveCRL func(ctx context.Context, crl []byte, etag string) error

	// CRLLifetime is how long a CRL is valid; RefreshCRL makes a new one in the
	// middle of it. 7 days when zero.
	CRLLifetime time.Duration

	// Now is the clock; time.Now when nil.
	Now func() time.Time

	// Rand is the source of serial numbers; crypto/rand when nil. It must be
	// safe for concurrent use.
	Rand io.Reader

	// Log has every signature; discarded when nil.
	Log *slog.Logger
}

// Provider signs certificates as one CA.
type Provider struct {
	cfg       Config
	authority *authority
	profile   profile
	last      atomic.Pointer[sighting] // of the CRL; nil: not looked at yet
}

var (
	_ provider.Provider      = (*Provider)(nil)
	_ provider.PolicyChecker = (*Provider)(nil)
	_ provider.Revoker       = (*Provider)(nil)
	_ provider.Instant       = (*Provider)(nil)
)

// New checks cfg and makes a Provider of it. It touches neither key nor storage.
func New(cfg Config) (*Provider, error) {
	switch {
	case cfg.Key == nil:
		return nil, errors.New("a private CA needs a key")
	case (cfg.LoadCRL == nil) != (cfg.SaveCRL == nil):
		return nil, errors.New("a private CA needs both functions for its CRL, or none")
	}
	if cfg.CRLLifetime == 0 {
		cfg.CRLLifetime = 7 * 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a, err := newAuthority(cfg.Chain, cfg.Profile.NameConstraints)
	if err != nil {
		return nil, fmt.Errorf("private CA: %w", err)
	}
	if cfg.LoadCRL != nil && a.chain[0].KeyUsage&x509.KeyUsageCRLSign == 0 {
		return nil, fmt.Errorf("private CA: the key usages of %q have no cRLSign", a.chain[0].Subject)
	}
	p, err := newProfile(cfg.Profile, a)
	if err != nil {
		return nil, fmt.Errorf("private CA: profile: %w", err)
	}
	return &Provider{cfg: cfg, authority: a, profile: p}, nil
}

// Certificate is the CA's own certificate.
func (p *Provider) Certificate() *x509.Certificate { return p.authority.chain[0] }

// Instant implements provider.Instant.
func (p *Provider) Instant() bool { return p.cfg.Instant }

// Step chooses the serial number, and when that is saved, signs.
func (p *Provider) Step(ctx context.Context, req provider.Request, saved json.RawMessage) (json.RawMessage, provider.Outcome) {
	s, err := decodeState(saved)
	if err != nil {
		return saved, provider.Retry(time.Time{}, err)
	}
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return saved, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The CSR cannot be certified: %v.", err))
	}
	asked, err := requestOfCSR(csr)
	if err != nil {
		return saved, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The CSR cannot be certified: %v.", err))
	}
	now := p.cfg.Now()
	granted, refusal := p.grant(asked, now)
	if refusal != nil {
		return saved, provider.Failed(provider.CodeRejected, "The CA refuses the request: "+refusal.why+".")
	}
	ca := p.authority.chain[0]
	var template *x509.Certificate
	if bytes.Equal(s.Authority, ca.SubjectKeyId) {
		if template, err = p.template(csr, req, granted, s); err != nil {
			return saved, provider.Retry(time.Time{}, err)
		}
	}
	// At first, or when the CA is another one now, or was away for so long that
	// the certificate has expired.
	if template == nil || !now.Before(template.NotAfter) {
		if s, err = newState(ca.SubjectKeyId, now, p.cfg.Rand); err != nil {
			return saved, provider.Retry(time.Time{}, err)
		}
		return s.encode(), provider.Pending(time.Time{}, "The serial number is "+s.serialText()+".")
	}
	chain, err := p.sign(ctx, template)
	if err != nil {
		return saved, provider.Retry(time.Time{}, err)
	}
	p.cfg.Log.InfoContext(ctx, "certificate signed", "certificate", req.Certificate, "request_id", req.ID,
		"serial", s.serialText(), "authority", ca.Subject.String(), "expires", template.NotAfter)
	return saved, provider.Issued(chain)
}

// template is the certificate of a state, but for its signature. CSR, policy,
// state and configuration determine it.
func (p *Provider) template(csr *x509.CertificateRequest, req provider.Request, g grant, s state) (*x509.Certificate, error) {
	named := *csr
	named.Extensions = g.names // of all that the CSR asks for, only these are taken as they are
	template, err := policy.Template(&named, req.Policy.X509, s.At, p.authority.chain[0].SubjectKeyId, bytes.NewReader(s.Serial))
	if err != nil {
		return nil, fmt.Errorf("preparing the certificate: %w", err)
	}
	p.profile.apply(template, g)
	p.authority.within(template, s.At, p.profile.MaxValidity)
	return template, nil
}

// sign makes a certificate and returns it with the CA's chain.
func (p *Provider) sign(ctx context.Context, template *x509.Certificate) ([][]byte, error) {
	key, err := p.cfg.Key(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the CA's key: %w", err)
	}
	// Without randomness a software key signs deterministically.
	der, err := x509.CreateCertificate(nil, template, p.authority.chain[0], template.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate: %w", err)
	}
	chain := [][]byte{der}
	for _, c := range p.authority.chain {
		chain = append(chain, c.Raw)
	}
	return chain, nil
}

// CheckPolicy refuses what the CA does not certify.
func (p *Provider) CheckPolicy(_ provider.Issuer, pol policy.Policy) error {
	if refusal := p.refusal(pol); refusal != nil {
		return &field.Error{Field: "policy." + refusal.field, Detail: "cannot be certified by this issuer: " + refusal.why}
	}
	return nil
}

// refusal says why a policy's certificates are not certified; nil: they are.
func (p *Provider) refusal(pol policy.Policy) *refusal {
	asked, refusal := requestOfPolicy(pol)
	if refusal != nil {
		return refusal
	}
	sans, subject, err := pol.X509.GeneralNames()
	if refused, ok := errors.AsType[*names.Refusal](err); ok {
		return refusalOf(refused)
	}
	asked.names = sans
	if _, refusal = p.grant(asked, p.cfg.Now()); refusal != nil {
		return refusal
	}
	if refusal = p.authority.permits(subject); refusal != nil {
		refusal.field = "x509_props.subject"
	}
	return refusal
}
