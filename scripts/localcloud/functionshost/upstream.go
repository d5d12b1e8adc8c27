package functionshost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	versionHeader    = "X-Azure-Functions-HostVersion"
	invocationHeader = "X-Azure-Functions-InvocationId"
	// proxyHeader carries the invocation id in proxying mode only.
	proxyHeader = "X-Ms-Invocation-Id"

	// sends is how often a request without a body is sent if the handler ends
	// the connection instead of answering.
	sends = 4
	// expectThreshold is the length up to which a body is sent though the handler
	// has answered "Expect: 100-continue" with an error, in bytes.
	expectThreshold   = 1024
	proxyAttempts     = 10
	firstRetryDelay   = 50 * time.Millisecond
	longestRetryDelay = 250 * time.Millisecond
)

// goSaysZero are the methods of which Go's client says by itself that a request
// has no body.
var goSaysZero = []string{http.MethodPost, http.MethodPut, http.MethodPatch}

// An upstream is a request to the handler, with what is needed to send it
// again.
type upstream struct {
	method, path string // the path escaped
	query        string // with its question mark
	host         string
	header       http.Header
	length       int64     // of the body; -1 if it comes in chunks
	body         io.Reader // nil without one
	zeroLength   bool      // says that there is no body

	began atomic.Bool  // the body has been read from
	sent  atomic.Int32 // how often it was sent
}

// exchange sends the request up to attempts times, and again where .NET's
// client does.
func (h *Host) exchange(ctx context.Context, u *upstream, attempts int) (*http.Response, error) {
	delay := firstRetryDelay
	for attempt := 1; ; attempt++ {
		res, err := h.attempt(ctx, u)
		if err == nil || attempt >= attempts || ctx.Err() != nil || isBadLength(err) {
			return res, err
		}
		h.cfg.Log.Warn("retrying a request to the handler", "attempt", attempt, "delay", delay, "error", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(delay):
		}
		delay = min(2*delay, longestRetryDelay)
	}
}

// isBadLength reports whether the answer came but for a Content-Length that
// cannot be. The proxy finds that out only after its client was content, so
// that nobody asks again.
func isBadLength(err error) bool { return strings.Contains(err.Error(), "Content-Length") }

// attempt sends the request, up to sends times if the connection ends without
// an answer.
func (h *Host) attempt(ctx context.Context, u *upstream) (*http.Response, error) {
	for name, values := range u.header {
		if slices.ContainsFunc(values, func(v string) bool { return !isASCII(v) }) {
			return nil, fmt.Errorf("header %q is not ASCII", name)
		}
	}
	for last := u.sent.Load() + sends; ; {
		if u.began.Load() {
			return nil, errors.New("the body was sent already")
		}
		res, err := h.sendOnce(ctx, u)
		if err == nil || !errors.Is(err, io.EOF) || u.body != nil || u.sent.Load() >= last {
			return res, err
		}
	}
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > '~' })
}

// sendOnce sends the request. An answer counts only when the body has been
// written completely, as .NET's client has it: a handler that answers early and
// closes is lost.
func (h *Host) sendOnce(ctx context.Context, u *upstream) (*http.Response, error) {
	wrote := make(chan error, sends) // Go may send again by itself
	trace := &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		u.sent.Add(1)
		select {
		case wrote <- info.Err:
		default:
		}
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), u.method, "http://"+h.worker.address, nil)
	if err != nil {
		return nil, err
	}
	req.URL.Opaque, req.URL.RawQuery, req.URL.ForceQuery = opaque(u.path), strings.TrimPrefix(u.query, "?"), u.query == "?"
	req.Host, req.Header = u.host, u.header.Clone()
	if u.body != nil {
		req.Body, req.ContentLength = &startedBody{u}, u.length
		if u.length < 0 {
			req.TransferEncoding = []string{"chunked"}
		}
	} else if u.zeroLength && !slices.Contains(goSaysZero, u.method) {
		req.Header["content-length"] = []string{"0"} // which Go would leave out by its usual name
	}
	// .NET's client sends a short body that the handler has refused all the
	// same, so that it need not be waited for; Go does not know this name.
	if expect, ok := req.Header["Expect"]; ok && u.length >= 0 && u.length <= expectThreshold {
		delete(req.Header, "Expect")
		req.Header["expect"] = expect
	}
	// Go would leave this out, too.
	if names, ok := req.Header["Trailer"]; ok {
		delete(req.Header, "Trailer")
		req.Header["trailer"] = names
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = []string{""} // none, rather than Go's
	}
	res, err := h.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if u.body != nil {
		select {
		case err = <-wrote:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	for name := range res.Header {
		if !httpguts.ValidHeaderFieldName(name) { // Go lets a space pass
			err = fmt.Errorf("%q is not the name of a header", name)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sending the request: %w", err), res.Body.Close())
	}
	if res.Close && (res.ContentLength >= 0 || res.TransferEncoding != nil) && res.ProtoAtLeast(1, 1) {
		res.Header.Set("Connection", "close") // which Go takes away
	}
	return res, nil
}

// opaque keeps a path as it is: Go takes one that begins with two slashes for
// a host.
func opaque(path string) string {
	if strings.HasPrefix(path, "//") {
		return "/." + path
	}
	return path
}

// A startedBody notes that its request's body has been read from.
type startedBody struct{ u *upstream }

func (b *startedBody) Read(p []byte) (int, error) {
	b.u.began.Store(true)
	return b.u.body.Read(p)
}

func (b *startedBody) Close() error { return nil }

// traceparent is that header as the W3C has it.
var traceparent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// trace adds what .NET's client says about the activity that a request is part
// of, unless the client has said that.
func (h *Host) trace(header http.Header) {
	parents, ok := header["Traceparent"]
	id := func() string { return strings.ReplaceAll(h.cfg.NewID(), "-", "") }
	switch parent := strings.Join(parents, ","); {
	case !ok:
		header.Set("Traceparent", "00-"+id()+"-"+id()[:16]+"-00")
	case !traceparent.MatchString(parent):
		header.Set("Request-Id", "|"+parent+"."+id()[:8]+".")
	}
}
