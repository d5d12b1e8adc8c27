package acme_test

// TXT records by a web hook.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
)

// hookToken authorizes calls of the tests' hooks.
const hookToken = "hook-secret"

// hook is a DNS hook in front of the challenge server.
type hook struct {
	t      testing.TB
	server *httptest.Server

	mu      sync.Mutex
	records map[string][]string // that this hook published, by name
	calls   int
	deaf    bool // says yes and does nothing
	status  int  // answers so, if set
	around  func(http.Handler) http.Handler
}

func newHook(t *testing.T) *hook {
	h := &hook{t: t, records: make(map[string][]string)}
	h.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler := http.Handler(http.HandlerFunc(h.serve))
		if h.around != nil {
			handler = h.around(handler)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(h.server.Close)
	return h
}

func (h *hook) config(zones ...string) acme.Hook {
	roots := x509.NewCertPool()
	roots.AddCert(h.server.Certificate())
	return acme.Hook{Zones: zones, URL: h.server.URL + "/dns?code=hook-key", Token: hookToken, Roots: roots}
}

func (h *hook) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	var call struct{ Action, FQDN, Value string }
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		h.t.Errorf("the hook was sent no JSON: %v", err)
	}
	if r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer "+hookToken || !strings.HasSuffix(call.FQDN, ".") {
		h.t.Errorf("%s to the hook with %q for %q", r.Method, r.Header.Get("Authorization"), call.FQDN)
	}
	if h.status != 0 {
		http.Error(w, "the hook says no", h.status)
		return
	}
	if h.deaf {
		return
	}
	if err := h.change(r, call.Action, call.FQDN, call.Value); err != nil {
		h.t.Errorf("the hook failed: %v", err)
	}
}

func (h *hook) change(r *http.Request, action, name, value string) error {
	i := slices.Index(h.records[name], value)
	switch {
	case action == "add" && i < 0:
		h.records[name] = append(h.records[name], value)
		return zone.add(r.Context(), name, value)
	case action == "remove" && i >= 0:
		h.records[name] = slices.Delete(h.records[name], i, i+1)
		return zone.remove(r.Context(), name, value)
	case action != "add" && action != "remove":
		h.t.Errorf("the hook was asked to %q", action)
	}
	return nil
}

// zone is what all hooks have published on the challenge server, which can only
// remove all records of a name.
var zone records

type records struct {
	mu     sync.Mutex
	values map[string][]string
}

func (z *records) add(ctx context.Context, name, value string) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.values == nil {
		z.values = make(map[string][]string)
	}
	z.values[name] = append(z.values[name], value)
	return challenges.AddTXT(ctx, name, value)
}

func (z *records) remove(ctx context.Context, name, value string) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	i := slices.Index(z.values[name], value)
	z.values[name] = slices.Delete(z.values[name], i, i+1)
	err := challenges.ClearTXT(ctx, name)
	for _, other := range z.values[name] {
		err = errors.Join(err, challenges.AddTXT(ctx, name, other))
	}
	return err
}

// left returns the records that are published now.
func (h *hook) left() map[string][]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	left := make(map[string][]string)
	for name, values := range h.records {
		if len(values) > 0 {
			left[name] = slices.Clone(values)
		}
	}
	return left
}

func (h *hook) set(change func(*hook)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

func TestHookRefusal(t *testing.T) {
	t.Parallel()
	s := newSetup(t, difficult)
	s.hook.set(func(h *hook) { h.status = http.StatusForbidden })
	s.request("hook-refusal.example.test").failure(provider.CodeIssuerError,
		"No TXT record can be written at _acme-challenge.hook-refusal.example.test.", "403", "the hook says no")
}

func TestHookIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusFound} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, difficult)
			s.hook.set(func(h *hook) { h.status = status })
			o := s.request(label(http.StatusText(status)) + ".example.test")
			out, ok := o.until(func(out provider.Outcome) bool { return out.Kind == provider.OutcomeRetry })
			if !ok || !strings.Contains(out.Detail, "the DNS hook answers") {
				t.Fatalf("outcome %s: %s", out.Kind, out.Detail+out.Message)
			}
			s.hook.set(func(h *hook) { h.status = 0 })
			o.issue()
		})
	}
}

func TestHookDown(t *testing.T) {
	t.Parallel()
	s := newSetup(t, difficult)
	s.hook.server.Close()
	o := s.request("hook-down.example.test")
	out, ok := o.until(func(out provider.Outcome) bool { return out.Kind == provider.OutcomeRetry })
	if !ok || strings.Contains(out.Detail, "hook-key") || strings.Contains(out.Detail, hookToken) {
		t.Errorf("outcome %s: %s; want an error without the key in the hook's URL", out.Kind, out.Detail+out.Message)
	}
}

func TestHookConfig(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]acme.Hook{
		"no zones": {URL: "https://dns.test/", Token: "t"},
		"no https": {Zones: []string{"a.test"}, URL: "http://dns.test/", Token: "t"},
		"no token": {Zones: []string{"a.test"}, URL: "https://dns.test/"},
		"no name":  {Zones: []string{"a b"}, URL: "https://dns.test/", Token: "t"},
		"twice":    {Zones: []string{"a.test", "A.test."}, URL: "https://dns.test/", Token: "t"},
	} {
		if _, err := acme.NewDNS(acme.DNSConfig{Hooks: []acme.Hook{hook}}); err == nil {
			t.Errorf("a hook with %s was accepted", name)
		}
	}
	if _, err := acme.NewDNS(acme.DNSConfig{Hooks: []acme.Hook{{Zones: []string{"a.test"}, URL: "https://dns.test/", Token: "t"}}}); err != nil {
		t.Error(err)
	}
}

// noneLeft checks that nothing of an operation is published any more.
func (s *setup) noneLeft() {
	s.t.Helper()
	if diff := cmp.Diff(map[string][]string{}, s.hook.left()); diff != "" {
		s.t.Errorf("published records (-want +got):\n%s", diff)
	}
}
