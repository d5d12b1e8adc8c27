package providertest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

// Network is all that a rig's provider can call. The suite sees each exchange
// and decides what becomes of it.
type Network struct {
	world     *world
	elsewhere *httptest.Server
	strayed   atomic.Int32 // requests elsewhere
	taken     atomic.Int64 // bytes of endless bodies
	ignored   atomic.Int32 // deadlines that a client did not keep
	servers   []*httptest.Server
}

func newNetwork(w *world) *Network {
	n := &Network{world: w}
	n.elsewhere = serveTLS(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.strayed.Add(1) }))
	return n
}

// Serve has a server answered by h and returns its URL, https://127.0.0.1:PORT.
// h gets each request whole and on its own: that its client dies does not end
// the request's context.
func (n *Network) Serve(h http.Handler) string {
	server := serveTLS(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.exchange(w, r, h) }))
	n.servers = append(n.servers, server)
	return server.URL
}

// Roots verify what Serve serves.
func (n *Network) Roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(n.elsewhere.Certificate())
	return roots
}

// Now is the suite's clock. It begins at the real time, for CAs that go by that.
func (n *Network) Now() time.Time { return n.world.clock.now() }

// Forward is a handler for Network.Serve that passes requests on to a real
// server at base, https://HOST:PORT, verified by roots. The server sees the
// host that was asked for.
func Forward(base *url.URL, roots *x509.CertPool) http.Handler {
	return &httputil.ReverseProxy{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = base.Scheme, base.Host },
		ErrorLog:  log.New(io.Discard, "", 0),
	}
}

func (n *Network) close() {
	for _, server := range append(n.servers, n.elsewhere) {
		server.CloseClientConnections()
		server.Close()
	}
}

func serveTLS(h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	return server
}

// maxRequest bounds a request's body in bytes.
const maxRequest = 1 << 20

// exchange serves one request as the plan has it.
func (n *Network) exchange(w http.ResponseWriter, r *http.Request, next http.Handler) {
	n.world.exchanges.RLock()
	defer n.world.exchanges.RUnlock()
	if n.world.down.Load() {
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		panic(http.ErrAbortHandler) // the client gave up
	}
	act := n.world.begin(moment{call: true, what: r.Method + " " + r.URL.Path})
	act.doBefore()
	if n.world.down.Load() {
		panic(http.ErrAbortHandler)
	}
	reply := httptest.NewRecorder()
	if !act.lost {
		detached := r.WithContext(context.WithoutCancel(r.Context()))
		detached.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(reply, detached)
	}
	act.doAfter()
	if n.world.down.Load() {
		panic(http.ErrAbortHandler)
	}
	if act.answer != nil {
		act.answer(n, w, r, reply)
		return
	}
	send(w, reply)
}

// send passes a recorded answer on.
func send(w http.ResponseWriter, reply *httptest.ResponseRecorder) {
	for name, values := range reply.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(reply.Code)
	w.Write(reply.Body.Bytes()) // that the client is gone is its business
}
