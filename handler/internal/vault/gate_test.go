package vault_test

// How much of one issuer's work ticks do, and when they pause it.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// steps counts what happens at a provider whose CA can be down.
type steps struct {
	t    testing.TB
	down bool // a field that only changes between ticks

	mu           sync.Mutex
	taken        int
	running, top int
	wait         chan struct{} // a step waits until it is closed; nil: none does
}

func (s *steps) Step(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
	s.mu.Lock()
	s.taken++
	s.running++
	s.top = max(s.top, s.running)
	s.mu.Unlock()
	if s.wait != nil {
		<-s.wait
	}
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	if s.down {
		return nil, provider.Retry(time.Time{}, errors.New("connection refused"))
	}
	return nil, issue(s.t, req)
}

// atOnce is how many steps ran at the same time at the most.
func (s *steps) atOnce() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.top
}

func (h *harness) mustPause(issuer string) *vault.Pause {
	h.t.Helper()
	object, err := h.Issuer(context.Background(), issuerName(h.t, issuer))
	if err != nil {
		h.t.Fatal(err)
	}
	return object.Pause
}

// TestFailingIssuerIsPaused: a CA that is down is asked a few times and then left
// alone, longer each time; others go on; when it answers again, its backlog
// drains.
func TestFailingIssuerIsPaused(t *testing.T) {
	t.Parallel()
	bad, good := &steps{t: t, down: true}, &steps{t: t}
	h := newHarness(t, map[string]provider.Provider{"bad": bad, "good": good})
	h.mustSetIssuer("Bad", "bad")
	h.mustSetIssuer("good", "good")
	const many = 40
	for i := range many {
		h.mustCreate(fmt.Sprintf("bad%d", i), []string{"bad", "BAD"}[i%2])
	}
	for i := range 3 {
		h.mustCreate(fmt.Sprintf("good%d", i), "good")
	}
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	for i := range 3 {
		if op := h.mustOperation(fmt.Sprintf("good%d", i)); op.Status != vault.StatusCompleted {
			t.Errorf("good%d is %s beside a CA that is down", i, op.Status)
		}
	}
	if bad.taken < 3 || bad.taken > 6 {
		t.Errorf("%d steps at a CA that is down, want 3 and those beside them", bad.taken)
	}
	pause := h.mustPause("bad")
	if pause == nil || pause.By != "breaker" || pause.Opens != 1 || pause.Reason != "connection refused" || pause.Until.Sub(pause.Since) != time.Minute {
		t.Fatalf("the pause is %+v", pause)
	}
	taken := bad.taken
	h.clock.Advance(pause.Until.Sub(h.clock.Now()) - time.Minute/2)
	h.mustTick()
	if bad.taken != taken {
		t.Errorf("%d steps during the pause", bad.taken-taken)
	}
	for opens, length := 2, 2*time.Minute; opens <= 8; opens++ {
		h.clock.Advance(h.mustPause("bad").Until.Sub(h.clock.Now()))
		taken, began := bad.taken, h.clock.Now()
		h.mustTick()
		again := h.mustPause("bad")
		if bad.taken != taken+1 || again.Opens != opens || !again.Since.Equal(pause.Since) || again.Until.Sub(began) != length {
			t.Fatalf("after pause %d: %d steps, and the pause is %+v", opens-1, bad.taken-taken, again)
		}
		length = min(2*length, 30*time.Minute)
	}
	bad.down = false
	h.clock.Advance(h.mustPause("bad").Until.Sub(h.clock.Now()))
	h.mustTick()
	if pause := h.mustPause("bad"); pause != nil {
		t.Errorf("after an answer the pause is %+v", pause)
	}
	for i := range many {
		if op := h.mustOperation(fmt.Sprintf("bad%d", i)); op.Status != vault.StatusCompleted {
			t.Errorf("bad%d is %s after the CA came back", i, op.Status)
		}
	}
}

