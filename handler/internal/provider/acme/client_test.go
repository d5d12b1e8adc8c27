package acme_test

// A CA that misbehaves on the wire.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// stub is a server that pretends to be a CA, up to accounts. It misbehaves as a
// real one cannot be made to.
type stub struct {
	server    *httptest.Server
	calls     atomic.Int32
	directory map[string]any
	account   http.HandlerFunc // answers newAccount
}

func newStub(t *testing.T) *stub {
	s := &stub{}
	mux := http.NewServeMux()
	mux.HandleFunc("/dir", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(s.directory)
	})
	mux.HandleFunc("/nonce", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Replay-Nonce", "nonce") })
	mux.HandleFunc("/account", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Replay-Nonce", "nonce")
		s.account(w, r)
	})
	s.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.server.Close)
	s.directory = map[string]any{
		"newNonce":   s.server.URL + "/nonce",
		"newAccount": s.server.URL + "/account",
		"newOrder":   s.server.URL + "/order",
	}
	return s
}

// operation is at its first step with the CA.
func (s *stub) operation(t *testing.T) *operation {
	setup := newSetup(t, quick)
	setup.cfg.Directory.URL = unique(s.server.URL + "/dir")
	setup.cfg.Directory.Roots = x509.NewCertPool()
	setup.cfg.Directory.Roots.AddCert(s.server.Certificate())
	return setup.request("stub.example.test")
}

// retries takes a step, which must not be the last.
func (o *operation) retries(text string) provider.Outcome {
	o.t.Helper()
	out := o.step()
	if out.Kind != provider.OutcomeRetry || !strings.Contains(out.Detail, text) {
		o.t.Errorf("%s: %s; want another try after %q", out.Kind, out.Detail+out.Message, text)
	}
	return out
}

// problem answers with a problem document.
func problem(status int, document string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		io.WriteString(w, document)
	}
}

func TestURLsOfTheCA(t *testing.T) {
	t.Parallel()
	other := newStub(t) // has the same certificate
	for name, test := range map[string]struct{ resource, url string }{
		"another host":     {"newNonce", other.server.URL + "/nonce"},
		"another for POST": {"newAccount", other.server.URL + "/account"},
		"no TLS":           {"newNonce", strings.Replace(other.server.URL, "https:", "http:", 1) + "/nonce"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.directory[test.resource] = test.url
			s.operation(t).retries("is not https to a configured host")
		})
	}
	t.Run("a configured host", func(t *testing.T) {
		t.Parallel()
		s, other := newStub(t), newStub(t)
		s.directory["newNonce"] = other.server.URL + "/nonce"
		s.account = problem(http.StatusForbidden, `{"type":"urn:ietf:params:acme:error:unauthorized","detail":"reached"}`)
		o := s.operation(t)
		o.cfg.Directory.Hosts = []string{strings.TrimPrefix(other.server.URL, "https://")}
		o.provider = o.setup.provider()
		o.failure(provider.CodeRejected, "reached")
	})
	t.Cleanup(func() {
		if n := other.calls.Load(); n != 0 {
			t.Errorf("a host that is not the CA's was called %d times", n)
		}
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.account = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.server.URL+"/elsewhere", http.StatusTemporaryRedirect)
	}
	s.operation(t).retries("HTTP 307")
	if n := s.calls.Load(); n != 4 {
		t.Errorf("%d requests, want two for the directory, nonce, account", n)
	}
}

func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	var sent atomic.Int64
	s.account = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for chunk := make([]byte, 64<<10); r.Context().Err() == nil; {
			n, err := w.Write(chunk)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}
	s.operation(t).retries("longer than 1048576 bytes")
	if n := sent.Load(); n > 32<<20 {
		t.Errorf("%d bytes were read", n)
	}
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	for name, account := range map[string]http.HandlerFunc{
		"no JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "<html>")
		},
		"no URL": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "{}")
		},
		"a page": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<html>a firewall</html>")
		},
		"no problem": problem(http.StatusBadRequest, "<html>"),
		"nothing":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.account = account
			s.operation(t).retries("")
		})
	}
}

