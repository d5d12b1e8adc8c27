package vault_test

// Providers in ticks: steps, budgets, panics.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// stepping is an issuer whose every step is a function.
type stepping struct {
	step    func(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome)
	release func(req provider.Request, state json.RawMessage) error
}

func (p *stepping) Step(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
	return p.step(ctx, req, state)
}

// releasing is a provider that leaves something behind.
type releasing struct{ stepping }

func (p *releasing) Release(_ context.Context, req provider.Request, state json.RawMessage) error {
	return p.release(req, state)
}

// issue answers a request with a certificate of a CA made for it.
func issue(t testing.TB, req provider.Request) provider.Outcome {
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		t.Error(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Error(err)
	}
	return provider.Issued([][]byte{sign(t, csr.PublicKey, key, 5)})
}

func (h *harness) mustSetIssuer(issuer, provider string) {
	h.t.Helper()
	if _, err := h.SetIssuer(context.Background(), issuerName(h.t, issuer), vault.IssuerSet{Provider: &provider}); err != nil {
		h.t.Fatal(err)
	}
}

func TestStepsInOneTick(t *testing.T) {
	t.Parallel()
	for _, steps := range []int{1, 2, 6} {
		p := &stepping{}
		h := newHarness(t, map[string]provider.Provider{"ca": p})
		p.step = func(_ context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
			var n int
			if state != nil {
				if err := json.Unmarshal(state, &n); err != nil {
					t.Error(err)
				}
			}
			if n++; n < steps {
				return json.RawMessage(fmt.Sprint(n)), provider.Pending(time.Time{}, "on it")
			}
			return json.RawMessage(fmt.Sprint(n)), provider.Pending(h.clock.Now().Add(time.Hour), "waiting for approval")
		}
		h.mustSetIssuer("ca", "CA")
		h.mustCreate("web", "ca")
		h.clock.Advance(2 * time.Second)
		h.store.ResetCalls()
		h.mustTick()
		const around = 8 + 1 + 1 // queries of two passes, the issuer, the heartbeat
		if got := h.store.Calls().Total() - around; got != steps+2 {
			t.Errorf("%d steps in one tick took %d storage calls, want %d", steps, got, steps+2)
		}
		op := h.mustOperation("web")
		if string(op.State) != fmt.Sprint(steps) || op.Answer != "waiting for approval" || op.Claim != 1 || !op.ClaimedUntil.IsZero() {
			t.Errorf("after %d steps the operation is %+v", steps, op)
		}
	}
}

func TestTickWaitsForWhatIsDueSoon(t *testing.T) {
	t.Parallel()
	p := &stepping{}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	started := h.clock.Now()
	p.step = func(_ context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
		if h.clock.Now().Sub(started) < 30*time.Second {
			return nil, provider.Pending(h.clock.Now().Add(10*time.Second), "validating")
		}
		return nil, issue(t, req)
	}
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted {
		t.Errorf("after one tick the operation is %s, want completed", op.Status)
	}
}

// TestTickSeesWhatComesWhileItWaits: an operation that is created while a tick
// waits for another's due time need not wait as long.
func TestTickSeesWhatComesWhileItWaits(t *testing.T) {
	t.Parallel()
	p := &stepping{}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	var started time.Time
	p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		if req.Certificate == "late" {
			if waited := h.clock.Now().Sub(started); waited > 7*time.Second {
				t.Errorf("the new operation waited for %s", waited)
			}
			return nil, issue(t, req)
		}
		if started.IsZero() {
			started = h.clock.Now()
			h.mustCreate("late", "ca")
		}
		return nil, provider.Pending(started.Add(19*time.Second), "validating")
	}
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.mustTick()
	if op := h.mustOperation("late"); op.Status != vault.StatusCompleted {
		t.Errorf("the new operation is %s", op.Status)
	}
}

func TestTickEndsWithinItsBudget(t *testing.T) {
	t.Parallel()
	p := &stepping{}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	started := h.clock.Now()
	p.step = func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		return nil, provider.Pending(h.clock.Now().Add(time.Second), "busy")
	}
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.mustTick()
	if took := h.clock.Now().Sub(started); took > 46*time.Second {
		t.Errorf("the tick went on for %s", took)
	}
}