// TestFailingIssuerGetsFewRenewals: as long as nobody knows whether its CA works
// again, no crowd of renewals gathers in front of it.
func TestFailingIssuerGetsFewRenewals(t *testing.T) {
	t.Parallel()
	ca := &queue{t: t, issued: make(map[string]time.Time)}
	h := newHarness(t, map[string]provider.Provider{"ca": ca})
	ca.clock = h.clock
	h.mustSetIssuer("ca", "ca")
	const many = 20
	for i := range many {
		h.mustIssue(fmt.Sprintf("c%d", i), vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	}
	h.clock.Advance(300 * day)
	ca.down = true
	h.mustTick()
	h.clock.Advance(time.Minute)
	open := func() int {
		entries, _, err := h.Board(context.Background(), vault.Page{Max: 100}, vault.BoardFilter{})
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	begun := open()
	for h.mustPause("ca").Opens < 16 {
		before := open()
		h.until(h.mustPause("ca").Until)
		if after := open(); after > before+1 {
			t.Errorf("%d renewals begun to try whether the CA is back", after-before)
		}
	}
	if after := open(); after > begun+3 { // one more where none of them is due
		t.Errorf("%d renewals are open after 15 tries, %d after the first", after, begun)
	}
	ca.down = false
	h.until(h.mustPause("ca").Until)
	for range many {
		h.clock.Advance(time.Hour)
		h.mustTick()
	}
	if got := open(); got > 0 || ca.calls < 2*many {
		t.Errorf("%d renewals are open when the CA is back, after %d steps", got, ca.calls)
	}
}

// TestOneFailingCertificatePausesNobody: what is wrong may be its own.
func TestOneFailingCertificatePausesNobody(t *testing.T) {
	t.Parallel()
	p := &stepping{step: func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		if req.Certificate == "good" {
			return nil, issue(t, req)
		}
		return nil, provider.Retry(time.Time{}, errors.New("no record"))
	}}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("one", "ca")
	h.mustCreate("two", "ca")
	for range 10 {
		h.clock.Advance(time.Hour)
		h.mustTick()
	}
	if pause := h.mustPause("ca"); pause != nil {
		t.Errorf("two failing certificates pause the issuer: %+v", pause)
	}
}

// TestOperatorsPauseHolds: until it is resumed, whatever the CA would answer.
func TestOperatorsPauseHolds(t *testing.T) {
	t.Parallel()
	ca := &steps{t: t}
	h := newHarness(t, map[string]provider.Provider{"ca": ca})
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	ctx := context.Background()
	if _, err := h.PauseIssuer(ctx, issuerName(t, "ca"), time.Time{}, "maintenance"); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(24 * time.Hour)
	h.mustTick()
	if op := h.mustOperation("web"); ca.taken != 0 || op.Status != vault.StatusInProgress {
		t.Errorf("%d steps while paused; the operation is %s", ca.taken, op.Status)
	}
	until := h.clock.Now().Add(time.Hour)
	if _, err := h.PauseIssuer(ctx, issuerName(t, "ca"), until, "nearly done"); err != nil {
		t.Fatal(err)
	}
	h.mustCreate("another", "ca")
	h.until(until.Add(-time.Minute))
	if ca.taken != 0 {
		t.Errorf("%d steps before the pause is over", ca.taken)
	}
	ca.down = true
	h.until(until)
	if pause := h.mustPause("ca"); ca.taken < 2 || pause.By != "operator" {
		t.Errorf("after the pause %d steps, which does not explain %+v", ca.taken, pause)
	}
	ca.down = false
	if _, err := h.ResumeIssuer(ctx, issuerName(t, "ca")); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Hour)
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted {
		t.Errorf("after it was resumed the operation is %s", op.Status)
	}
}

// TestIssuerLimit: an issuer whose steps hang leaves room for others.
func TestIssuerLimit(t *testing.T) {
	t.Parallel()
	slow, quick := &steps{t: t, wait: make(chan struct{})}, &steps{t: t}
	h := newHarness(t, map[string]provider.Provider{"slow": slow, "quick": quick})
	h.mustSetIssuer("slow", "slow")
	h.mustSetIssuer("quick", "quick")
	for i := range 10 {
		h.mustCreate(fmt.Sprintf("a%d", i), "slow")
	}
	h.mustCreate("z", "quick")
	h.clock.Advance(2 * time.Second)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.mustTick()
	}()
	for slow.atOnce() < 4 || h.mustOperation("z").Status != vault.StatusCompleted { // while the slow ones wait
		select {
		case <-done:
			t.Error("the tick ended before its steps")
		case <-time.After(time.Millisecond):
		}
	}
	close(slow.wait)
	<-done
	if got := slow.atOnce(); got != 4 {
		t.Errorf("%d steps of one issuer at once, want 4", got)
	}
}

// TestClassesTakeTurns: what many people ask for does not keep a purge from its
// time.
func TestClassesTakeTurns(t *testing.T) {
	t.Parallel()
	p := &stepping{}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		h.clock.Advance(time.Second) // so slow that a tick is over before all are done
		return nil, provider.Pending(h.clock.Now().Add(time.Hour), "on it")
	}
	h.mustSetIssuer("ca", "ca")
	ctx := context.Background()
	h.mustCreate("gone", "Self")
	if _, err := h.Delete(ctx, name(t, "gone")); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(91 * 24 * time.Hour)
	for i := range 100 {
		h.mustCreate(fmt.Sprintf("c%d", i), "ca")
	}
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	if _, err := h.Deleted(ctx, name(t, "gone")); reason(t, err) != vault.DeletedNotFound {
		t.Errorf("the purge did not get its turn: %v", err)
	}
}

// TestNoClassStarves: the steps of the first classes take as long as steps may, in
// every tick. What is left of the tick is nothing, and still the last class has a turn.
func TestNoClassStarves(t *testing.T) {
	t.Parallel()
	p := &stepping{}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		h.clock.Advance(30 * time.Second)
		return nil, provider.Pending(h.clock.Now().Add(time.Hour), "on it")
	}
	h.mustSetIssuer("ca", "ca")
	ctx := t.Context()
	for _, n := range []string{"gone1", "gone2"} {
		h.mustCreate(n, "Self")
		if _, err := h.Delete(ctx, name(t, n)); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.Advance(91 * 24 * time.Hour)
	for i := range 40 {
		h.mustCreate(fmt.Sprintf("c%d", i), "ca")
	}
	h.clock.Advance(2 * time.Second)
	for range 2 {
		h.mustTick()
	}
	left, _, err := h.DeletedCertificates(ctx, vault.Page{Max: 10}, true)
	if err != nil || len(left) > 0 {
		t.Errorf("%d certificates are past their purge date, %v", len(left), err)
	}
}
