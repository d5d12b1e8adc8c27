package stepca

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// Config is what a Provider is made of. URL is required.
type Config struct {
	// URL is the server, https://HOST/PATH: /1.0/ follows it. Only its host is
	// ever called. It must be one of the server's dnsNames, for tokens name it.
	URL string

	// Roots verify the server: its own root. Nil: the system's.
	Roots *x509.CertPool

	// MaxValidity caps the validity that policies ask for: the server refuses
	// what is longer than its provisioner's maxTLSCertDuration, 24 h by default.
	// Zero: no cap.
	MaxValidity time.Duration

	// Now is the clock; time.Now when nil.
	Now func() time.Time

	// Rand makes the ids of tokens; crypto/rand when nil.
	Rand io.Reader
}

// Provider takes requests to one step-ca. It keeps no state. Its methods may be
// called concurrently.
type Provider struct {
	cfg    Config
	base   *url.URL
	client *http.Client
}

var (
	_ provider.Provider      = (*Provider)(nil)
	_ provider.IssuerChecker = (*Provider)(nil)
	_ provider.PolicyChecker = (*Provider)(nil)
	_ provider.Revoker       = (*Provider)(nil)
	_ provider.ChainSource   = (*Provider)(nil)
)

// New checks cfg and makes a Provider of it. It touches no network.
func New(cfg Config) (*Provider, error) {
	base, err := egress.BaseURL(cfg.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("step-ca %w", err)
	case cfg.MaxValidity < 0 || cfg.MaxValidity > 0 && cfg.MaxValidity < time.Minute:
		return nil, fmt.Errorf("step-ca %q: a validity of %s is too short", cfg.URL, cfg.MaxValidity)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	client, err := egress.NewClient(egress.Config{Hosts: []string{base.Host}, Roots: cfg.Roots, MaxBody: maxBody})
	if err != nil {
		return nil, fmt.Errorf("step-ca %q: %w", cfg.URL, err)
	}
	return &Provider{cfg, base, client}, nil
}

// Step signs. It is the only step.
func (p *Provider) Step(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
	provisioner, wrong := p.provisioner(req.Issuer)
	if wrong != "" {
		return state, provider.Failed(provider.CodeIssuerError, wrong)
	}
	body, err := p.newSigning(req, provisioner)
	if refused, ok := errors.AsType[*unfitError](err); ok {
		return state, provider.Failed(provider.CodeIssuerError, refused.Error())
	}
	if err != nil {
		return state, provider.Retry(time.Time{}, err)
	}
	answer, err := p.post(ctx, "/1.0/sign", body, body.Token)
	if err != nil {
		return state, p.failed(err)
	}
	chain, err := parseSigned(answer)
	if err != nil {
		return state, provider.Retry(time.Time{}, fmt.Errorf("%s gave a malformed answer: %w", p.base.Host, err))
	}
	return state, provider.Issued(chain)
}

// failed is what an error of a call means: a refusal ends the operation,
// anything else is tried again, when the server says.
func (p *Provider) failed(err error) provider.Outcome {
	a, ok := errors.AsType[*answerError](err)
	switch {
	case ok && a.code != "":
		return provider.Failed(a.code, a.Error())
	case ok && a.retryAfter > 0:
		return provider.Retry(p.cfg.Now().Add(a.retryAfter), err)
	default:
		return provider.Retry(time.Time{}, err)
	}
}

// CheckIssuer refuses an issuer object without the name of its provisioner.
// Whether its key is right, a step finds out.
func (p *Provider) CheckIssuer(o provider.Issuer) error {
	if o.AccountID == "" {
		return field.Errorf("credentials.account_id",
			"is required by %s: the name of a JWK provisioner, with its private key (a JWK in JSON) as credentials.pwd", p.base.Host)
	}
	return nil
}

// CheckPolicy refuses what a JWK provisioner does not certify.
func (p *Provider) CheckPolicy(_ provider.Issuer, pol policy.Policy) error {
	sans := pol.X509.SANs
	if sans == nil {
		sans = new(policy.SANs)
	}
	switch {
	case len(sans.UPNs) > 0:
		return field.Errorf("policy.x509_props.sans.upns",
			"has %q: a token of step-ca (%s) names DNS names, IP addresses, e-mail addresses and URIs only", sans.UPNs[0], p.base.Host)
	case len(sans.DNSNames)+len(sans.Emails)+len(sans.URIs)+len(sans.IPAddresses) == 0 && !slices.ContainsFunc(pol.X509.CommonNames(), isSomething):
		return field.Errorf("policy.x509_props", "has neither a common name nor an alternative name, which a token of step-ca (%s) needs", p.base.Host)
	case pol.X509.CA:
		return field.Errorf("policy.x509_props.basic_constraints.ca", "is true: step-ca (%s) signs end entities only", p.base.Host)
	case pol.Issuer.CertificateType != "":
		return field.Errorf("policy.issuer.cty",
			"is %q: step-ca (%s) has no kinds of certificates; each of its provisioners is an issuer of its own", pol.Issuer.CertificateType, p.base.Host)
	}
	return nil
}

func isSomething(s string) bool { return s != "" }

// maxBody bounds an answer in bytes: the longest chain, and room.
const maxBody = 256 << 10

// post sends a request and returns the body of its success. Its error may be an
// *answerError; body holds the token.
func (p *Provider) post(ctx context.Context, path string, body any, token string) ([]byte, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding a request to %s: %w", path, err)
	}
	return p.send(ctx, http.MethodPost, path, content, token)
}

// send sends a request and returns the body of its success. Its error may be an
// *answerError; content holds the token.
func (p *Provider) send(ctx context.Context, method, path string, content []byte, token string) ([]byte, error) {
	ctx = egress.WithSecrets(ctx, token)
	req, err := http.NewRequestWithContext(ctx, method, p.base.String()+path, bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", p.base.Host, err)
	}
	if len(content) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "certwright")
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", p.base.Host, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s to %s: %w", p.base.Host, path, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, p.refusal(resp, path, answer)
	}
	return answer, nil
}
