package ops

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// apiVersion is of Key Vault's API; what is ours is the same in all.
const apiVersion = "7.4"

// Limits of one call. A step that the vault takes at once may last as long as
// its host lets it.
const (
	callTime  = 2 * time.Minute
	maxAnswer = 4 << 20 // bytes
	maxPages  = 10_000
)

// client calls one vault.
type client struct {
	base       *url.URL
	http       *http.Client
	credential func() (azcore.TokenCredential, error)
	token      string // once there is one
}

func newClient(base *url.URL, transport http.RoundTripper, credential func() (azcore.TokenCredential, error)) *client {
	return &client{
		base: base,
		http: &http.Client{
			Transport:     transport,
			Timeout:       callTime,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		credential: credential,
	}
}

// refusal is an answer of the vault that is not a success.
type refusal struct {
	status        int
	code, message string
}

func (r *refusal) Error() string {
	if r.code == "" {
		return fmt.Sprintf("the vault answers %d %s", r.status, http.StatusText(r.status))
	}
	return printable(r.code + ": " + r.message)
}

// call makes one request and returns the body of its answer. in is the body of
// the request, nil for none.
func (c *client) call(ctx context.Context, method, path string, query url.Values, in any) ([]byte, error) {
	if c.token == "" {
		if err := c.authenticate(ctx); err != nil {
			return nil, err
		}
	}
	resp, body, err := c.send(ctx, method, path, query, in)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		var envelope struct {
			Error struct{ Code, Message string }
		}
		_ = json.Unmarshal(body, &envelope) // any other body names nothing
		return nil, &refusal{resp.StatusCode, envelope.Error.Code, envelope.Error.Message}
	}
	return body, nil
}

func (c *client) send(ctx context.Context, method, path string, query url.Values, in any) (*http.Response, []byte, error) {
	target := c.base.JoinPath(path)
	all := url.Values{"api-version": {apiVersion}}
	for name, values := range query {
		all[name] = values
	}
	target.RawQuery = all.Encode()
	var content io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, nil, err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), content)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("User-Agent", "certwright-ops")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("calling the vault: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("reading the vault's answer: %w", err)
	case len(body) > maxAnswer:
		return nil, nil, errors.New("the vault's answer is too long")
	}
	return resp, body, nil
}

var challenge = regexp.MustCompile(`^Bearer .*\bresource="(https://[^"]+)"`)

// authenticate gets a token for the resource that the vault names when it is
// asked without one.
func (c *client) authenticate(ctx context.Context) error {
	resp, _, err := c.send(ctx, http.MethodGet, "operations", nil, nil)
	if err != nil {
		return err
	}
	m := challenge.FindStringSubmatch(resp.Header.Get("WWW-Authenticate"))
	if resp.StatusCode != http.StatusUnauthorized || m == nil {
		return fmt.Errorf("%s does not answer like a vault: %s", c.base, resp.Status)
	}
	if err := c.trust(m[1]); err != nil {
		return err
	}
	credential, err := c.credential()
	if err != nil {
		return fmt.Errorf("finding a credential: %w", err)
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{strings.TrimSuffix(m[1], "/") + "/.default"}})
	if err != nil {
		return fmt.Errorf("getting a token: %w", err)
	}
	c.token = token.Token
	return nil
}

// trust refuses a resource that is not the vault's own: whoever answers at a
// wrong URL must not get a token for another service. On this machine nobody
// else answers.
func (c *client) trust(resource string) error {
	u, err := url.Parse(resource)
	if err != nil {
		return fmt.Errorf("the vault names the resource %q: %w", resource, err)
	}
	host := strings.ToLower(c.base.Hostname())
	domain := strings.ToLower(u.Hostname())
	if host == domain || strings.HasSuffix(host, "."+domain) || loopback(host) {
		return nil
	}
	return fmt.Errorf("the vault at %s asks for a token for %s, which is not its own domain", c.base.Host, resource)
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// list reads all pages of a collection. incomplete is why the vault says that
// entries may be missing, if it does.
func (c *client) list(ctx context.Context, path string, query url.Values) (all []json.RawMessage, incomplete string, err error) {
	all = []json.RawMessage{}
	for range maxPages {
		body, err := c.call(ctx, http.MethodGet, path, query, nil)
		if err != nil {
			return nil, "", err
		}
		var page struct {
			Value      []json.RawMessage
			NextLink   string
			Incomplete string
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, "", fmt.Errorf("reading the vault's answer: %w", err)
		}
		all = append(all, page.Value...)
		incomplete = cmp.Or(incomplete, page.Incomplete)
		if page.NextLink == "" {
			return all, incomplete, nil
		}
		next, err := url.Parse(page.NextLink)
		if err != nil || !sameHost(next, c.base) {
			return nil, "", fmt.Errorf("the next page is at %q, and not in the vault", page.NextLink)
		}
		query = next.Query()
	}
	return nil, "", fmt.Errorf("%s has more than %d pages", path, maxPages)
}

// sameHost compares hosts with their ports.
func sameHost(a, b *url.URL) bool {
	full := func(u *url.URL) string {
		if u.Port() != "" {
			return strings.ToLower(u.Host)
		}
		return net.JoinHostPort(strings.ToLower(u.Hostname()), "443")
	}
	return a.Scheme == b.Scheme && full(a) == full(b)
}
