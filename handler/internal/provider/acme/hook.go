package acme

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
	"strings"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// Hook changes TXT records by POST to a URL, as the package comment describes.
type Hook struct {
	// Zones are the names at and below which the hook changes records.
	Zones []string

	// URL is https.
	URL string

	// Token authorizes the requests.
	Token string

	// Roots verify the server; nil: the system's.
	Roots *x509.CertPool
}

// hookZone is a zone behind a hook.
type hookZone struct {
	url, token string
	secrets    []string // that the URL may hold
	client     *http.Client
}

func newHookZone(h Hook) (*hookZone, error) {
	u, err := url.Parse(h.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the DNS hook of %q is not an https URL", h.Zones)
	}
	if h.Token == "" {
		return nil, fmt.Errorf("the DNS hook of %q has no token", h.Zones)
	}
	client, err := egress.NewClient(egress.Config{Hosts: []string{u.Host}, Roots: h.Roots})
	if err != nil {
		return nil, fmt.Errorf("the DNS hook of %q: %w", h.Zones, err)
	}
	return &hookZone{h.URL, h.Token, egress.URLSecrets(u), client}, nil
}

func (z *hookZone) add(ctx context.Context, name string, values []string) error {
	return z.each(ctx, "add", name, values)
}

func (z *hookZone) remove(ctx context.Context, name string, values []string) error {
	return z.each(ctx, "remove", name, values)
}

func (z *hookZone) each(ctx context.Context, action, name string, values []string) error {
	for _, value := range values {
		if err := z.post(ctx, hookRequest{action, rooted(name), value}); err != nil {
			return err
		}
	}
	return nil
}

// hookRequest is the body of a POST.
type hookRequest struct {
	Action string `json:"action"`
	FQDN   string `json:"fqdn"`
	Value  string `json:"value"`
}

// maxHookText bounds what is repeated of a hook's refusal, in bytes.
const maxHookText = 200

func (z *hookZone) post(ctx context.Context, body hookRequest) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding the call of the DNS hook: %w", err)
	}
	req, err := http.NewRequestWithContext(egress.WithSecrets(ctx, z.secrets...), http.MethodPost, z.url, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("calling the DNS hook: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+z.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	resp, err := z.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the URL may hold a key
		}
		return fmt.Errorf("calling the DNS hook: %w", err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxHookText))
	line, _, _ := strings.Cut(strings.ToValidUTF8(string(text), ""), "\n")
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return nil
	case final(resp.StatusCode):
		return refuse(provider.CodeIssuerError, "No TXT record can be written at %s: the DNS hook answers %s: %s", body.FQDN, resp.Status, line)
	default:
		return fmt.Errorf("the DNS hook answers %s: %s", resp.Status, line)
	}
}