func TestPanicTouchesNoOther(t *testing.T) {
	t.Parallel()
	p := &stepping{}
	h := newHarness(t, map[string]provider.Provider{"bad": p})
	p.step = func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		panic("out of cheese")
	}
	h.mustSetIssuer("bad", "bad")
	for i := range 2 { // three would pause the issuer
		h.mustCreate(fmt.Sprintf("bad%d", i), "bad")
		h.mustCreate(fmt.Sprintf("good%d", i), "Self")
	}
	h.mustTick()
	for i := range 2 {
		if op := h.mustOperation(fmt.Sprintf("good%d", i)); op.Status != vault.StatusCompleted {
			t.Errorf("good%d is %s", i, op.Status)
		}
		op := h.mustOperation(fmt.Sprintf("bad%d", i))
		if op.Status != vault.StatusInProgress || op.Failures == 0 || !strings.Contains(op.Answer, "panicked") {
			t.Errorf("bad%d is %+v", i, op)
		}
	}
	h.clock.Advance(31 * 24 * time.Hour)
	h.mustTick()
	if op := h.mustOperation("bad0"); op.Status != vault.StatusFailed || op.Error.Code != provider.CodeIssuerError || !strings.Contains(op.Error.Message, "panicked") {
		t.Errorf("past its age limit the operation is %s, error %+v", op.Status, op.Error)
	}
}

func TestBackoffGrows(t *testing.T) {
	t.Parallel()
	p := &stepping{}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	p.step = func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		return nil, provider.Retry(time.Time{}, errors.New("connection refused"))
	}
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.clock.Advance(2 * time.Second)
	want := 5 * time.Second
	last := 0
	for want < 2*time.Hour {
		h.mustTick() // may take several steps while they fall due soon
		op := h.mustOperation("web")
		for ; last < op.Failures; last++ {
			want *= 2
		}
		pause := op.Due.Sub(h.clock.Now())
		if upper := min(want/2, time.Hour); pause > upper || pause < upper/2 {
			t.Errorf("after %d failures the pause is %s, want up to %s", op.Failures, pause, upper)
		}
		if op.Answer != "connection refused" {
			t.Errorf("answer is %q", op.Answer)
		}
		h.clock.Advance(pause)
	}
}

func TestDeadWorkerFreesItsOperation(t *testing.T) {
	t.Parallel()
	p := &stepping{}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	var steps atomic.Int32
	dying, die := context.WithCancel(context.Background())
	p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		if steps.Add(1) == 1 {
			die()
		}
		return nil, issue(t, req)
	}
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.clock.Advance(2 * time.Second)
	_, _ = h.Advance(dying) // ends with its context
	if got := steps.Load(); got != 1 {
		t.Fatalf("the dying worker took %d steps", got)
	}
	h.clock.Advance(80 * time.Second)
	h.mustTick()
	if got := steps.Load(); got != 1 {
		t.Errorf("another worker stepped into a live claim")
	}
	h.clock.Advance(10 * time.Second)
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted || steps.Load() != 2 {
		t.Errorf("after the lease the operation is %s with %d steps", op.Status, steps.Load())
	}
}

func TestCancelDuringAStepKeepsItsResult(t *testing.T) {
	t.Parallel()
	p := &releasing{}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	n := name(t, "web")
	p.step = func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		if _, err := h.Cancel(context.Background(), n, "", true); err != nil {
			t.Error(err)
		}
		return json.RawMessage(`"order-542772"`), provider.Pending(h.clock.Now().Add(time.Hour), "ordered")
	}
	var released string
	p.release = func(_ provider.Request, state json.RawMessage) error { released = string(state); return nil }
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCancelled {
		t.Errorf("operation is %s, want cancelled", op.Status)
	}
	if released != `"order-542772"` {
		t.Errorf("released %q, want the order of the step during which the cancellation came", released)
	}
}

