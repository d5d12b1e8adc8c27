package acme_test

// Faults between the provider and Pebble.

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/pebble"
)

// fault is what becomes of an exchange.
type fault uint8

const (
	none      fault = iota
	lostReply       // the server did its work, and the connection ends
)

// faults lies between a Provider and its servers. Exchanges are served one at a
// time, so that they have an order.
type faults struct {
	mu     sync.Mutex
	count  int
	next   func(n int, r *http.Request) fault // n counts from 1
	server atomic.Pointer[pebble.Server]

	// rewrite and header change what a server answers to a path.
	rewrite func(path, body string) string
	header  func(path string, h http.Header)
}

// around puts the faults in front of a handler.
func (f *faults) around(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.count++
		what := none
		if f.next != nil {
			what = f.next(f.count, r)
		}
		if what == none {
			handler.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
}

// reset begins to count anew.
func (f *faults) reset(next func(n int, r *http.Request) fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count, f.next = 0, next
}

// behind makes the front's requests go to a server from now on; they need not
// have the same port, but the same certificate.
func (f *faults) behind(server *pebble.Server) { f.server.Store(server) }

// front serves what an ACME server serves, through faults, and returns the URL
// of its directory. The server's URLs lead to it as well: Pebble builds them
// from the host that it is asked for.
func (f *faults) front(t *testing.T, server *pebble.Server) string {
	t.Helper()
	f.behind(server)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: server.Roots()}}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := httptest.NewUnstartedServer(f.around(&httputil.ReverseProxy{
		Transport: transport,
		ModifyResponse: func(resp *http.Response) error {
			if f.header != nil {
				f.header(resp.Request.URL.Path, resp.Header)
			}
			if f.rewrite == nil {
				return nil
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			text := f.rewrite(resp.Request.URL.Path, string(body))
			resp.Body = io.NopCloser(strings.NewReader(text))
			resp.ContentLength = int64(len(text))
			resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
			return err
		},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "https", fmt.Sprintf("127.0.0.1:%d", f.server.Load().Port())
			// A client that dies does not reach into the server's work.
			r.Out = r.Out.WithContext(context.WithoutCancel(r.Out.Context()))
		},
	}))
	proxy.TLS = &tls.Config{Certificates: []tls.Certificate{*server.TLS()}}
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	return unique(proxy.URL + directoryPath)
}

// unique makes the URL of a directory differ from that of an earlier server at
// the same port: the ACME library keeps directories by URL.
func unique(directory string) string { return directory + "?" + rand.Text() }
