package functionshost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
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
	head   *requestHead
	scheme string
	params map[string]string
	body   []byte // if the request has a Content-Length; nil if not
}

// ServeHTTP answers what Go's server takes for a request: the one that the
// client's connection has next.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn := front(r)
	head := conn.next(r)
	body := &limitedBody{ReadCloser: r.Body, limit: h.bodyLimit}
	r.Body = body
	answer := &hostWriter{ResponseWriter: w, method: head.method, custom: h.app.host.Extensions.HTTP.CustomHeaders, body: body, conn: conn}
	if head.refusal != 0 || head.http10 && !head.keepAlive {
		w.Header().Set("Connection", "close")
	}
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil { // only HTTP/1 is spoken here
		h.cfg.Log.Debug("answering before the body has come", "error", err)
	}
	if head.refusal != 0 {
		answer.fail(head.refusal)
		return
	}
	h.serve(answer, r, head)
	if r.ContentLength != 0 && !answer.hijacked {
		if err := control.Flush(); err != nil {
			h.cfg.Log.Debug("answering", "error", err)
		}
		conn.drain(body)
	}
}

// serve answers from the host's own endpoints or by the functions' routes.
func (h *Host) serve(w *hostWriter, r *http.Request, head *requestHead) {
	if h.serveAdmin(w, r, head.path) {
		return
	}
	fn, params, ok := h.app.match(r.Method, head.path)
	switch {
	case !ok && head.path == "/":
		h.serveHomepage(w)
	case !ok:
		w.fail(http.StatusNotFound)
	case !h.cfg.Keys.allow(r, fn.level, fn.Name):
		w.fail(http.StatusUnauthorized)
	default:
		c := &call{id: h.cfg.NewID(), fn: fn, head: head, scheme: "http", params: params}
		h.trustFrontEnd(r, c)
		h.call(w, r, c)
	}
}

// trustFrontEnd takes the host and the scheme of the client's URL from what
// the front end of Azure's Linux plans says. Elsewhere nobody has checked that.
func (h *Host) trustFrontEnd(r *http.Request, c *call) {
	if name, _ := h.app.settings.lookup("CONTAINER_NAME"); name == "" {
		return
	}
	if host := r.Header.Get("Disguised-Host"); host != "" {
		r.Host = host
	}
	if scheme := r.Header.Get("X-Forwarded-Proto"); scheme != "" {
		c.scheme = scheme
	}
}

func (h *Host) serveHomepage(w http.ResponseWriter) {
	if h.app.settings.isTrue("AzureWebJobsDisableHomepage") {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, homepage)
	if err := http.NewResponseController(w).Flush(); err != nil { // in chunks
		h.cfg.Log.Debug("answering", "error", err)
	}
}

// call passes the request on in the app's mode and writes the answer. Every
// failure is an empty 500, the client's too.
func (h *Host) call(w *hostWriter, r *http.Request, c *call) {
	if err := h.pass(w, r, c); err != nil {
		h.cfg.Log.Error("a request failed", "function", c.fn.Name, "invocation", c.id, "error", err)
		w.fail(http.StatusInternalServerError)
	}
}

func (h *Host) pass(w *hostWriter, r *http.Request, c *call) error {
	if !isURIHost(r.Host) {
		return fmt.Errorf("binding the trigger: Host %q does not make a URI", r.Host)
	}
	if r.Method == http.MethodConnect {
		return errors.New("CONNECT cannot be passed on")
	}
	if err := h.readBody(r, c); err != nil {
		return fmt.Errorf("reading the body: %w", err)
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
		return err
	}
	defer cancel()
	switch mode {
	case Proxying:
		return h.proxy(ctx, w, r, c)
	case Forwarding:
		return h.forward(ctx, w, r, c)
	}
	return h.invokeHTTP(ctx, w, r, c)
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
// calls anything.
func (h *Host) readBody(r *http.Request, c *call) error {
	if r.ContentLength <= 0 {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	c.body = body
	return nil
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
