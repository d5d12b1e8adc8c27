package acme

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/certwright/certwright/handler/internal/provider/egress"
)

const userAgent = "certwright"

// newHTTPClient makes a client that speaks https to a CA's hosts and to nobody
// else: the CA names URLs, and must not lead it to others.
func newHTTPClient(hosts []string, roots *x509.CertPool) (*http.Client, error) {
	client, err := egress.NewClient(egress.Config{Hosts: hosts, Roots: roots})
	if err != nil {
		return nil, err
	}
	client.Transport = transport{client.Transport}
	return client, nil
}

// reach asks for the directory once before the library does. That holds a lock
// of all its clients while it waits, and a CA that is down must not stop the
// others.
func (p *Provider) reach(ctx context.Context) error {
	if p.reached.Load() {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.cfg.Directory.URL, nil)
	if err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := p.http.Do(req)
	if err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("reading the directory: %s answers %s", p.host, resp.Status)
	}
	p.reached.Store(true)
	return nil
}

// transport notes the last answer, and gives those that nobody needs itself.
type transport struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet && req.Context().Value(unwantedKey{}) != nil {
		return anyWindow(req), nil
	}
	resp, err := t.base.RoundTrip(req)
	if a, ok := req.Context().Value(answerKey{}).(*answer); ok {
		a.note(resp)
	}
	return resp, err
}

// answer is what the ACME library does not tell about the last answer: its
// status, 0 when there was none, and for how long it wants to be left alone.
type answer struct {
	status     int
	retryAfter time.Duration
}

type answerKey struct{}

// watch returns a context whose exchanges are noted.
func watch(ctx context.Context) (context.Context, *answer) {
	a := new(answer)
	return context.WithValue(ctx, answerKey{}, a), a
}

func (a *answer) note(resp *http.Response) {
	*a = answer{}
	if resp != nil {
		a.status, a.retryAfter = resp.StatusCode, egress.RetryAfter(resp.Header)
	}
}

// pause is how long to leave the server alone, otherwise where it did not say.
func (a *answer) pause(otherwise time.Duration) time.Duration {
	if a.retryAfter == 0 {
		return otherwise
	}
	return a.retryAfter
}

type unwantedKey struct{}

// withoutRenewalInfo returns a context for downloads. The library asks for
// renewal information with each chain, and sleeps for seconds when it gets none;
// nobody needs it then, so its GETs are answered here. All others are POSTs.
func withoutRenewalInfo(ctx context.Context) context.Context {
	return context.WithValue(ctx, unwantedKey{}, true)
}

// anyWindow answers a request for renewal information.
func anyWindow(req *http.Request) *http.Response {
	const body = `{"suggestedWindow":{"start":"2000-01-01T00:00:00Z","end":"2000-01-02T00:00:00Z"}}`
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(bytes.NewReader([]byte(body))),
		Request:    req,
	}
}
