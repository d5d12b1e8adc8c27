package vaultpki

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// Config is what a Provider is made of. URL is required, and Role unless
// Verbatim or Roles is set.
type Config struct {
	// URL is the server, https://HOST/PATH: /v1/ follows it. Only its host is
	// ever called.
	URL string

	// Roots verify the server; nil: the system's.
	Roots *x509.CertPool

	// Namespace holds both mounts; empty: the root namespace, or a server that
	// has none.
	Namespace string

	// Mount is the path of the PKI secrets engine; pki when empty.
	Mount string

	// AppRoleMount is the path of the AppRole auth method, below auth/; approle
	// when empty.
	AppRoleMount string

	// Role signs what names no other. Roles are others that a policy may choose
	// by its issuer's cty.
	Role  string
	Roles []string

	// Verbatim lets the CSR decide instead of the role (sign-verbatim); the role
	// then only limits the validity.
	Verbatim bool

	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Provider takes requests to one PKI secrets engine. It keeps no state; its tokens
// are in memory. Its methods may be called concurrently.
type Provider struct {
	cfg      Config
	base     *url.URL
	client   *http.Client
	sessions sessions
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
	if err != nil {
		return nil, fmt.Errorf("vault server %w", err)
	}
	if cfg.Mount == "" {
		cfg.Mount = "pki"
	}
	if cfg.AppRoleMount == "" {
		cfg.AppRoleMount = "approle"
	}
	for _, path := range []string{cfg.Mount, cfg.AppRoleMount, cfg.Namespace} {
		if path != "" && !isPath(path) {
			return nil, fmt.Errorf("vault server %q: %q is not a path of letters, digits, - _ . and inner /", cfg.URL, path)
		}
	}
	for _, role := range append(slices.Clone(cfg.Roles), cfg.Role) {
		if role != "" && !isName(role) || role == "" && slices.Contains(cfg.Roles, "") {
			return nil, fmt.Errorf("vault server %q: %q is not the name of a role", cfg.URL, role)
		}
	}
	if cfg.Role == "" && len(cfg.Roles) == 0 && !cfg.Verbatim {
		return nil, fmt.Errorf("vault server %q: a role is needed, or verbatim", cfg.URL)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client, err := egress.NewClient(egress.Config{Hosts: []string{base.Host}, Roots: cfg.Roots, MaxBody: maxBody})
	if err != nil {
		return nil, fmt.Errorf("vault server %q: %w", cfg.URL, err)
	}
	return &Provider{cfg: cfg, base: base, client: client}, nil
}

// isPath reports whether s are names with / between them.
func isPath(s string) bool {
	for name := range strings.SplitSeq(s, "/") {
		if !isName(name) {
			return false
		}
	}
	return true
}

// isName reports whether s can stand in a URL's path as it is and names
// something there.
func isName(s string) bool {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return strings.Trim(s, alphabet) == "" && strings.Trim(s, ".") != ""
}

// Step signs. It is the only step.
func (p *Provider) Step(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
	if wrong := p.checkCredentials(req.Issuer); wrong != "" {
		return state, provider.Failed(provider.CodeIssuerError, wrong)
	}
	path, err := p.signPath(req.Policy)
	if err != nil {
		return state, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The settings do not fit the policy: %v.", err))
	}
	body, err := p.newSigning(req)
	if err != nil {
		return state, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The CSR cannot be sent: %v.", err))
	}
	chain, err := p.sign(ctx, req.Issuer, path, body)
	if err != nil {
		return state, p.failed(err)
	}
	again, err := body.addMissingUPNs(chain[0], req.Policy.X509.SANs)
	if again && !p.cfg.Verbatim {
		chain, err = p.sign(ctx, req.Issuer, path, body)
	}
	if err != nil {
		return state, p.failed(err)
	}
	return state, provider.Issued(chain)
}

// sign has a certificate made, and returns its chain.
func (p *Provider) sign(ctx context.Context, o provider.Issuer, path string, body signing) ([][]byte, error) {
	reply, err := p.call(ctx, o, path, body)
	if err != nil {
		return nil, err
	}
	chain, err := parseSigned(reply)
	if err != nil {
		return nil, fmt.Errorf("%s gave a malformed answer: %w", p.base.Host, err)
	}
	return chain, nil
}

// failed is what an error of a call means: a refusal ends the operation,
// anything else is tried again, when the server says.
func (p *Provider) failed(err error) provider.Outcome {
	a, ok := errors.AsType[*answerError](err)
	switch {
	case ok && a.final:
		return provider.Failed(a.code, a.Error())
	case ok && a.retryAfter > 0:
		return provider.Retry(p.cfg.Now().Add(a.retryAfter), err)
	default:
		return provider.Retry(time.Time{}, err)
	}
}

// signPath is where a policy's certificates are signed, below /v1/.
func (p *Provider) signPath(pol policy.Policy) (string, error) {
	verb := "sign"
	if p.cfg.Verbatim {
		verb = "sign-verbatim"
	}
	role, chosen := p.cfg.Role, pol.Issuer.CertificateType
	if chosen != "" {
		if chosen != p.cfg.Role && !slices.Contains(p.cfg.Roles, chosen) {
			return "", fmt.Errorf("%q is not a role that may be chosen%s", chosen, p.choice())
		}
		role = chosen
	}
	switch {
	case role != "":
		return p.cfg.Mount + "/" + verb + "/" + role, nil
	case p.cfg.Verbatim:
		return p.cfg.Mount + "/" + verb, nil
	default:
		return "", fmt.Errorf("a role must be chosen%s", p.choice())
	}
}

// choice names the roles for an error, unless there are none.
func (p *Provider) choice() string {
	roles := slices.Clone(p.cfg.Roles)
	if p.cfg.Role != "" {
		roles = append(roles, p.cfg.Role)
	}
	if len(roles) == 0 {
		return ""
	}
	slices.Sort(roles)
	return ": " + strings.Join(slices.Compact(roles), ", ")
}

// CheckIssuer refuses an issuer object without a role id. Whether its secret id
// is right, only the server knows.
func (p *Provider) CheckIssuer(o provider.Issuer) error {
	if o.AccountID == "" {
		return field.Errorf("credentials.account_id",
			"is required by %s: the role id of an AppRole, with a secret id as credentials.pwd", p.base.Host)
	}
	return nil
}

// CheckPolicy refuses a role that may not be chosen, and what no role signs or
// the API cannot carry.
func (p *Provider) CheckPolicy(_ provider.Issuer, pol policy.Policy) error {
	if _, err := p.signPath(pol); err != nil {
		return field.Errorf("policy.issuer.cty", "does not fit %s: %v", p.base.Host, err)
	}
	if pol.X509.CA {
		return field.Errorf("policy.x509_props.basic_constraints.ca", "is true: roles of a PKI secrets engine (%s) sign end entities only", p.base.Host)
	}
	if _, err := altNames(pol.X509.SANs); err != nil {
		return field.Errorf("policy.x509_props.sans", "cannot be sent to %s: %v", p.base.Host, err)
	}
	return nil
}

// call sends an authenticated request and returns the body of its success. Its
// error may be an *answerError.
func (p *Provider) call(ctx context.Context, o provider.Issuer, path string, body any) ([]byte, error) {
	token, isNew, err := p.token(ctx, o, "")
	if err != nil {
		return nil, err
	}
	answer, err := p.post(ctx, o, path, token, body)
	if a, ok := errors.AsType[*answerError](err); !ok || a.status != http.StatusForbidden || isNew {
		return answer, err
	}
	// Nothing happened, and the token may have ended before its time.
	if token, _, err = p.token(ctx, o, token); err != nil {
		return nil, err
	}
	return p.post(ctx, o, path, token, body)
}

// maxBody bounds an answer in bytes: the longest chain, and room.
const maxBody = 256 << 10

// post sends a request, with a token unless it is empty, and returns the body of
// its success. Its error may be an *answerError.
func (p *Provider) post(ctx context.Context, o provider.Issuer, path, token string, body any) ([]byte, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding a request to %s: %w", path, err)
	}
	return p.send(ctx, o, http.MethodPost, path, token, content)
}

// send sends a request, with a token unless it is empty, and returns the body of
// its success. Its error may be an *answerError.
func (p *Provider) send(ctx context.Context, o provider.Issuer, method, path, token string, content []byte) ([]byte, error) {
	ctx = egress.WithSecrets(ctx, o.Password) // a login has it in its body
	req, err := http.NewRequestWithContext(ctx, method, p.base.String()+"/v1/"+path, bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", p.base.Host, err)
	}
	if len(content) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "certwright")
	req.Header.Set("X-Vault-Request", "true") // a listener may require it, against request forgery
	if p.cfg.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", p.cfg.Namespace)
	}
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
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
