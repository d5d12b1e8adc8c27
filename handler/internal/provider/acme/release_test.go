package acme_test

// What is taken back after an operation ended.

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/scripts/localcloud/pebble"
)

func TestRelease(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request(family("release")...)
	o.until(func(provider.Outcome) bool { return len(s.hook.left()) == 2 })
	s.hook.set(func(h *hook) { h.status = http.StatusServiceUnavailable })
	if err := o.provider.Release(t.Context(), o.req, o.state); err == nil || !strings.Contains(err.Error(), "_acme-challenge.www.release.example.test") {
		t.Errorf("released while the DNS was away: %v", err)
	}
	s.hook.set(func(h *hook) { h.status, h.calls = 0, 0 })
	for range 2 {
		if err := s.provider().Release(t.Context(), o.req, o.state); err != nil {
			t.Errorf("releasing: %v", err)
		}
		s.noneLeft()
	}
	if s.hook.calls != 2*3 {
		t.Errorf("the hook was called %d times, want once for each value, twice", s.hook.calls)
	}
	if out := o.step(); out.Detail != "The order expired." {
		t.Errorf("the order is as before: %s: %s", out.Kind, out.Detail+out.Message)
	}
}

// TestReleaseEndsAuthorizationsFirst: a CA that is validating must not find that the
// proof has just gone, and count a failure.
func TestReleaseEndsAuthorizationsFirst(t *testing.T) {
	t.Parallel()
	server := startPebble(t, pebble.Config{Challenges: challenges})
	s, between := newSetup(t, server), new(faults)
	s.cfg.Directory.URL = between.front(t, server)
	s.hook.around = between.around
	o := s.request("ordered.release.example.test")
	o.until(publishedAt("_acme-challenge.ordered.release.example.test"))
	var calls []string
	between.next = func(_ int, r *http.Request) fault {
		calls = append(calls, r.URL.Path)
		return none
	}
	if err := o.provider.Release(t.Context(), o.req, o.state); err != nil {
		t.Fatal(err)
	}
	s.noneLeft()
	dns := slices.Index(calls, "/dns")
	if dns < 2 || slices.ContainsFunc(calls[dns:], func(path string) bool { return path != "/dns" }) {
		t.Errorf("the calls of a release are %q", calls)
	}
}

func TestReleaseOfAPlan(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("planned.example.test")
	o.until(func(out provider.Outcome) bool { return out.Detail == "Proofs are chosen." })
	// The process is killed after it published.
	if _, out := o.provider.Step(t.Context(), o.req, o.state); !publishedAt("_acme-challenge.planned.example.test")(out) {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	if err := o.provider.Release(t.Context(), o.req, o.state); err != nil {
		t.Error(err)
	}
	s.noneLeft()
}

func TestReleaseOfATokenAndAStandingRecord(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	s.cfg.Tokens = tokens()
	removed := ""
	s.cfg.Tokens.Remove = func(_ context.Context, token string) error { removed = token; return nil }
	o := s.request("release-token.test", "*.release-token.test")
	o.until(func(out provider.Outcome) bool { return strings.HasPrefix(out.Detail, "Publish") })
	if err := o.provider.Release(t.Context(), o.req, o.state); err != nil {
		t.Error(err)
	}
	if removed == "" || !strings.Contains(string(o.state), removed) {
		t.Errorf("removed the token %q", removed)
	}
}

func TestReleaseOfNothing(t *testing.T) {
	t.Parallel()
	server := startPebble(t, pebble.Config{})
	s, between := newSetup(t, server), new(faults)
	s.cfg.Directory.URL = between.front(t, server)
	o := s.request("nothing.example.test")
	if err := o.provider.Release(t.Context(), o.req, nil); err != nil {
		t.Errorf("before the first step: %v", err)
	}
	o.until(publishedAt("_acme-challenge.nothing.example.test"))
	unknown := []byte(strings.Replace(string(o.state), "/my-order/", "/my-order/x", 1))
	if err := o.provider.Release(t.Context(), o.req, unknown); err != nil {
		t.Errorf("of an order that the CA does not know: %v", err)
	}
	others := newSetup(t, server)
	others.cfg.Directory.URL = s.cfg.Directory.URL
	others.request("others.example.test").issue()
	if err := others.provider().Release(t.Context(), o.req, o.state); err != nil {
		t.Errorf("of an account that was lost since: %v", err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	between.behind(startPebble(t, pebble.Config{TLS: server.TLS()}))
	for name, provider := range map[string]provider.Releaser{"same": o.provider, "new": s.provider()} {
		if err := provider.Release(t.Context(), o.req, o.state); err != nil {
			t.Errorf("of an account that the CA does not know, %s process: %v", name, err)
		}
	}
	s.noneLeft()
}

func TestReleaseAfterIssuance(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("done.example.test")
	o.issue()
	if err := o.provider.Release(t.Context(), o.req, o.state); err != nil {
		t.Error(err)
	}
}

func TestReleaseWithoutWhatPublished(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("unconfigured.example.test")
	o.until(publishedAt("_acme-challenge.unconfigured.example.test"))
	for name, change := range map[string]func(*setup){
		"other zones": func(s *setup) { s.dns.Hooks = nil },
		"no DNS":      func(s *setup) { s.dns.Hooks, s.dns.Nameservers, s.cfg.Tokens = nil, nil, tokens() },
	} {
		changed := *s
		change(&changed)
		err := changed.provider().Release(t.Context(), o.req, o.state)
		if err == nil || !strings.Contains(err.Error(), "configured") {
			t.Errorf("with %s: released, %v", name, err)
		}
	}
}
