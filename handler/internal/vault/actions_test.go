package vault_test

// What operators do about operations and releases.

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestAdvanceOperation(t *testing.T) {
	t.Parallel()
	h, _ := newBoard(t)
	ctx, n := t.Context(), name(t, "web")
	if _, err := h.AdvanceOperation(ctx, n, ""); reason(t, err) != vault.OperationNotFound {
		t.Errorf("without an operation: %v", err)
	}
	h.mustCreate("web", "holder")
	if e, err := h.AdvanceOperation(ctx, n, ""); err != nil || e.Attempts != 0 {
		t.Errorf("within two seconds: %+v, %v", e, err)
	}
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	if _, err := h.PauseIssuer(ctx, issuerName(t, "holder"), time.Time{}, ""); err != nil {
		t.Fatal(err)
	}
	e, err := h.AdvanceOperation(ctx, n, "")
	if err != nil || e.Attempts != 2 || e.Answer != "waiting for approval" || e.Due.Sub(h.clock.Now()) != time.Hour || !e.ClaimedUntil.IsZero() {
		t.Errorf("long before it is due: %+v, %v", e, err)
	}
	if _, err := h.AdvanceOperation(ctx, n, strings.Repeat("0", 32)); reason(t, err) != vault.OperationNotFound {
		t.Errorf("another operation: %v", err)
	}
	h.mustCreate("done", "issuer")
	h.clock.Advance(2 * time.Second)
	if e, err := h.AdvanceOperation(ctx, name(t, "done"), ""); err != nil || e.Status != vault.StatusCompleted || e.OrderID != "order-done" || !e.Due.IsZero() {
		t.Errorf("one step before it completes: %+v, %v", e, err)
	}
	if _, err := h.AdvanceOperation(ctx, name(t, "done"), ""); reason(t, err) != vault.ActionRefused {
		t.Errorf("completed: %v", err)
	}
	h.mustCreate("merge", "Unknown")
	h.clock.Advance(2 * time.Second)
	if _, err := h.AdvanceOperation(ctx, name(t, "merge"), ""); reason(t, err) != vault.ActionRefused {
		t.Errorf("waiting for a person: %v", err)
	}
	if _, err := h.Cancel(ctx, name(t, "merge"), "", true); err != nil {
		t.Fatal(err)
	}
	if e, err := h.AdvanceOperation(ctx, name(t, "merge"), ""); err != nil || e.Status != vault.StatusCancelled {
		t.Errorf("to be cancelled: %+v, %v", e, err)
	}
}

// TestAdvanceDuringAStep: the claim of whoever is in a step holds.
func TestAdvanceDuringAStep(t *testing.T) {
	t.Parallel()
	h, p := newBoard(t)
	steps := 0
	p.step = func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		if steps++; steps == 1 {
			e, err := h.AdvanceOperation(context.Background(), name(t, "web"), "")
			if err != nil || e.Attempts != 1 || !e.ClaimedUntil.After(h.clock.Now()) {
				t.Errorf("during a step: %+v, %v", e, err)
			}
		}
		return nil, provider.Pending(h.clock.Now().Add(time.Hour), "waiting")
	}
	h.mustCreate("web", "holder")
	h.mustTick()
	if steps != 1 {
		t.Errorf("%d steps were taken, want 1", steps)
	}
}

