package vault_test

// Steps: claims, cancellation, and the end of each operation.

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// canceling is a provider whose CA is asked before an operation is cancelled.
type canceling struct {
	stepping
	cancel func() (bool, error)
}

func (p *canceling) Cancel(_ context.Context, _ provider.Request, state json.RawMessage) (json.RawMessage, bool, error) {
	ok, err := p.cancel()
	return state, ok, err
}

func held(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
	return nil, provider.Pending(time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC), "held")
}

// TestFailingCancellationBacksOff: a CA that cannot be asked is asked again
// later, and not for as long as the tick lasts.
func TestFailingCancellationBacksOff(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	asked := 0
	p := &canceling{stepping: stepping{step: held}, cancel: func() (bool, error) {
		if asked++; asked == 100 {
			end()
		}
		return false, errors.New("connection refused")
	}}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	if _, err := h.Cancel(ctx, name(t, "web"), "", true); err != nil {
		t.Fatal(err)
	}
	started := h.clock.Now()
	_, _ = h.Vault.Advance(ctx)
	if took := h.clock.Now().Sub(started); asked > 5 {
		t.Errorf("the CA was asked %d times in %s", asked, took)
	}
	if op := h.mustOperation("web"); op.Failures != asked || !op.Due.After(h.clock.Now()) || !strings.Contains(op.Answer, "connection refused") {
		t.Errorf("after %d failures the operation has %d, is due at %s, answer %q", asked, op.Failures, op.Due, op.Answer)
	}
}

// TestCancellationDoesNotWait: a cancellation is taken to the CA by the next
// tick, however long the CA asked to be left alone.
func TestCancellationDoesNotWait(t *testing.T) {
	t.Parallel()
	p := &canceling{stepping: stepping{step: held}, cancel: func() (bool, error) { return true, nil }}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.mustTick()
	if op := h.mustOperation("web"); op.Due.Sub(h.clock.Now()) < 50*time.Minute {
		t.Fatalf("the held operation is due at %s", op.Due)
	}
	if _, err := h.Cancel(t.Context(), name(t, "web"), "", true); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCancelled {
		t.Errorf("after the next tick the operation is %s, want cancelled", op.Status)
	}
}

// TestEveryOperationEnds: by its age at the latest, whatever keeps its issuer
// from answering.
func TestEveryOperationEnds(t *testing.T) {
	t.Parallel()
	for what, prepare := range map[string]func(h *harness){
		"the CA does not answer": func(*harness) {},
		"the CA does not answer a cancellation": func(h *harness) {
			if _, err := h.Cancel(h.t.Context(), name(h.t, "web"), "", true); err != nil {
				h.t.Fatal(err)
			}
		},
		"the issuer is disabled": func(h *harness) {
			enabled := false
			if _, err := h.UpdateIssuer(h.t.Context(), issuerName(h.t, "ca"), vault.IssuerSet{Enabled: &enabled}); err != nil {
				h.t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			down := errors.New("connection refused")
			p := &canceling{
				stepping: stepping{step: func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
					return nil, provider.Retry(time.Time{}, down)
				}},
				cancel: func() (bool, error) { return false, down },
			}
			h := newHarness(t, map[string]provider.Provider{"ca": p})
			h.mustSetIssuer("ca", "ca")
			h.mustCreate("web", "ca")
			prepare(h)
			h.clock.Advance(29 * 24 * time.Hour)
			h.mustTick()
			op := h.mustOperation("web")
			if op.Status != vault.StatusInProgress {
				t.Fatalf("a day before its age limit the operation is %s", op.Status)
			}
			h.clock.Advance(25 * time.Hour)
			h.mustTick()
			last := op.Answer
			if op = h.mustOperation("web"); op.Status != vault.StatusFailed || op.Error.Code != provider.CodeIssuerError || !strings.Contains(op.Error.Message, last) {
				t.Errorf("past its age limit the operation is %s, error %+v; want failed with the last answer %q", op.Status, op.Error, last)
			}
		})
	}
}

// TestNoStepAfterTheEnd: an operation that ended because its state is too large
// to keep gets no further step, and its release the state before.
func TestNoStepAfterTheEnd(t *testing.T) {
	t.Parallel()
	steps := 0
	p := new(releasing)
	p.step = func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		if steps++; steps == 1 {
			return json.RawMessage(`"order"`), provider.Pending(time.Time{}, "ordered")
		}
		return json.RawMessage(`"` + strings.Repeat("x", store.MaxDoc) + `"`), provider.Pending(time.Time{}, "validating")
	}
	var released string
	p.release = func(_ provider.Request, state json.RawMessage) error { released = string(state); return nil }
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusFailed || steps != 2 {
		t.Errorf("the operation is %s after %d steps, want failed after 2", op.Status, steps)
	}
	if released != `"order"` {
		t.Errorf("released %.20q, want the last state that was kept", released)
	}
}

// sleepy is a store after whose calls much time may have passed.
type sleepy struct {
	store.Store
	after func(key string)
}

func (s *sleepy) Get(ctx context.Context, key string) (store.Row, error) {
	row, err := s.Store.Get(ctx, key)
	s.after(key)
	return row, err
}

func (s *sleepy) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	etag, err := s.Store.Commit(ctx, tx)
	s.after(tx.Actions[0].Row.Key)
	return etag, err
}

// TestNoStepUnderAClaimThatHasEnded: a process that was suspended after it had
// claimed an operation does not act when it wakes up, because another may have
// the operation by then.
func TestNoStepUnderAClaimThatHasEnded(t *testing.T) {
	t.Parallel()
	head, claim := "c:web", "c:web"
	for _, test := range []struct {
		calls  []string // it falls asleep after these
		asleep time.Duration
		want   int // the claim under which the step is taken
	}{
		{[]string{head, claim}, 89 * time.Second, 1},
		{[]string{head, claim}, 90 * time.Second, 2},
	} {
		clock, store := newClock(), new(memory.Store)
		var claims []int
		p := &stepping{step: func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
			claims = append(claims, req.Attempts)
			return nil, provider.Pending(clock.Now().Add(time.Hour), "on it")
		}}
		sleeper := &sleepy{Store: store, after: func(string) {}}
		h := &harness{t: t, store: store, clock: clock, Vault: open(t, sleeper, clock, map[string]provider.Provider{"ca": p})}
		h.mustSetIssuer("ca", "ca")
		h.mustCreate("web", "ca")
		clock.Advance(2 * time.Second)
		next := test.calls
		sleeper.after = func(key string) {
			if len(next) == 0 || key != next[0] {
				return
			}
			if next = next[1:]; len(next) == 0 {
				clock.Advance(test.asleep)
			}
		}
		h.mustTick()
		clock.Advance(10 * time.Second)
		h.mustTick()
		if !slices.Equal(claims, []int{test.want}) {
			t.Errorf("asleep for %s after %v: steps under the claims %v, want one under %d", test.asleep, test.calls, claims, test.want)
		}
	}
}