func TestDeleteDuringAStepReleasesItsResult(t *testing.T) {
	t.Parallel()
	for _, outcome := range []string{"pending", "issued"} {
		p := &releasing{}
		h := newHarness(t, map[string]provider.Provider{"ca": p})
		n := name(t, "web")
		p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
			if _, err := h.DeleteOperation(context.Background(), n, ""); err != nil {
				t.Error(err)
			}
			if outcome == "issued" {
				return json.RawMessage(`"order"`), issue(t, req)
			}
			return json.RawMessage(`"order"`), provider.Pending(h.clock.Now().Add(time.Hour), "ordered")
		}
		var released string
		p.release = func(req provider.Request, state json.RawMessage) error {
			released = req.Certificate + " " + string(state)
			return nil
		}
		h.mustSetIssuer("ca", "ca")
		h.mustCreate("web", "ca")
		h.mustTick()
		h.clock.Advance(time.Minute)
		h.mustTick()
		if released != `web "order"` {
			t.Errorf("%s: released %q, want the order of the step during which the operation was deleted", outcome, released)
		}
		for _, r := range h.store.Contents().Rows {
			if strings.HasPrefix(r.Key, "r:") || strings.HasPrefix(r.Key, "d:") {
				t.Errorf("%s: row %s is left", outcome, r.Key)
			}
		}
		if blobs := h.store.Contents().Blobs; len(blobs) != 0 {
			t.Errorf("%s: %d chain blobs are left", outcome, len(blobs))
		}
	}
}

func TestReleaseIsTriedAgain(t *testing.T) {
	t.Parallel()
	p := &releasing{}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	p.step = func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		return json.RawMessage(`"order"`), provider.Failed(provider.CodeRejected, "no")
	}
	tries := 0
	p.release = func(provider.Request, json.RawMessage) error {
		if tries++; tries < 3 {
			return errors.New("connection refused")
		}
		return nil
	}
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusFailed || op.Error.Message != "no" {
		t.Fatalf("operation is %+v", op)
	}
	h.clock.Advance(time.Hour)
	h.mustTick()
	if tries != 3 {
		t.Errorf("release was tried %d times, want 3", tries)
	}
}

func TestWhatAnIssuerReturnsIsChecked(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for what, out := range map[string]provider.Outcome{
		"no chain":    provider.Issued(nil),
		"garbage":     provider.Issued([][]byte{[]byte("garbage")}),
		"another key": provider.Issued([][]byte{sign(t, key.Public(), key, 1)}),
	} {
		p := &stepping{step: func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
			return nil, out
		}}
		h := newHarness(t, map[string]provider.Provider{"ca": p})
		h.mustSetIssuer("ca", "ca")
		h.mustCreate("web", "ca")
		h.mustTick()
		op := h.mustOperation("web")
		if op.Status != vault.StatusFailed || op.Error.Code != provider.CodeIssuerError {
			t.Errorf("%s: operation is %s, error %+v", what, op.Status, op.Error)
		}
	}
}

func TestTooMuchStateFails(t *testing.T) {
	t.Parallel()
	p := &stepping{step: func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		return json.RawMessage(`"` + strings.Repeat("x", provider.MaxState) + `"`), provider.Pending(time.Time{}, "")
	}}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusFailed {
		t.Errorf("operation is %s, want failed", op.Status)
	}
}

// TestTickDoesNotSpin: whatever a provider answers, a step is not taken again
// before a second has passed, once the steps of one claim are used up.
func TestTickDoesNotSpin(t *testing.T) {
	t.Parallel()
	for what, out := range map[string]provider.Outcome{
		"no outcome at all": {},
		"pending, at once":  provider.Pending(time.Time{}, ""),
		"retry in the past": provider.Retry(time.Unix(1, 0), errors.New("busy")),
	} {
		steps := 0
		p := &stepping{step: func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
			steps++
			return nil, out
		}}
		h := newHarness(t, map[string]provider.Provider{"ca": p})
		h.mustSetIssuer("ca", "ca")
		h.mustCreate("web", "ca")
		started := h.clock.Now()
		h.mustTick()
		took := h.clock.Now().Sub(started)
		if limit := 32 * (1 + int(took/time.Second)); steps > limit || took == 0 {
			t.Errorf("%s: %d steps in %s", what, steps, took)
		}
	}
}
