// Package frontdoor stands where Azure App Service's front ends stand: it
// ends TLS, says in headers what the client asked for, and passes everything
// else to the Functions host as it came.
package frontdoor

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

const (
	// bodyLimit is the Functions host's own limit of a request body, in bytes.
	bodyLimit = 100 << 20
	// answerTimeout is how long App Service waits for the first byte of an answer.
	answerTimeout = 230 * time.Second
	dialTimeout   = 2 * time.Second
	idleUpstream  = 32
	// transportSecurity is for browsers only, but the live service sends it.
	transportSecurity = "Strict-Transport-Security"
)

// ownPrefixes are the beginnings of header names that only App Service sets, such
// as the results of its authentication.
var ownPrefixes = []string{"X-Arr-", "X-Ms-Client-Principal", "X-Ms-Token-"}

// Config says where requests go.
type Config struct {
	// Upstream is the Functions host's address, host:port.
	Upstream string
	// Log receives failures to reach the Functions host.
	Log *slog.Logger
}

// New returns the handler that passes requests on. The request's target arrives
// as it was sent: an encoded slash stays encoded and empty segments stay, and
// nothing is redirected. Bodies stream in both directions.
func New(cfg Config) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { rewrite(r, cfg.Upstream) },
		Transport: &http.Transport{
			Proxy:                 nil, // the environment's proxy is the local cloud's own
			DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
			DisableCompression:    true, // which would unpack and repack answers
			MaxIdleConnsPerHost:   idleUpstream,
			IdleConnTimeout:       time.Minute,
			ResponseHeaderTimeout: answerTimeout,
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Header.Get(transportSecurity) == "" { // of the Functions host, where there is one
				r.Header.Set(transportSecurity, "max-age=31536000;includeSubDomains")
			}
			return nil
		},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			cfg.Log.Warn("no answer from the Functions host", "method", r.Method, "path", r.URL.EscapedPath(), "error", err)
			w.WriteHeader(statusOf(err))
		},
	}
	limited := http.MaxBytesHandler(proxy, bodyLimit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limited.ServeHTTP(&finalWriter{w}, r)
	})
}

// A finalWriter drops the "100 Continue" of the Functions host and the handler:
// the front door's own server has asked the client for the body, and some
// clients take a second one for the answer.
type finalWriter struct{ http.ResponseWriter }

func (w *finalWriter) WriteHeader(status int) {
	if status != http.StatusContinue {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *finalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func rewrite(r *httputil.ProxyRequest, upstream string) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", upstream
	// ReverseProxy drops query parameters that it does not understand.
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	r.Out.Host = r.In.Host
	for name := range r.Out.Header {
		for _, prefix := range ownPrefixes {
			if strings.HasPrefix(name, prefix) {
				r.Out.Header.Del(name)
			}
		}
	}
	r.SetXForwarded() // For, Host and Proto, in place of what the client sent
	// From this the Functions host on Linux restores Host.
	r.Out.Header.Set("DISGUISED-HOST", r.In.Host)
}

func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout
	default:
		return http.StatusBadGateway
	}
}
