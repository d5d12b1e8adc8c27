package digicert_test

// The search for an order that may have been placed.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
)

// The search goes through pages of other orders, by the same name, and stops at
// those that are older than the operation.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		older, newer int
		want         provider.OutcomeKind
		lists, looks int
	}{
		"few":          {older: 10, newer: 10, want: issued, lists: 1, looks: 11},
		"older ones":   {older: 250, newer: 0, want: issued, lists: 2, looks: 1},
		"many":         {older: 0, newer: 49, want: issued, lists: 1, looks: 50},
		"too many":     {older: 0, newer: 50, want: retry, lists: 1, looks: 50},
		"far too many": {older: 0, newer: 200, want: retry, lists: 1, looks: 50},
	} {
		ca := newCertCentral(t)
		o := newOperation(t, ca)
		ca.faults = []fault.Func{nil, fault.Lost}
		o.tick()
		ca.set(func() {
			for n := range c.older + c.newer {
				other := &order{id: ca.id(), name: "example.com", placed: start.Add(time.Minute), csr: "x", status: "pending"}
				if n < c.older {
					other.placed = start.Add(-2 * time.Hour)
				}
				ca.orders[other.id] = other
			}
			ca.received = nil
		})
		ca.take()
		ca.clock.advance(time.Minute)
		out := o.tick()
		if c.want == issued && out.Kind == pending {
			ca.set(func() { ca.received = nil })
			out = o.tick()
		}
		lists, looks := 0, 0
		for _, call := range ca.take() {
			switch {
			case strings.HasPrefix(call, "GET /order/certificate 200"):
				lists++
			case strings.HasPrefix(call, "GET /order/certificate/"):
				looks++
			}
		}
		if c.want == issued {
			looks-- // the look at the order that was found
		}
		if out.Kind != c.want || lists != c.lists || looks != c.looks {
			t.Errorf("%s: %+v after %d lists and %d looks", name, out, lists, looks)
		}
	}
}

// An operation that reuses a key may make the CSR of another one. Their orders are
// told apart by their comments.
func TestSameCSR(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	ca.reusableCSRs = true
	other := newOperation(t, ca)
	other.req.ID = strings.Repeat("f", 32)
	other.end()
	o := newOperation(t, ca)
	o.req.CSR, o.due = other.req.CSR, ca.clock.Now()
	ca.set(func() { ca.faults = []fault.Func{nil, fault.Lost} })
	if out := o.end(); out.Kind != issued || ca.paid() != 2 {
		t.Errorf("%+v, %d orders of two operations", out, ca.paid())
	}
}

// An operation that has two orders, against all odds, keeps the one that has come
// further and cancels the other.
func TestSurplus(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*certCentral, []*order)
		keeps  int
		told   bool
	}{
		"both pending":     {func(*certCentral, []*order) {}, 0, false},
		"second issued":    {func(ca *certCentral, l []*order) { l[1].placed = start.Add(-time.Hour) }, 1, false},
		"first rejected":   {func(_ *certCentral, l []*order) { l[0].status = "rejected" }, 1, false},
		"both issued":      {func(ca *certCentral, l []*order) { ca.issuance = 0 }, 0, true},
		"first unapproved": {func(_ *certCentral, l []*order) { l[0].status, l[0].requests[0].status = "needs_approval", "pending" }, 0, false},
	} {
		ca := newCertCentral(t)
		ca.reusableCSRs, ca.issuance = true, time.Hour
		o := newOperation(t, ca)
		ca.faults = []fault.Func{nil, fault.Lost}
		o.tick()
		ca.set(func() {
			again := *ca.orders[540001]
			again.id, again.requests = ca.id(), []*request{{id: ca.id(), kind: "new_request", status: "approved", comments: again.requests[0].comments}}
			ca.orders[again.id] = &again
		})
		list := ca.placed()
		ca.set(func() { c.change(ca, list) })
		o.tick()
		if want := fmt.Sprintf(`{"version":1,"order":%d,`, list[c.keeps].id); !strings.HasPrefix(string(o.state), want) {
			t.Errorf("%s: state %s, want %s", name, o.state, want)
		}
		if told := strings.Contains(o.log.String(), "an operation has two orders"); told != c.told {
			t.Errorf("%s: log: %s", name, o.log)
		}
		if n := ca.paid(); !c.told && n != 1 {
			t.Errorf("%s: %d orders", name, n)
		}
	}
}
