package vault_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
)

// observer watches every transaction: which operations there were, in which
// states, and how many versions they led to.
type observer struct {
	mu       sync.Mutex
	statuses map[string]vault.Status // by request_id, the last seen
	wins     map[string]int          // completions by request_id
}

// observe watches a harness's store. The invariants are checked too.
func observe(t testing.TB, h *harness) *observer {
	o := &observer{statuses: make(map[string]vault.Status), wins: make(map[string]int)}
	h.store.OnCommit(func(_, after vaulttest.Contents) {
		if err := vault.Invariants(after.Rows, after.Blobs); err != nil {
			t.Errorf("after a transaction: %v", err)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		for id, now := range vault.Statuses(after.Rows) {
			before, seen := o.statuses[id]
			switch {
			case !seen && now != vault.StatusInProgress:
				t.Errorf("operation %s begins as %s", id, now)
			case seen && before != now && !before.CanBecome(now):
				t.Errorf("operation %s went from %s to %s", id, before, now)
			}
			if before != now && now == vault.StatusCompleted {
				o.wins[id]++
			}
			o.statuses[id] = now
		}
	})
	return o
}

// deed is one random thing that somebody does to the certificate "web".
type deed func(h *harness, n vault.Name) error

func deeds(t testing.TB) map[string]deed {
	ctx := context.Background()
	create := func(issuer string) deed {
		return func(h *harness, n vault.Name) error {
			return second(h.Create(ctx, n, vault.CreateParams{Policy: policyFor(issuer)}))
		}
	}
	return map[string]deed{
		"create Self":      create("Self"),
		"create Unknown":   create("Unknown"),
		"create at the CA": create("ca"),
		"poll":             func(h *harness, n vault.Name) error { return second(h.Operation(ctx, n, "")) },
		"cancel":           func(h *harness, n vault.Name) error { return second(h.Cancel(ctx, n, "", true)) },
		"uncancel":         func(h *harness, n vault.Name) error { return second(h.Cancel(ctx, n, "", false)) },
		"delete operation": func(h *harness, n vault.Name) error { return second(h.DeleteOperation(ctx, n, "")) },
		"delete":           func(h *harness, n vault.Name) error { return second(h.Delete(ctx, n)) },
		"recover":          func(h *harness, n vault.Name) error { return second(h.Recover(ctx, n)) },
		"purge":            func(h *harness, n vault.Name) error { return h.Purge(ctx, n) },
		"read":             func(h *harness, n vault.Name) error { return second(h.Certificate(ctx, n)) },
		"tick":             func(h *harness, n vault.Name) error { return second(h.Advance(ctx)) },
		"merge": func(h *harness, n vault.Name) error {
			op, err := h.Operation(ctx, n, "")
			if err != nil {
				return err
			}
			return second(h.Merge(ctx, n, vault.MergeParams{X5C: []string{signed(t, op.CSR, 7)}}))
		},
		"wait": func(h *harness, _ vault.Name) error { h.clock.Advance(3 * time.Second); return nil },
		"wait long": func(h *harness, _ vault.Name) error {
			h.clock.Advance(2 * time.Minute)
			return nil
		},
		"the CA holds":   func(h *harness, _ vault.Name) error { h.mustScript("ca", "hold"); return nil },
		"the CA issues":  func(h *harness, _ vault.Name) error { h.mustScript("ca", "issue"); return nil },
		"the CA rejects": func(h *harness, _ vault.Name) error { h.mustScript("ca", "reject=no"); return nil },
	}
}

// settle ends what can end, and checks the end.
func (o *observer) settle(t testing.TB, h *harness) {
	t.Helper()
	h.mustScript("ca", "issue")
	for range 3 {
		h.clock.Advance(3 * time.Minute)
		h.mustTick()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, n := range o.wins {
		if n > 1 {
			t.Errorf("operation %s completed %d times", id, n)
		}
	}
	if op, err := h.Operation(context.Background(), name(t, "web"), ""); err == nil && op.Status == vault.StatusInProgress && !op.Manual() {
		t.Errorf("operation is still in progress: %+v", op)
	}
}

// TestStateMachine: whatever is asked for in whatever order, operations change
// as the diagram says, complete once at most, and end.
func TestStateMachine(t *testing.T) {
	t.Parallel()
	all := deeds(t)
	rapid.Check(t, func(rt *rapid.T) {
		h := newHarness(t, nil)
		o := observe(t, h)
		h.mustScript("ca", "hold")
		n := name(t, "web")
		actions := make(map[string]func(*rapid.T))
		for what, do := range all {
			actions[what] = func(rt *rapid.T) {
				if err := do(h, n); err != nil && reason(t, err) == vault.Unavailable {
					rt.Fatalf("%s: %v", what, err)
				}
			}
		}
		rt.Repeat(actions)
		o.settle(t, h)
	})
}

// TestStateMachineOfSeveral is the same with several workers at once.
func TestStateMachineOfSeveral(t *testing.T) {
	t.Parallel()
	const runs, workers, length = 20, 4, 15
	all := deeds(t)
	var names []string
	for what := range all {
		names = append(names, what)
	}
	slices.Sort(names)
	for run := range runs {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			o := observe(t, h)
			h.mustScript("ca", "issue")
			n := name(t, "web")
			var wg sync.WaitGroup
			for worker := range workers {
				random := rand.New(rand.NewPCG(uint64(run), uint64(worker)))
				wg.Go(func() {
					for range length {
						what := names[random.IntN(len(names))]
						if err := all[what](h, n); err != nil && reason(t, err) == vault.Unavailable {
							t.Errorf("%s: %v", what, err)
						}
					}
				})
			}
			wg.Wait()
			o.settle(t, h)
		})
	}
}
