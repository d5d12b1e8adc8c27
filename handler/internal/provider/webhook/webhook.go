package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/httpsig"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// maxBody bounds a message of the contract in bytes, in both directions.
const maxBody = 256 << 10

// Authentication is how requests prove their sender.
type Authentication uint8

const (
	// Signature signs each request (RFC 9421) with the issuer object's
	// credentials: account_id names the key, pwd is the key.
	Signature Authentication = iota

	// Bearer sends the issuer object's credentials.pwd as a bearer token (RFC
	// 6750), or what Config.Token returns.
	Bearer
)

// Config is what a Provider is made of. URL is required.
type Config struct {
	// URL is the base of the endpoint, https://HOST/PATH: /v1/requests follows
	// it. Only its host is ever called.
	URL string

	// Roots verify the endpoint; nil: the system's.
	Roots *x509.CertPool

	// Authentication is Signature unless set.
	Authentication Authentication

	// Token returns bearer tokens of this app's own identity, for Bearer; nil:
	// the issuer object has the token.
	Token func(context.Context) (string, error)

	// Vault names this vault to the CA; left out when empty.
	Vault string

	// Now is the clock; time.Now when nil.
	Now func() time.Time

	// Log is discarded when nil.
	Log *slog.Logger
}

// Provider takes requests to one endpoint. The CA finds a request by its id; the
// state is but the CA's own name of it, for people.
type Provider struct {
	cfg    Config
	base   *url.URL
	client *http.Client
}

var (
	_ provider.Provider      = (*Provider)(nil)
	_ provider.Canceler      = (*Provider)(nil)
	_ provider.Releaser      = (*Provider)(nil)
	_ provider.IssuerChecker = (*Provider)(nil)
	_ provider.Revoker       = (*Provider)(nil)
	_ provider.OrderNamer    = (*Provider)(nil)
)

// New checks cfg and makes a Provider of it. It touches no network.
func New(cfg Config) (*Provider, error) {
	base, err := egress.BaseURL(cfg.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("webhook %w", err)
	case cfg.Authentication > Bearer:
		return nil, fmt.Errorf("webhook %q: unknown authentication %d", cfg.URL, cfg.Authentication)
	case cfg.Token != nil && cfg.Authentication != Bearer:
		return nil, fmt.Errorf("webhook %q: signed requests need no token", cfg.URL)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	client, err := egress.NewClient(egress.Config{Hosts: []string{base.Host}, Roots: cfg.Roots, MaxBody: maxBody})
	if err != nil {
		return nil, fmt.Errorf("webhook %q: %w", cfg.URL, err)
	}
	return &Provider{cfg, base, client}, nil
}

// Step looks at the request and makes it when the CA does not know it.
func (p *Provider) Step(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
	if wrong := p.checkCredentials(req.Issuer); wrong != "" {
		return state, provider.Failed(provider.CodeIssuerError, wrong)
	}
	reply, err := p.call(ctx, req.Issuer, http.MethodGet, requestPath(req), nil)
	if err != nil {
		return state, provider.Retry(time.Time{}, err)
	}
	if reply.status != http.StatusNotFound {
		return reply.noteOrder(state), p.outcome(req, reply, false)
	}
	body, err := p.newRequest(req)
	if err != nil {
		return state, provider.Retry(time.Time{}, err)
	}
	reply, err = p.call(ctx, req.Issuer, http.MethodPost, "/v1/requests", body)
	if err != nil {
		return state, provider.Retry(time.Time{}, err)
	}
	return reply.noteOrder(state), p.outcome(req, reply, true)
}

// Cancel takes the request back. A CA that does not know it has nothing to take back:
// that is a success.
func (p *Provider) Cancel(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, bool, error) {
	taken, err := p.takeBack(ctx, req)
	return state, taken, err
}

// Release takes the request of an operation back that ended otherwise. A
// certificate that the CA has made meanwhile stays valid: nobody has its private
// key but this vault, where it may still be merged.
func (p *Provider) Release(ctx context.Context, req provider.Request, _ json.RawMessage) error {
	taken, err := p.takeBack(ctx, req)
	if err == nil && !taken {
		p.cfg.Log.WarnContext(ctx, "the CA keeps a request whose operation has ended",
			"certificate", req.Certificate, "request_id", req.ID, "issuer", req.Issuer.Name)
	}
	return err
}

// takeBack reports whether the CA gave the request up.
func (p *Provider) takeBack(ctx context.Context, req provider.Request) (bool, error) {
	reply, err := p.call(ctx, req.Issuer, http.MethodDelete, requestPath(req), nil)
	if err != nil {
		return false, err
	}
	switch reply.status {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent, http.StatusNotFound:
		return true, nil
	case http.StatusConflict, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return false, nil
	default:
		return false, p.unexpected(reply)
	}
}

// CheckIssuer refuses an issuer object without the name of its key. Whether its
// password is right, only the CA knows.
func (p *Provider) CheckIssuer(o provider.Issuer) error {
	if p.cfg.Authentication == Signature && !httpsig.IsKeyID(o.AccountID) {
		return &field.Error{Field: "credentials.account_id", Detail: fmt.Sprintf(
			"is required by %s, in printable ASCII: the name of the key that signs requests, with the key as credentials.pwd", p.base.Host)}
	}
	return nil
}

func requestPath(req provider.Request) string { return "/v1/requests/" + url.PathEscape(req.ID) }

// reply is an answer of the endpoint.
type reply struct {
	method     string
	status     int
	problem    bool // the body is a problem document
	retryAfter time.Duration
	body       []byte
}

// call makes one request and reads its answer. body is a JSON document, or nil.
func (p *Provider) call(ctx context.Context, issuer provider.Issuer, method, path string, body *message) (reply, error) {
	var content []byte
	if body != nil {
		content = body.content
	}
	req, err := http.NewRequestWithContext(ctx, method, p.base.String()+path, bytes.NewReader(content))
	if err != nil {
		return reply{}, fmt.Errorf("calling the CA: %w", err)
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", "certwright")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		if body.idempotencyKey != "" {
			req.Header.Set("Idempotency-Key", body.idempotencyKey)
		}
	}
	if err := p.authenticate(req, issuer, content); err != nil {
		return reply{}, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return reply{}, fmt.Errorf("calling the CA: %w", err)
	}
	defer resp.Body.Close()
	r := reply{method: method, status: resp.StatusCode, problem: isProblem(resp.Header), retryAfter: egress.RetryAfter(resp.Header)}
	if r.body, err = io.ReadAll(resp.Body); err != nil {
		return reply{}, fmt.Errorf("reading the answer of %s to %s: %w", p.base.Host, method, err)
	}
	return r, nil
}
