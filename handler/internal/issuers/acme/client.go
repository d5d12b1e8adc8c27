package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const userAgent = "certwright"

// Limits of one exchange with a server.
const (
	connectTimeout  = 5 * time.Second
	exchangeTimeout = 20 * time.Second
	idleTimeout     = 30 * time.Second
	maxHeader       = 64 << 10 // bytes
	maxBody         = 1 << 20  // bytes; a chain with alternates' links is far below
)

// newHTTPClient makes a client that speaks https to the host of base and to
// hosts, and to nobody else: the servers name URLs, and must not lead it to
// others. It follows no redirects, uses no proxy, and connects to loopback and
// link-local addresses, where the platform's own services are, only when the
// configuration names them as addresses.
func newHTTPClient(base *url.URL, hosts []string, roots *x509.CertPool) *http.Client {
	allowed := []string{withPort(base.Host)}
	for _, host := range hosts {
		allowed = append(allowed, withPort(host))
	}
	return &http.Client{
		Timeout:       exchangeTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &transport{
			hosts: allowed,
			base: &http.Transport{
				DialContext:            dialPublic,
				TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout:    connectTimeout,
				ForceAttemptHTTP2:      true,
				IdleConnTimeout:        idleTimeout,
				MaxResponseHeaderBytes: maxHeader,
			},
		},
	}
}

// withPort is a host in lower case with its port, that of https if it has none.
func withPort(host string) string {
	host = strings.ToLower(host)
	if _, _, err := net.SplitHostPort(host); err != nil {
		return net.JoinHostPort(strings.Trim(host, "[]"), "443")
	}
	return host
}

// dialPublic connects to an address, which only the configuration can have named,
// as it is; a name, localhost among them, must not lead to this machine or its
// link.
func dialPublic(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: connectTimeout}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err != nil {
		dialer.Control = refuseLocal
	}
	return dialer.DialContext(ctx, network, address)
}

// refuseLocal is a net.Dialer's Control.
func refuseLocal(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if addr := ap.Addr().Unmap(); !addr.IsGlobalUnicast() { // private networks are, link-local is not
		return fmt.Errorf("the name leads to %s, an address of this machine or its link", addr)
	}
	return nil
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

// transport enforces what newHTTPClient promises and notes the last answer.
type transport struct {
	hosts []string // host:port
	base  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || !slices.Contains(t.hosts, withPort(req.URL.Host)) {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, fmt.Errorf("%s is not https to a configured host (%s)", req.URL.Redacted(), strings.Join(t.hosts, ", "))
	}
	if req.Method == http.MethodGet && req.Context().Value(unwantedKey{}) != nil {
		return anyWindow(req), nil
	}
	resp, err := t.base.RoundTrip(req)
	if a, ok := req.Context().Value(answerKey{}).(*answer); ok {
		a.note(resp)
	}
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxBody)
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
		a.status, a.retryAfter = resp.StatusCode, retryAfter(resp.Header)
	}
}

// maxPause bounds what a server may ask for.
const maxPause = 24 * time.Hour

// pause is how long to leave the server alone, otherwise where it did not say.
func (a *answer) pause(otherwise time.Duration) time.Duration {
	if a.retryAfter == 0 {
		return otherwise
	}
	return a.retryAfter
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3), a date by the server's
// own clock, in whole seconds up to maxPause. It is 0 when there is none.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 0), int(maxPause/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxPause)
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
