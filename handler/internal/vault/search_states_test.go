package vault_test

// The states from which searches start.

import (
	"context"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// A stateMaker makes states of a certificate as a vault has them at rest. The
// operation there is that of owner "start", made by the first maker of keys.
type stateMaker struct {
	t      *testing.T
	states map[string]snapshot
}

func (m stateMaker) make(name string, build func(w *world, c *client)) {
	m.t.Helper()
	w := start(m.t, snapshot{})
	c := w.open(w.store, 0)
	for issuer, provider := range providers {
		if _, err := c.SetIssuer(c.ctx, issuerName(m.t, issuer), vault.IssuerSet{Provider: &provider}); err != nil {
			m.t.Fatal(err)
		}
	}
	build(w, c)
	if err := w.check(); err != nil {
		m.t.Fatalf("state %s: %v", name, err)
	}
	m.states[name] = w.snapshot()
}

// do makes calls that must succeed.
func (m stateMaker) do(w *world, c *client, calls ...call) {
	m.t.Helper()
	for _, call := range calls {
		if a := w.do(c, call); a.Reason != 0 {
			m.t.Fatalf("%s: %+v", call.name, a)
		}
	}
}

// breakOff makes a call that loses its store after some calls to it.
func (m stateMaker) breakOff(w *world, call call, after int) {
	store := storetest.NewFaulty(w.store, func(call storetest.Call) storetest.Fault {
		if call.Number > after {
			return storetest.Lost
		}
		return storetest.None
	})
	w.do(w.open(store, 13), call)
}

// completed makes a certificate of Self with a backup.
func (m stateMaker) completed(w *world, c *client) {
	m.t.Helper()
	m.do(w, c, create("start", policy.IssuerSelf), tick)
	var err error
	if w.backup, err = c.Backup(c.ctx, c.name); err != nil {
		m.t.Fatal(err)
	}
}

// startingStates are the states from which calls are interleaved.
func startingStates(t *testing.T) map[string]snapshot {
	t.Helper()
	m := stateMaker{t, make(map[string]snapshot)}
	const grace = 2 * time.Second
	m.make("nothing", func(*world, *client) {})
	for _, issuer := range []string{policy.IssuerSelf, policy.IssuerUnknown, issuing, quick} {
		m.make("in progress, "+issuer, func(w *world, c *client) {
			m.do(w, c, create("start", issuer))
			w.clock.Advance(grace)
		})
	}
	m.make("ordered", func(w *world, c *client) {
		w.ca.hold.Store(true)
		m.do(w, c, create("start", issuing), tick)
		w.clock.Advance(time.Minute)
	})
	m.make("cancellation asked for", func(w *world, c *client) {
		w.ca.hold.Store(true)
		m.do(w, c, create("start", issuing), tick, cancel)
		w.clock.Advance(time.Minute)
	})
	claimed := func(w *world, c *client) {
		m.do(w, c, create("start", issuing))
		w.clock.Advance(grace)
		c.ctx, w.ca.taken = context.WithCancel(c.ctx)
		_, _ = c.Advance(c.ctx) // ends with its context, after the order
	}
	m.make("claimed", claimed)
	m.make("claim ended", func(w *world, c *client) {
		claimed(w, c)
		w.clock.Advance(90 * time.Second)
	})
	m.make("failed", func(w *world, c *client) { m.do(w, c, create("start", refusing), tick) })
	m.make("completed", m.completed)
	m.make("next version in progress", func(w *world, c *client) {
		m.do(w, w.open(w.store, 13), create("first", policy.IssuerSelf), tick)
		m.do(w, c, create("start", issuing))
		w.clock.Advance(grace)
	})
	m.make("deleted", func(w *world, c *client) {
		m.completed(w, c)
		m.do(w, c, deleteCertificate)
	})
	m.make("purging", func(w *world, c *client) {
		m.completed(w, c)
		m.do(w, c, deleteCertificate)
		m.breakOff(w, purge, 2)
	})
	return m.states
}

// workStates are states in which ticks have more to do.
func workStates(t *testing.T) map[string]snapshot {
	t.Helper()
	m := stateMaker{t, make(map[string]snapshot)}
	m.make("refused", func(w *world, c *client) {
		m.do(w, c, create("start", refusing))
		w.clock.Advance(2 * time.Second)
	})
	m.make("release", func(w *world, c *client) {
		w.ca.hold.Store(true)
		m.do(w, c, create("start", issuing), tick, deleteOperation)
	})
	m.make("purge date", func(w *world, c *client) {
		m.completed(w, c)
		m.do(w, c, deleteCertificate)
		w.clock.Advance(90 * 24 * time.Hour)
	})
	m.make("purged", func(w *world, c *client) {
		m.completed(w, c)
		m.do(w, c, deleteCertificate, purge)
	})
	m.make("restore broken off", func(w *world, c *client) {
		m.completed(w, c)
		m.do(w, c, deleteCertificate, purge)
		m.breakOff(w, restore(w.backup), 2)
		w.clock.Advance(5 * time.Minute)
	})
	return m.states
}
