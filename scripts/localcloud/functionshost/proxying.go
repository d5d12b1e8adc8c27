package functionshost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// hopHeaders are passed on neither way. YARP 2.0.1, which the host has, counts
// Strict-Transport-Security among them: host.json can add that, the handler
// cannot.
var hopHeaders = []string{
	"Connection", "Transfer-Encoding", "Keep-Alive", "Upgrade", "Proxy-Connection", "Proxy-Authenticate",
	"Proxy-Authentication-Info", "Proxy-Authorization", "Proxy-Features", "Proxy-Instruction", "Security-Scheme",
	"Alpn", "Close", "Http2-Settings", "Upgrade-Insecure-Requests", "Te", "Alt-Svc", "Strict-Transport-Security",
}

// copyBuffer is how much of an answer is copied at once, in bytes.
const copyBuffer = 32 << 10

// proxy streams the request to the handler and the answer back.
func (h *Host) proxy(ctx context.Context, w *hostWriter, r *http.Request, c *call) error {
	res, err := h.exchange(ctx, h.proxied(r, c), proxyAttempts)
	if err != nil {
		return fmt.Errorf("proxying: %w", err)
	}
	defer res.Body.Close()
	if err := checkAnswer(res.Header); err != nil {
		return fmt.Errorf("proxying: %w", err)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		if !isUpgrade(r.Header) {
			for _, name := range []string{"Connection", "Upgrade"} {
				w.Header()[name] = res.Header[name]
			}
			w.conn.finished.Store(true)
			return errors.New("proxying: the handler upgrades a connection that nobody asked to upgrade")
		}
		return h.tunnel(w, res)
	}
	buffer := make([]byte, copyBuffer)
	n, err := res.Body.Read(buffer)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading a proxied answer: %w", err)
	}
	for _, name := range hopHeaders {
		res.Header.Del(name)
	}
	for name, values := range res.Header {
		w.Header()[name] = values
	}
	setTrailerNames(w.Header(), res)
	w.WriteHeader(res.StatusCode)
	h.copyAnswer(w, r, res.Body, buffer, n, err)
	return nil
}

// copyAnswer writes what has been read of an answer and the rest, piece by
// piece. The client sees by a reset that the handler has broken off.
func (h *Host) copyAnswer(w *hostWriter, r *http.Request, body io.Reader, buffer []byte, n int, err error) {
	control := http.NewResponseController(w.ResponseWriter)
	for {
		if n > 0 {
			_, writeErr := w.Write(buffer[:n])
			if writeErr != nil || control.Flush() != nil {
				h.cfg.Log.Debug("the client has gone", "error", writeErr)
				return
			}
		}
		switch err {
		case nil:
			n, err = body.Read(buffer)
		case io.EOF:
			return
		default:
			h.cfg.Log.Error("reading a proxied answer", "error", err)
			front(r).aborts.Store(true)
			panic(http.ErrAbortHandler)
		}
	}
}

// proxied is the request as YARP makes it: the handler's address as its Host,
// and headers that the host sets whatever the client sent.
func (h *Host) proxied(r *http.Request, c *call) *upstream {
	header := r.Header.Clone()
	upgrade := isUpgrade(header)
	for _, name := range hopHeaders {
		header.Del(name)
	}
	if upgrade {
		header.Set("Connection", "Upgrade")
		header.Set("Upgrade", "websocket")
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-Prefix", "Content-Length"} {
		header.Del(name)
	}
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		client = r.RemoteAddr
	}
	h.trace(header)
	header.Set("X-Forwarded-For", client)
	header.Set("X-Forwarded-Host", r.Host)
	header.Set("X-Forwarded-Proto", c.scheme)
	header.Set(versionHeader, hostVersion)
	header.Set(invocationHeader, c.id)
	header.Set(proxyHeader, c.id)
	joinValues(header)
	u := &upstream{
		method: knownMethod(r.Method), path: proxiedPath(c.head.path), query: proxiedQuery(c.head.query),
		host: h.worker.address, header: header, length: r.ContentLength, zeroLength: c.head.length == 0 || needsLength(knownMethod(r.Method)),
	}
	if strings.HasPrefix(r.Host, "xn--") { // .NET's client keeps it
		u.host = r.Host
	}
	switch {
	case c.body != nil:
		u.body = bytes.NewReader(c.body)
	case r.ContentLength < 0:
		u.body = r.Body
	case hasContentHeaders(header):
		u.zeroLength = true
	}
	return u
}

// needsLength reports whether .NET's client says of a request with the method
// that it has no body.
func needsLength(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions, http.MethodConnect:
		return false
	}
	return true
}

// isUpgrade reports whether the client asks for a WebSocket.
func isUpgrade(header http.Header) bool {
	return strings.EqualFold(header.Get("Upgrade"), "websocket") && strings.Contains(strings.ToLower(header.Get("Connection")), "upgrade")
}

// tunnel makes the client's connection one to the handler.
func (h *Host) tunnel(w *hostWriter, res *http.Response) error {
	upstream, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		return errors.New("tunnelling: the handler's connection cannot be written to")
	}
	conn, in, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return fmt.Errorf("tunnelling: %w", err)
	}
	w.hijacked = true
	defer conn.Close()
	res.Body = nil
	if err := res.Write(conn); err != nil {
		return nil // the client has gone
	}
	go func() {
		io.Copy(upstream, in) // either end ends both
		upstream.Close()
	}()
	io.Copy(conn, upstream)
	return nil
}

// joinValues puts the values of a repeated header on one line, as .NET does.
func joinValues(header http.Header) {
	for name, values := range header {
		if len(values) > 1 {
			separator := ", "
			switch name {
			case "Cookie":
				separator = "; "
			case "User-Agent":
				separator = " "
			}
			header[name] = []string{strings.Join(values, separator)}
		}
	}
}

// setTrailerNames keeps the header that names trailers, which Go takes away;
// trailers themselves are not passed on. Go's server does not know the name in
// this case.
func setTrailerNames(header http.Header, res *http.Response) {
	names := make([]string, 0, len(res.Trailer))
	for name := range res.Trailer {
		names = append(names, name)
	}
	if len(names) > 0 {
		header["trailer"] = []string{strings.Join(names, ", ")}
	}
}

// checkAnswer refuses values that the host's web server does not write.
func checkAnswer(header http.Header) error {
	for name, values := range header {
		for _, value := range values {
			for i := range len(value) {
				if c := value[i]; c < ' ' && c != '\t' || c > '~' {
					return fmt.Errorf("header %q of the answer has the byte %#x", name, c)
				}
			}
		}
	}
	return nil
}
