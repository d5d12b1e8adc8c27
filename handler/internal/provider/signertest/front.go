// Package signertest is what tests of providers share whose CA answers a CSR with a
// certificate at once: an https server before the CA, requests, and a vault.
package signertest

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider/fault"
)

// Front is an https server before a CA that records what is sent and has faults.
type Front struct {
	HTTP *httptest.Server

	sync.Mutex                  // guards what follows, and what a test's CA keeps
	Calls      []string         // "path status" of the CA's answers, which the CA records
	Bodies     []map[string]any // of the requests but GET, faults included
	Faults     []fault.Func     // one for each request to come
}

// Serve starts the server; next is the CA.
func (f *Front) Serve(t testing.TB, next http.Handler) {
	t.Helper()
	f.HTTP = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.receive(t, r)(w, r, next)
	}))
	f.HTTP.EnableHTTP2 = true
	f.HTTP.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.HTTP.StartTLS()
	t.Cleanup(f.HTTP.Close)
}

// receive records a request and finds its fault.
func (f *Front) receive(t testing.TB, r *http.Request) fault.Func {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		t.Errorf("reading a request: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(content))
	var body map[string]any
	if r.Method != http.MethodGet {
		if err := json.Unmarshal(content, &body); err != nil {
			t.Errorf("%s: the body is not JSON: %v", r.URL, err)
		}
	}
	f.Lock()
	defer f.Unlock()
	if r.Method != http.MethodGet {
		f.Bodies = append(f.Bodies, body)
	}
	return fault.Pop(&f.Faults)
}

// Set changes the front, or the CA.
func (f *Front) Set(change func()) {
	f.Lock()
	defer f.Unlock()
	change()
}

// Take returns the CA's answers since the last call of it.
func (f *Front) Take() []string {
	f.Lock()
	defer f.Unlock()
	calls := f.Calls
	f.Calls = nil
	return calls
}
