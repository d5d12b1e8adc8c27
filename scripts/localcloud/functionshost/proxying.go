package functionshost

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

const (
	versionHeader    = "X-Azure-Functions-HostVersion"
	invocationHeader = "X-Azure-Functions-InvocationId"
	// proxyHeader carries the invocation id in proxying mode only.
	proxyHeader = "X-Ms-Invocation-Id"

	proxyAttempts     = 10
	firstRetryDelay   = 50 * time.Millisecond
	longestRetryDelay = 250 * time.Millisecond
)

// hopHeaders are removed both ways, besides those that httputil.ReverseProxy
// removes.
var hopHeaders = []string{
	"Connection", "Upgrade", "Te", "Upgrade-Insecure-Requests", "Proxy-Authentication-Info", "Proxy-Features",
	"Proxy-Instruction", "Security-Scheme", "Alpn", "Close", "Alt-Svc",
}

// proxy streams the request to the handler and the response back.
func (h *Host) proxy(w http.ResponseWriter, r *http.Request, c *call) {
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(pr *httputil.ProxyRequest) { h.rewrite(pr, c) },
		Transport:     &retrier{next: h.transport, log: h.cfg.Log},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(h.cfg.Log.Handler(), slog.LevelWarn),
		ModifyResponse: func(res *http.Response) error {
			for _, name := range hopHeaders {
				res.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return
			}
			h.cfg.Log.Error("a request failed", "function", c.fn.Name, "invocation", c.id, "error", err)
			w.WriteHeader(http.StatusInternalServerError)
		},
	}
	proxy.ServeHTTP(w, r)
}

// rewrite makes the outgoing request: the handler's address as its Host, the
// query as it came, and the headers that the host sets whatever the client sent.
func (h *Host) rewrite(pr *httputil.ProxyRequest, c *call) {
	out := pr.Out
	setURL(out, h.worker.address, proxiedPath(c.path), pr.In.URL.RawQuery)
	out.Host = h.worker.address
	for _, name := range hopHeaders {
		out.Header.Del(name)
	}
	if forwarded, ok := pr.In.Header["Forwarded"]; ok {
		out.Header["Forwarded"] = forwarded
	}
	client, _, err := net.SplitHostPort(pr.In.RemoteAddr)
	if err != nil {
		client = pr.In.RemoteAddr
	}
	out.Header.Del("X-Forwarded-Prefix")
	out.Header.Set("X-Forwarded-For", client)
	out.Header.Set("X-Forwarded-Host", pr.In.Host)
	out.Header.Set("X-Forwarded-Proto", "http")
	out.Header.Set(versionHeader, hostVersion)
	out.Header.Set(invocationHeader, c.id)
	out.Header.Set(proxyHeader, c.id)
	joinValues(out.Header)
}

// setURL gives the request an escaped path and a query that are sent as they are.
func setURL(r *http.Request, address, path, query string) {
	r.URL = &url.URL{Scheme: "http", Host: address, Path: path, RawPath: path, RawQuery: query}
	if plain, err := url.PathUnescape(path); err == nil { // proxiedPath and forwardedPath escape well
		r.URL.Path = plain
	}
}

// joinValues puts the values of a repeated header on one line, as .NET does.
func joinValues(header http.Header) {
	for name, values := range header {
		if len(values) > 1 {
			separator := ", "
			if name == "Cookie" {
				separator = "; "
			}
			header[name] = []string{strings.Join(values, separator)}
		}
	}
}

// A retrier repeats requests that failed without an answer, because the
// handler may be restarting. One whose body may have been sent is only repeated
// if there was no connection.
type retrier struct {
	next *http.Transport
	log  *slog.Logger
}

func (t *retrier) RoundTrip(r *http.Request) (*http.Response, error) {
	body := r.Body
	if body != nil {
		defer body.Close()
		r.Body = io.NopCloser(body)
	}
	delay := firstRetryDelay
	for attempt := 1; ; attempt++ {
		res, err := t.next.RoundTrip(r)
		dial := (*net.OpError)(nil)
		noConnection := errors.As(err, &dial) && dial.Op == "dial"
		if err == nil || attempt == proxyAttempts || r.Context().Err() != nil || body != nil && !noConnection {
			return res, err
		}
		t.log.Warn("retrying a proxied request", "attempt", attempt, "delay", delay, "error", err)
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(delay):
		}
		delay = min(2*delay, longestRetryDelay)
	}
}