func TestRetryOperation(t *testing.T) {
	t.Parallel()
	h, _ := newBoard(t)
	ctx, n := t.Context(), name(t, "web")
	params := vault.CreateParams{
		Policy:        ellipticPolicy("first", "refuser"), // RSA keys come from a small pool
		Tags:          map[string]string{"team": "a"},
		Attributes:    vault.AttributeParams{Enabled: new(false)},
		PreserveOrder: new(true),
	}
	first, err := h.Create(ctx, n, params)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.RetryOperation(ctx, n, "", ""); reason(t, err) != vault.OperationInProgress {
		t.Errorf("in progress: %v", err)
	}
	h.mustTick()
	// What the policy is by now concerns the next request, not this one.
	if _, err := h.UpdatePolicy(ctx, n, *policyFor("issuer")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RetryOperation(ctx, n, strings.Repeat("0", 32), ""); reason(t, err) != vault.OperationNotFound {
		t.Errorf("another operation: %v", err)
	}
	e, err := h.RetryOperation(sentAs(ctx, "again"), n, first.RequestID, "again")
	if err != nil {
		t.Fatal(err)
	}
	second := h.mustOperation("web")
	if e.RequestID != second.RequestID || e.RequestID == first.RequestID || e.Status != vault.StatusInProgress || e.Error != nil || e.Attempts != 0 {
		t.Errorf("the new operation is %+v", e)
	}
	if string(second.CSR) == string(first.CSR) || second.KeyID == first.KeyID {
		t.Error("the new operation has the key of the old one")
	}
	type kept struct {
		Policy        policy.Policy
		Tags          map[string]string
		Enabled       bool
		PreserveOrder *bool
	}
	of := func(op vault.Operation) kept { return kept{op.Policy, op.Tags, *op.Enabled, op.PreserveOrder} }
	if diff := cmp.Diff(of(first), of(second)); diff != "" {
		t.Errorf("what was asked for (-first +second):\n%s", diff)
	}
	// The same request sent again is the same retry.
	for _, id := range []string{first.RequestID, ""} {
		if again, err := h.RetryOperation(sentAs(ctx, "again"), n, id, "again"); err != nil || again.RequestID != e.RequestID {
			t.Errorf("sent again: %+v, %v", again, err)
		}
	}
	h.mustTick() // it fails again
	if _, err := h.DeleteIssuer(ctx, issuerName(t, "refuser")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RetryOperation(ctx, n, "", ""); reason(t, err) != vault.BadParameter {
		t.Errorf("without its issuer: %v", err)
	}
	h.mustSetIssuer("refuser", "CA")
	if _, err := h.RetryOperation(ctx, n, "", ""); err != nil {
		t.Errorf("with an issuer of its name: %v", err)
	}
	if _, err := h.Cancel(ctx, n, "", true); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCancelled {
		t.Fatalf("the operation is %s", op.Status)
	}
	if e, err := h.RetryOperation(ctx, n, "", ""); err != nil || e.CancellationRequested {
		t.Errorf("cancelled: %+v, %v", e, err)
	}
	h.mustCreate("done", "Self")
	h.mustTick()
	if _, err := h.RetryOperation(ctx, name(t, "done"), "", ""); reason(t, err) != vault.ActionRefused {
		t.Errorf("completed: %v", err)
	}
}

func TestGiveUpOperation(t *testing.T) {
	t.Parallel()
	h, p := newBoard(t)
	ctx, n := t.Context(), name(t, "web")
	p.releaseErr = nil
	h.mustCreate("web", "holder")
	h.mustTick()
	id := h.mustOperation("web").RequestID
	if _, err := h.GiveUpOperation(ctx, n, strings.Repeat("0", 32)); reason(t, err) != vault.OperationNotFound {
		t.Errorf("another operation: %v", err)
	}
	if e, err := h.GiveUpOperation(ctx, n, id); err != nil || e.Status != vault.StatusFailed || e.Error.Code != provider.CodeGivenUp {
		t.Errorf("in progress: %+v, %v", e, err)
	}
	if _, err := h.GiveUpOperation(ctx, n, id); reason(t, err) != vault.ActionRefused {
		t.Errorf("failed: %v", err)
	}
	if _, err := h.ReleaseEntry(ctx, n, id); err != nil {
		t.Errorf("what the CA holds is not to be released: %v", err)
	}
	h.mustTick()
	if _, err := h.ReleaseEntry(ctx, n, id); reason(t, err) != vault.OperationNotFound {
		t.Errorf("after a tick it is still to be released: %v", err)
	}
	h.mustCreate("merge", "Unknown")
	if e, err := h.GiveUpOperation(ctx, name(t, "merge"), ""); err != nil || e.Status != vault.StatusFailed {
		t.Errorf("waiting for a person: %+v, %v", e, err)
	}
}

// mustRelease makes a release that fails, by giving an operation up, and returns
// the operation's request id.
func (h *harness) mustRelease(n string) string {
	h.t.Helper()
	h.mustCreate(n, "holder")
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	e, err := h.GiveUpOperation(h.t.Context(), name(h.t, n), "")
	if err != nil {
		h.t.Fatal(err)
	}
	return e.RequestID
}

func TestReleaseIsGivenUpAfterADay(t *testing.T) {
	t.Parallel()
	h, p := newBoard(t)
	p.release = func(provider.Request, json.RawMessage) error { panic("again and again") }
	ctx, n := t.Context(), name(t, "web")
	id := h.mustRelease("web")
	for range 30 {
		h.mustTick()
		h.clock.Advance(time.Hour)
	}
	e, err := h.ReleaseEntry(ctx, n, id)
	if err != nil || e.Status != vault.StatusFailed || !e.Due.IsZero() || e.Answer != "provider ca panicked" || e.Failures != e.Attempts || e.Attempts < 24 {
		t.Errorf("after more than a day: %+v, %v", e, err)
	}
	attempts := e.Attempts
	h.mustTick()
	if e, err = h.ReleaseEntry(ctx, n, id); err != nil || e.Attempts != attempts {
		t.Errorf("given up, it was tried: %+v, %v", e, err)
	}
	if _, err := h.AdvanceRelease(ctx, n, id); reason(t, err) != vault.ActionRefused {
		t.Errorf("advancing what was given up: %v", err)
	}
	p.release = func(provider.Request, json.RawMessage) error { return nil }
	if e, err := h.RetryRelease(ctx, n, id); err != nil || e.Status != vault.StatusInProgress || e.Failures != 0 || !e.Due.Equal(h.clock.Now().Truncate(time.Millisecond)) {
		t.Errorf("retried: %+v, %v", e, err)
	}
	if _, err := h.RetryRelease(ctx, n, id); reason(t, err) != vault.ActionRefused {
		t.Errorf("retried twice: %v", err)
	}
	h.mustTick()
	if _, err := h.ReleaseEntry(ctx, n, id); reason(t, err) != vault.OperationNotFound {
		t.Errorf("after the retry: %v", err)
	}
}

// TestReleaseWithoutItsIssuer is given up at once, and goes on with the issuer
// object that takes the place of the deleted one.
func TestReleaseWithoutItsIssuer(t *testing.T) {
	t.Parallel()
	h, p := newBoard(t)
	p.releaseErr = nil
	ctx, n, issuer := t.Context(), name(t, "web"), issuerName(t, "holder")
	id := h.mustRelease("web")
	if _, err := h.DeleteIssuer(ctx, issuer); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	e, err := h.ReleaseEntry(ctx, n, id)
	if err != nil || e.Status != vault.StatusFailed || !strings.Contains(e.Answer, "holder was deleted") {
		t.Fatalf("without its issuer: %+v, %v", e, err)
	}
	if _, err := h.RetryRelease(ctx, n, id); reason(t, err) != vault.ActionRefused {
		t.Errorf("retried while there is no issuer: %v", err)
	}
	h.mustScript("holder", "hold")
	if _, err := h.RetryRelease(ctx, n, id); reason(t, err) != vault.ActionRefused {
		t.Errorf("retried with another provider: %v", err)
	}
	h.mustSetIssuer("holder", "CA")
	if _, err := h.RetryRelease(ctx, n, id); err != nil {
		t.Fatal(err)
	}
	if e, err := h.AdvanceRelease(ctx, n, id); err != nil || e.Status != vault.StatusCompleted {
		t.Errorf("with the new issuer: %+v, %v", e, err)
	}
}

func TestAdvanceRelease(t *testing.T) {
	t.Parallel()
	h, p := newBoard(t)
	ctx, n := t.Context(), name(t, "web")
	id := h.mustRelease("web")
	for i := range 3 { // it is not due before its pause is over
		e, err := h.AdvanceRelease(ctx, n, strings.ToUpper(id))
		if err != nil || e.Attempts != i+1 || e.Failures != i+1 || e.Answer != "the CA is closed" || !e.ClaimedUntil.IsZero() {
			t.Errorf("try %d: %+v, %v", i+1, e, err)
		}
	}
	runs := 0
	p.release = func(provider.Request, json.RawMessage) error {
		if runs++; runs == 1 { // while one runs, another one is not begun
			if e, err := h.AdvanceRelease(ctx, n, id); err != nil || e.Attempts != 4 || e.ClaimedUntil.IsZero() {
				t.Errorf("during a release: %+v, %v", e, err)
			}
		}
		return nil
	}
	if e, err := h.AdvanceRelease(ctx, n, id); err != nil || e.Status != vault.StatusCompleted || runs != 1 {
		t.Errorf("the last one: %+v, %v; %d runs", e, err, runs)
	}
	if _, err := h.AdvanceRelease(ctx, n, id); reason(t, err) != vault.OperationNotFound {
		t.Errorf("what is done: %v", err)
	}
}

func TestGiveUpAndForgetRelease(t *testing.T) {
	t.Parallel()
	for what, result := range map[string]error{"fails": errors.New("no"), "succeeds": nil} {
		h, p := newBoard(t)
		ctx, n := t.Context(), name(t, "web")
		id := h.mustRelease("web")
		if _, err := h.ForgetRelease(ctx, n, id); reason(t, err) != vault.ActionRefused {
			t.Errorf("forgetting what goes on: %v", err)
		}
		p.release = func(provider.Request, json.RawMessage) error {
			if e, err := h.GiveUpRelease(ctx, n, id); err != nil || e.Status != vault.StatusFailed {
				t.Errorf("given up: %+v, %v", e, err)
			}
			return result
		}
		h.mustTick()
		if e, err := h.ReleaseEntry(ctx, n, id); result == nil && reason(t, err) != vault.OperationNotFound || result != nil && (err != nil || e.Status != vault.StatusFailed) {
			t.Errorf("given up while it %s: %+v, %v", what, e, err)
		}
		if result == nil {
			continue
		}
		if e, err := h.ForgetRelease(ctx, n, id); err != nil || e.RequestID != id {
			t.Errorf("forgetting: %+v, %v", e, err)
		}
		if _, err := h.ReleaseEntry(ctx, n, id); reason(t, err) != vault.OperationNotFound {
			t.Errorf("forgotten: %v", err)
		}
	}
}

// TestWhatALostStepDidIsReleased, although the release was given up before.
func TestWhatALostStepDidIsReleased(t *testing.T) {
	t.Parallel()
	h, p := newBoard(t)
	ctx, n := t.Context(), name(t, "web")
	released := ""
	p.release = func(_ provider.Request, state json.RawMessage) error { released = string(state); return nil }
	p.step = func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		e, err := h.GiveUpOperation(ctx, n, "")
		if err != nil {
			t.Error(err)
		}
		if _, err := h.GiveUpRelease(ctx, n, e.RequestID); err != nil {
			t.Error(err)
		}
		return json.RawMessage(`"order"`), provider.Pending(h.clock.Now().Add(time.Hour), "ordered")
	}
	h.mustCreate("web", "holder")
	h.mustTick()
	h.clock.Advance(2 * time.Minute)
	h.mustTick()
	if released != `"order"` {
		t.Errorf("released %q, want the order", released)
	}
}
