package functionshost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	// defaultBodyLimit is the largest request body, in bytes.
	defaultBodyLimit = 104_857_600
	homepage         = "<!DOCTYPE html><title>Azure Functions</title><p>Your Functions 4.0 app is up and running</p>\n"
)

// bodyLimit is the largest request body that the app takes, in bytes.
func (a *App) bodyLimit() int64 {
	text, _ := a.settings.lookup("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return n
	}
	return defaultBodyLimit
}

// A call is one request on its way to an HTTP function.
type call struct {
	id     string // of the invocation
	fn     *Function
	path   string // decoded
	params map[string]string
	body   []byte // if the request has a Content-Length; nil if not
}

// ServeHTTP is the host's front: its own endpoints, then the functions' routes.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := serverPath(requestPath(r))
	if h.serveAdmin(w, r, path) {
		return
	}
	fn, params, ok := h.app.match(r.Method, path)
	switch {
	case !ok && path == "/":
		h.serveHomepage(w)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	case !h.cfg.Keys.allow(r, fn.level, fn.Name):
		w.WriteHeader(http.StatusUnauthorized)
	default:
		h.call(w, r, &call{id: h.cfg.NewID(), fn: fn, path: path, params: params})
	}
}

// requestPath is the path of the request line as the client wrote it.
func requestPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if strings.HasPrefix(path, "/") {
		return path
	}
	if u, err := url.Parse(path); err == nil { // http://host/path
		return u.EscapedPath()
	}
	return path
}

func (h *Host) serveHomepage(w http.ResponseWriter) {
	if h.app.settings.isTrue("AzureWebJobsDisableHomepage") {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, homepage)
}

// call passes the request on in the app's mode and writes the answer. Every
// failure that is not the client's is an empty 500.
func (h *Host) call(w http.ResponseWriter, r *http.Request, c *call) {
	if status := h.readBody(w, r, c); status != 0 {
		w.WriteHeader(status)
		return
	}
	// The proxy gives up when its client does; the others do not notice.
	ctx := h.ctx
	mode := h.mode(c.fn)
	if mode == Proxying {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(h.ctx, cancel)()
	}
	ctx, cancel, err := h.begin(ctx)
	if err != nil {
		h.cfg.Log.Error("a request failed", "function", c.fn.Name, "invocation", c.id, "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	defer cancel()
	switch mode {
	case Proxying:
		h.proxy(w, r.WithContext(ctx), c)
		return
	case Forwarding:
		err = h.forward(ctx, w, r, c)
	default:
		err = h.invokeHTTP(ctx, w, r, c)
	}
	if err != nil {
		h.cfg.Log.Error("a request failed", "function", c.fn.Name, "invocation", c.id, "error", err)
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// mode is how requests for the function travel; ModeFromHostJSON here stands
// for the JSON of an invocation.
func (h *Host) mode(fn *Function) Mode {
	custom := h.app.host.CustomHandler
	switch {
	case !fn.httpOnly():
		return ModeFromHostJSON
	case h.cfg.Mode != ModeFromHostJSON:
		return h.cfg.Mode
	case bool(custom.Proxying):
		return Proxying
	case bool(custom.Forwarding):
		return Forwarding
	}
	return ModeFromHostJSON
}

// readBody reads a body of known length as a whole, as the host does before it
// calls anything, and limits one of unknown length. It returns the status to
// refuse the request with, or 0.
func (h *Host) readBody(w http.ResponseWriter, r *http.Request, c *call) int {
	r.Body = http.MaxBytesReader(w, r.Body, h.bodyLimit)
	if r.ContentLength > h.bodyLimit {
		return http.StatusRequestEntityTooLarge
	}
	if r.ContentLength <= 0 {
		return 0
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return http.StatusBadRequest
	}
	c.body, r.Body = body, io.NopCloser(bytes.NewReader(body))
	return 0
}

// begin waits for the handler and starts the clock of one invocation. When
// that runs out, the handler is killed and started again.
func (h *Host) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	p, err := h.worker.await(ctx)
	if errors.Is(err, errNeverReady) {
		h.fail(err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("waiting for the handler: %w", err)
	}
	limit := h.app.host.functionTimeout()
	if limit == 0 {
		ctx, cancel := context.WithCancel(ctx)
		return ctx, cancel, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errRecycled)
	context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), errRecycled) {
			h.cfg.Log.Error("a function timed out", "after", limit)
			p.recycle()
		}
	})
	return ctx, cancel, nil
}