func TestServerThatHangs(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	s.account = func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the end of the connection is not noticed
		<-r.Context().Done()
	}
	o := s.operation(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, out := o.provider.Step(ctx, o.req, nil); out.Kind != provider.OutcomeRetry {
		t.Errorf("%s: %s", out.Kind, out.Detail+out.Message)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	const urn = "urn:ietf:params:acme:error:"
	for _, test := range []struct {
		status   int
		document string
		fails    []string // nil: it is tried again
	}{
		{403, `{"type":"` + urn + `unauthorized","detail":"deactivated"}`, []string{"refuses the request: unauthorized: deactivated"}},
		{400, `{"type":"` + urn + `compound","detail":"several","subproblems":[
			{"type":"` + urn + `malformed","detail":"invalid","identifier":{"type":"dns","value":"_a.test"}},
			{"type":"` + urn + `rejectedIdentifier","detail":"forbidden"}]}`,
			[]string{"compound: several; _a.test: malformed: invalid; rejectedIdentifier: forbidden"}},
		{403, `{"type":"` + urn + `userActionRequired","detail":"new terms","instance":"https://ca.test/terms"}`, []string{"new terms; see https://ca.test/terms"}},
		{400, `{"detail":"no type"}`, []string{"no type"}},
		{400, `{"type":"` + urn + `malformed"}`, []string{"refuses the request: malformed"}},
		{400, `{"type":"` + urn + `malformed","detail":"` + strings.Repeat("ä", 4000) + `"}`, []string{"malformed: ää"}},
		{429, `{"type":"` + urn + `rateLimited","detail":"too many"}`, nil},
		{403, `{"type":"` + urn + `rateLimited","detail":"too many"}`, nil},
		{429, `{"type":"` + urn + `malformed","detail":"slow down"}`, nil},
		{408, `{"type":"` + urn + `malformed","detail":"too slow"}`, nil},
		{500, `{"type":"` + urn + `serverInternal","detail":"sorry"}`, nil},
		{503, `{"detail":"maintenance"}`, nil},
	} {
		t.Run(fmt.Sprintf("%d %.60s", test.status, test.document), func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.account = problem(test.status, test.document)
			o := s.operation(t)
			if test.fails == nil {
				o.retries("")
				return
			}
			o.failure(provider.CodeRejected, test.fails...)
			if _, out := o.provider.Step(t.Context(), o.req, nil); len(out.Message) > 2<<10 {
				t.Errorf("the message has %d bytes", len(out.Message))
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		retryAfter, date string
		want             time.Duration // 0: the vault's own back-off
	}{
		{"120", "", 2 * time.Minute},
		{"0", "", 0},
		{"-5", "", 0},
		{"999999999", "", 24 * time.Hour},
		{"soon", "", 0},
		{"", "", 0},
		{date.Add(time.Hour).Format(http.TimeFormat), date.Format(http.TimeFormat), time.Hour}, // by the server's clock
		{date.Add(48 * time.Hour).Format(http.TimeFormat), date.Format(http.TimeFormat), 24 * time.Hour},
		{date.Add(-time.Hour).Format(http.TimeFormat), date.Format(http.TimeFormat), 0},
		{date.Add(time.Hour).Format(http.TimeFormat), "today", 0},
	} {
		t.Run(test.retryAfter+" "+test.date, func(t *testing.T) {
			t.Parallel()
			s := newStub(t)
			s.account = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", test.retryAfter)
				if test.date != "" {
					w.Header().Set("Date", test.date)
				}
				problem(http.StatusTooManyRequests, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"x"}`)(w, r)
			}
			o := s.operation(t)
			now := o.clock.now()
			out := o.retries("rateLimited")
			if got := out.Until.Sub(now); got != test.want && !(test.want == 0 && out.Until.IsZero()) {
				t.Errorf("tries again after %s, want %s", got, test.want)
			}
		})
	}
}

// TestCAThatHangsStopsNoOther: while one CA is waited for, another is used for
// the first time.
func TestCAThatHangsStopsNoOther(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(entered) })
	hanging := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		enter()
		<-release
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer hanging.Close()
	s := newSetup(t, quick)
	s.cfg.Directory.URL = unique(hanging.URL + "/dir")
	s.cfg.Directory.Roots = x509.NewCertPool()
	s.cfg.Directory.Roots.AddCert(hanging.Certificate())
	stuck, ended := s.request("hanging.example.test"), make(chan provider.Outcome)
	go func() {
		_, out := stuck.provider.Step(t.Context(), stuck.req, nil)
		ended <- out
	}()
	<-entered
	done := make(chan provider.Outcome)
	go func() {
		o := newSetup(t, quick).request("not-hanging.example.test")
		_, out := o.provider.Step(t.Context(), o.req, nil)
		done <- out
	}()
	select {
	case out := <-done:
		if out.Kind != provider.OutcomePending {
			t.Errorf("%s: %s", out.Kind, out.Detail+out.Message)
		}
	case <-time.After(patience):
		t.Error("the other CA was not asked")
	}
	close(release)
	if out := <-ended; out.Kind != provider.OutcomeRetry {
		t.Errorf("%s: %s; want another try", out.Kind, out.Detail+out.Message)
	}
}
