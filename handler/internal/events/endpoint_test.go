package events_test

// CloudEvents as an HTTPS endpoint receives them.

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/events"
	"github.com/certwright/certwright/handler/internal/vault"
)

const (
	vaultURL = "https://v1.certs.example.com"
	key      = "a key of thirty-two bytes or more"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// event is one of each type.
func event(t vault.EventType) vault.Event {
	e := vault.Event{
		ID: "019ca8bbf000" + strings.Repeat("0a", 10), Type: t, Time: start.Add(250 * time.Millisecond), Certificate: "Web",
		Version: "0123456789abcdef0123456789abcdef", NotBefore: start.Add(-60 * 24 * time.Hour), Expires: start.Add(30 * 24 * time.Hour),
		Issuer: "Corp", Contacts: true,
	}
	switch t {
	case vault.EventExpired:
		e.Time = e.Expires
	case vault.EventOperationFailed:
		e.RequestID, e.Code, e.Message = strings.Repeat("5d", 16), "Denied", "example.com is \"not\" yours\r\nBcc: everybody@example.com\n.\n"
	}
	return e
}

// receiver is an endpoint that remembers what it was sent.
type receiver struct {
	*httptest.Server
	answer func(http.ResponseWriter, *http.Request) // nil: 204

	mu       sync.Mutex
	requests []received
}

type received struct {
	*http.Request
	body []byte
}

func newReceiver(t testing.TB, answer func(http.ResponseWriter, *http.Request)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	r.Server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.requests = append(r.requests, received{req, body})
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(w, req)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// take returns what it was sent since the last call.
func (r *receiver) take() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

// endpoint is the destination that tells it.
func (r *receiver) endpoint(t testing.TB, path string) *events.Endpoint {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(r.Certificate())
	e, err := events.NewEndpoint(events.EndpointConfig{
		URL: r.URL + path, KeyID: "siem", Key: []byte(key), Roots: roots, Vault: vaultURL, Now: func() time.Time { return start },
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestCloudEvents compares what is sent with the examples of the documentation,
// and both with the schema.
func TestCloudEvents(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	e := r.endpoint(t, "/hook")
	for _, typ := range vault.EventTypes {
		for _, first := range []bool{false, true} {
			ev := event(typ)
			if first { // there is no version yet
				ev.Version, ev.NotBefore, ev.Expires = "", time.Time{}, time.Time{}
			}
			if err := e.Deliver(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
			req := r.take()[0]
			if req.Method != "POST" || req.URL.Path != "/hook" || req.Header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" {
				t.Errorf("%s %s, %v", req.Method, req.URL, req.Header)
			}
			checkSchema(t, req.body)
			if first {
				continue
			}
			file := filepath.Join("testdata", string(typ)+".json")
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parseJSON(t, want), parseJSON(t, req.body)); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", file, diff, req.body)
			}
		}
	}
}

// TestSignature is verified by OpenSSL, from nothing but the request and the
// words of RFC 9421.
func TestSignature(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	if err := r.endpoint(t, "/a%20b?code=x").Deliver(t.Context(), event(vault.EventExpired)); err != nil {
		t.Fatal(err)
	}
	req := r.take()[0]
	openssl := func(input []byte, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "openssl", append([]string{"dgst", "-sha256", "-binary"}, args...)...)
		cmd.Stdin = strings.NewReader(string(input))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(openssl(req.body)) + ":"
	if got := req.Header.Get("Content-Digest"); got != digest {
		t.Errorf("Content-Digest is %s, want %s", got, digest)
	}
	parameters, ok := strings.CutPrefix(req.Header.Get("Signature-Input"), "certwright=")
	if want := fmt.Sprintf(`("@method" "@authority" "@path" "content-digest");created=%d;keyid="siem";alg="hmac-sha256"`, start.Unix()); !ok || parameters != want {
		t.Errorf("parameters are %s, want %s", parameters, want)
	}
	base := fmt.Sprintf("\"@method\": POST\n\"@authority\": %s\n\"@path\": /a%%20b\n\"content-digest\": %s\n\"@signature-params\": %s", req.Host, digest, parameters)
	mac := openssl([]byte(base), "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString([]byte(key)))
	if got, want := req.Header.Get("Signature"), "certwright=:"+base64.StdEncoding.EncodeToString(mac)+":"; got != want {
		t.Errorf("Signature is %s, want %s", got, want)
	}
}

// TestAnswers: which end it, which need patience, and what is kept of them.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status  int
		header  string // Retry-After
		body    string
		refused bool
		after   time.Duration
		text    string
	}{
		{status: 400, body: "no\n\x00such\r\nthing", refused: true, text: "answered 400 Bad Request: no such thing"},
		{status: 413, refused: true, text: "answered 413 Request Entity Too Large"},
		{status: 401, after: 5 * time.Minute, text: "answered 401 Unauthorized"},
		{status: 403, after: 5 * time.Minute, text: "answered 403 Forbidden"},
		{status: 404, after: 5 * time.Minute, text: "answered 404 Not Found"},
		{status: 408, after: 2 * time.Minute, text: "answered 408 Request Timeout"},
		{status: 429, header: "7200", after: 2 * time.Hour, text: "answered 429 Too Many Requests"},
		{status: 503, after: 30 * time.Second, text: "answered 503 Service Unavailable"},
		{status: 503, header: "90", after: 90 * time.Second, text: "answered 503 Service Unavailable"},
		{status: 500, body: strings.Repeat("x", 1<<20), text: "answered 500 Internal Server Error: " + strings.Repeat("x", 512)},
		{status: 302, text: "answered 302 Found"},
	} {
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://127.0.0.1:1/elsewhere")
			if test.header != "" {
				w.Header().Set("Retry-After", test.header)
			}
			w.WriteHeader(test.status)
			io.WriteString(w, test.body)
		})
		err := r.endpoint(t, "/").Deliver(t.Context(), event(vault.EventExpired))
		e, ok := errors.AsType[*vault.DeliveryError](err)
		if !ok || e.Refused != test.refused || e.After != test.after || err.Error() != test.text {
			t.Errorf("%d: %+v, %q", test.status, e, err)
		}
	}
	for _, status := range []int{200, 201, 202, 203, 204} {
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if err := r.endpoint(t, "/").Deliver(t.Context(), event(vault.EventExpired)); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestErrorsHideTheURL: its query may be a secret, and so is the key.
func TestErrorsHideTheURL(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	hanging := newReceiver(t, func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	late, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	closed := newReceiver(t, nil)
	closed.Close()
	for what, err := range map[string]error{
		"an answer that is lost":    r.endpoint(t, "/hook?code=s3cret").Deliver(t.Context(), event(vault.EventExpired)),
		"nobody there":              closed.endpoint(t, "/hook?code=s3cret").Deliver(t.Context(), event(vault.EventExpired)),
		"an answer that never ends": hanging.endpoint(t, "/hook?code=s3cret").Deliver(late, event(vault.EventExpired)),
		"another scheme":            second(events.NewEndpoint(events.EndpointConfig{URL: "http://siem.example.com/?code=s3cret", KeyID: "a", Key: []byte(key), Vault: vaultURL})),
		"no URL":                    second(events.NewEndpoint(events.EndpointConfig{URL: "https://siem\x7f.example.com/?code=s3cret", KeyID: "a", Key: []byte(key), Vault: vaultURL})),
		"a short key":               second(events.NewEndpoint(events.EndpointConfig{URL: "https://siem.example.com/?code=s3cret", KeyID: "a", Key: []byte("short s3cret"), Vault: vaultURL})),
	} {
		if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestEndpointConfig(t *testing.T) {
	t.Parallel()
	good := events.EndpointConfig{URL: "https://siem.example.com/hook?code=x", KeyID: "siem", Key: []byte(key), Vault: vaultURL}
	e, err := events.NewEndpoint(good)
	if err != nil || !e.Wants(event(vault.EventExpired)) || !e.Wants(event(vault.EventNewVersion)) {
		t.Fatalf("without types it wants not all: %v", err)
	}
	some := good
	some.Types = []vault.EventType{vault.EventExpired}
	if e, err = events.NewEndpoint(some); err != nil || !e.Wants(event(vault.EventExpired)) || e.Wants(event(vault.EventNewVersion)) {
		t.Errorf("with one type it wants another: %v", err)
	}
	for what, edit := range map[string]func(*events.EndpointConfig){
		"no URL":            func(c *events.EndpointConfig) { c.URL = "" },
		"a user in the URL": func(c *events.EndpointConfig) { c.URL = "https://a:b@siem.example.com" },
		"no name of a key":  func(c *events.EndpointConfig) { c.KeyID = "" },
		"no key":            func(c *events.EndpointConfig) { c.Key = nil },
		"no types at all":   func(c *events.EndpointConfig) { c.Types = []vault.EventType{} },
		"an unknown type":   func(c *events.EndpointConfig) { c.Types = []vault.EventType{"Microsoft.KeyVault.SecretExpired"} },
		"no vault":          func(c *events.EndpointConfig) { c.Vault = "" },
		"a pattern":         func(c *events.EndpointConfig) { c.Vault = "https://*.vault.azure.net" },
	} {
		c := good
		edit(&c)
		if _, err := events.NewEndpoint(c); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// TestUnverifiedEndpoint: one that the roots do not vouch for is told nothing.
func TestUnverifiedEndpoint(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	e, err := events.NewEndpoint(events.EndpointConfig{URL: r.URL, KeyID: "siem", Key: []byte(key), Vault: vaultURL, Roots: x509.NewCertPool()})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Deliver(t.Context(), event(vault.EventExpired)); err == nil || calls.Load() != 0 {
		t.Errorf("%v, %d calls", err, calls.Load())
	}
}
