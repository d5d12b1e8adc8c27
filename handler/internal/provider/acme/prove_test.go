package acme_test

// Proofs and orders that go another way than usual.

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider"
)

// finalized is when all names of an operation are proven.
func finalized(out provider.Outcome) bool {
	return out.Detail == "The CA makes the certificate." || out.Detail == "The order is finalized."
}

func TestProofsThatCannotBeWithdrawn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		status int
		heals  int // after so many tries; 0: never
		tries  int // that fail
		left   bool
	}{
		{"heals", http.StatusServiceUnavailable, 2, 2, false},
		{"never", http.StatusServiceUnavailable, 0, 4, true},
		{"refused", http.StatusForbidden, 0, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, quick)
			o := s.request(label(test.name) + ".stuck.example.test")
			if out, ok := o.until(finalized); !ok {
				t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
			}
			s.hook.set(func(h *hook) { h.status = test.status })
			tries := 0
			out, _ := o.until(func(out provider.Outcome) bool {
				if out.Kind == provider.OutcomeRetry {
					if tries++; tries == test.heals {
						s.hook.set(func(h *hook) { h.status = 0 })
					}
				}
				return false
			})
			o.issued(out)
			if tries != test.tries {
				t.Errorf("the certificate waited for %d tries, want %d", tries, test.tries)
			}
			left := strings.Contains(s.log.String(), "ACME proof left behind")
			if left != test.left || len(s.hook.left()) > 0 != test.left {
				t.Errorf("left behind: %v; logged: %v", s.hook.left(), left)
			}
		})
	}
}

// TestProofsThatAreSlowToWithdraw: the patience is for each name.
func TestProofsThatAreSlowToWithdraw(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("slow-dns.example.test", "a.slow-dns.example.test", "b.slow-dns.example.test")
	if out, ok := o.until(finalized); !ok {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	for range 3 {
		s.hook.set(func(h *hook) { h.status = http.StatusServiceUnavailable })
		for range 3 {
			o.retries("503")
		}
		s.hook.set(func(h *hook) { h.status = 0 })
		o.until(func(out provider.Outcome) bool { return strings.HasSuffix(out.Detail, " are withdrawn.") })
	}
	o.issue()
	s.noneLeft()
}

func TestManyNames(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("host-%03d.of-many-%s.example.test", i, strings.Repeat("x", 10)))
	}
	s.request(names...).issue()
	s.noneLeft()
}

func TestTooLongNames(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	var names []string
	for i := range 90 {
		names = append(names, fmt.Sprintf("host-%03d.%s.%s.example.test", i, strings.Repeat("x", 60), strings.Repeat("y", 60)))
	}
	s.request(names...).failure(provider.CodeIssuerError, "too many names, or too long ones")
}

func TestOrderThatIsUnknown(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("unknown-order.example.test")
	o.until(publishedAt("_acme-challenge.unknown-order.example.test"))
	o.state = []byte(strings.Replace(string(o.state), "/my-order/", "/my-order/x", 1))
	if out := o.step(); out.Detail != "The CA does not know the order any more." {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	o.issue()
	s.noneLeft()
}

func TestOrderOfAnotherAccount(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("another-account.example.test")
	o.until(publishedAt("_acme-challenge.another-account.example.test"))
	// Another operation found the account lost and registered it again.
	o.state = []byte(strings.Replace(string(o.state), "/my-account/", "/my-account/x", 1))
	if out := o.step(); out.Detail != "The proofs at _acme-challenge.another-account.example.test are withdrawn." {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	o.issue()
	s.noneLeft()
}

func TestOrdersThatExpire(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	o := s.request("expires.example.test")
	var last provider.Outcome
	for range 5 {
		if out, ok := o.until(publishedAt("_acme-challenge.expires.example.test")); !ok {
			t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
		}
		// To the CA this is what an expired authorization is.
		if err := o.provider.Release(t.Context(), o.req, o.state); err != nil {
			t.Fatal(err)
		}
		last = o.step()
		if last.Detail != "The order expired." {
			t.Fatalf("%s: %s", last.Kind, last.Detail+last.Message)
		}
	}
	o.failure(provider.CodeIssuerError, "lost 5 orders")
	s.noneLeft()
}
