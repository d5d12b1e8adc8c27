package vault_test

// A tick that meets more than it can do.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// counted is a store that counts the scans of ticks.
type counted struct {
	store.Store
	mu            sync.Mutex
	rounds, scans int
}

func (c *counted) Scan(ctx context.Context, r store.Range) ([]store.Row, error) {
	c.mu.Lock()
	if c.scans++; r.From == "d:0:" { // which comes first in a round
		c.rounds++
	}
	c.mu.Unlock()
	return c.Store.Scan(ctx, r)
}

// original is the name of a certificate of which copies are made. It stands
// nowhere else in its rows.
const original = "original"

// mustCopy stores certificates like the original as prefix0, prefix1 and so on,
// without the time that it takes to make them. They have no chain blobs.
func (h *harness) mustCopy(prefix string, from, to int) {
	h.t.Helper()
	var rows []store.Row
	for _, r := range h.store.Contents().Rows {
		if strings.Contains(r.Key, ":"+original) {
			rows = append(rows, r)
		}
	}
	for from < to {
		var tx store.Tx
		for ; from < to && len(tx.Actions)+len(rows) <= store.MaxActions; from++ {
			copied := fmt.Sprint(prefix, from)
			for _, r := range rows {
				r.Key = strings.ReplaceAll(r.Key, original, copied)
				r.Doc = bytes.ReplaceAll(r.Doc, []byte(original), []byte(copied))
				tx.Actions = append(tx.Actions, store.Action{Verb: store.Add, Row: r})
			}
		}
		if _, err := trusted(h.t, h.store).Commit(h.t.Context(), tx); err != nil {
			h.t.Fatal(err)
		}
	}
}

// newLargeHarness is newHarness for a store that is too large to be checked at
// every transaction. The vault's own calls go through the store that wrap makes.
func newLargeHarness(t testing.TB, clock *clock, wrap func(store.Store) store.Store, issuers map[string]provider.Provider) *harness {
	t.Helper()
	h := &harness{t: t, store: new(memory.Store), clock: clock}
	h.Vault = open(t, wrap(h.store), clock, issuers)
	return h
}

// TestBacklog: two thousand certificates that are due at a CA that is down stand
// in nobody's way, and once it is back they are worked off a few in each tick.
func TestBacklog(t *testing.T) {
	t.Parallel()
	const (
		many   = 2000
		outage = 3 * time.Hour
		tried  = 3 + 4 + 5 + int(outage/(30*time.Minute)) // steps: until it is paused; until pauses are long; then
		drain  = 30                                       // ticks that are watched
	)
	for _, test := range []struct {
		what    string
		prepare func(h *harness) // leaves an original that is due
		perTick int              // certificates issued at the most
	}{
		{"renewals", func(h *harness) {
			h.mustIssue(original, vault.CreateParams{Policy: renewed("slow", policy.LifetimeAction{Percentage: 80})})
			h.clock.Advance(300 * day)
		}, 5},
		{"requests", func(h *harness) {
			h.mustCreate(original, "slow")
			h.clock.Advance(2 * time.Second)
		}, 45 + 4}, // seconds of a tick, and steps that run when they are over
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			clock, st := newClock(), new(counted)
			slow := &queue{t: t, clock: clock, step: time.Second, issued: make(map[string]time.Time)}
			good := &queue{t: t, clock: clock, issued: make(map[string]time.Time)}
			h := newLargeHarness(t, clock, func(s store.Store) store.Store { st.Store = s; return st }, map[string]provider.Provider{"slow": slow, "good": good})
			h.mustSetIssuer("slow", "slow")
			h.mustSetIssuer("good", "good")
			test.prepare(h)
			h.mustCopy("c", 0, many)
			clear(slow.issued)
			slow.calls, slow.down = 0, true
			// tick returns how many certificates it had issued by the CA that was
			// down.
			tick := func(n int) int {
				before, user := len(slow.issued), fmt.Sprint("user", n)
				h.mustCreate(user, "good")
				st.rounds, st.scans = 0, 0
				next := clock.Now().Add(time.Minute)
				h.mustTick()
				if op := h.mustOperation(user); op.Status != vault.StatusCompleted {
					t.Fatalf("tick %d: what a person asked of another CA is %s", n, op.Status)
				}
				backlog := many + 1 - before
				if most := st.rounds * (4 + backlog/1000); st.scans > most {
					t.Fatalf("tick %d: %d scans in %d rounds over %d certificates, want at most %d", n, st.scans, st.rounds, backlog, most)
				}
				clock.Advance(max(next.Sub(clock.Now()), 0))
				return len(slow.issued) - before
			}
			n := 0
			for end := clock.Now().Add(outage); clock.Now().Before(end); clock.Advance(5 * time.Minute) {
				tick(n)
				n++
			}
			if slow.calls > tried || len(slow.issued) > 0 {
				t.Errorf("%d steps at a CA that was down for %s, want at most %d", slow.calls, outage, tried)
			}
			slow.down = false
			clock.Advance(30 * time.Minute) // the longest pause
			tick(n)
			if got := len(slow.issued); got == 0 || got > test.perTick+tried {
				t.Errorf("%d certificates issued when the CA was back, want at most %d", got, test.perTick+tried)
			}
			for range drain {
				n++
				if issued := tick(n); issued > test.perTick || issued < min(test.perTick/2, many-len(slow.issued)) {
					t.Fatalf("tick %d had %d certificates issued, want about %d", n, issued, test.perTick)
				}
			}
		})
	}
}

// TestShareOfALot: three thousand requests at a CA, more than a tick is long enough
// for, do not keep what else is to be done there, and fell due later, from its turn.
func TestShareOfALot(t *testing.T) {
	t.Parallel()
	clock, p := newClock(), new(releasing)
	h := newLargeHarness(t, clock, func(s store.Store) store.Store { return s }, map[string]provider.Provider{"ca": p})
	steps, released := 0, -1
	var mu sync.Mutex
	p.step = func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		mu.Lock()
		defer mu.Unlock()
		steps++
		clock.Advance(20 * time.Millisecond)
		return json.RawMessage(`"order"`), provider.Pending(clock.Now().Add(time.Hour), "on it")
	}
	p.release = func(provider.Request, json.RawMessage) error {
		mu.Lock()
		defer mu.Unlock()
		released = steps
		return nil
	}
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("left", "ca")
	h.mustTick()
	h.mustCreate(original, "ca")
	h.mustCopy("c", 0, 3000)
	clock.Advance(3 * time.Second)
	if err := second(h.DeleteOperation(t.Context(), name(t, "left"), "")); err != nil {
		t.Fatal(err)
	}
	steps = 0
	h.mustTick()
	if released < 0 || released > 1000 || steps < 1500 {
		t.Errorf("released after %d of the %d steps of a tick", released, steps)
	}
}
