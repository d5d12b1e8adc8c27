package vault_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestClockOfTheCAIsAhead: a certificate that is not valid for some minutes yet is held
// until it is, and the CA, which might issue another, is not asked again. What begins
// in days is not what was asked for.
func TestClockOfTheCAIsAhead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		ahead time.Duration
		waits bool
	}{
		{4 * time.Minute, false},
		{10 * time.Minute, true},
		{55 * time.Minute, true},
	} {
		p, issued := new(stepping), 0
		h := newHarness(t, map[string]provider.Provider{"ca": p})
		p.step = func(_ context.Context, req provider.Request, s json.RawMessage) (json.RawMessage, provider.Outcome) {
			issued++
			return s, issueFrom(t, req, h.clock.Now().Add(test.ahead), 90*day)
		}
		h.mustSetIssuer("ca", "ca")
		h.mustCreate("web", "ca")
		h.clock.Advance(2 * time.Second)
		began := h.clock.Now()
		h.mustTick()
		if op := h.mustOperation("web"); test.waits && (op.Status != vault.StatusInProgress || !strings.Contains(op.Answer, "clock of the CA")) {
			t.Errorf("%s ahead: %s, %q, %v", test.ahead, op.Status, op.Answer, op.Error)
		}
		for h.clock.Now().Before(began.Add(test.ahead)) {
			h.clock.Advance(time.Minute)
			h.mustTick()
		}
		if op := h.mustOperation("web"); op.Status != vault.StatusCompleted || issued != 1 || op.Held != nil {
			t.Errorf("%s ahead: %s after %d certificates, %v", test.ahead, op.Status, issued, op.Error)
		}
	}
	p := new(stepping)
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	p.step = func(_ context.Context, req provider.Request, s json.RawMessage) (json.RawMessage, provider.Outcome) {
		return s, issueFrom(t, req, h.clock.Now().Add(2*day), 90*day)
	}
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusFailed || !strings.Contains(op.Error.Message, "not valid before") {
		t.Errorf("two days ahead: %s, %v", op.Status, op.Error)
	}
}

// TestHeldCertificateIsCancelled: while it waits the operation can be cancelled like
// any other.
func TestHeldCertificateIsCancelled(t *testing.T) {
	t.Parallel()
	p := &releasing{}
	released := 0
	p.release = func(provider.Request, json.RawMessage) error { released++; return nil }
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		return json.RawMessage(`"order"`), issueFrom(t, req, h.clock.Now().Add(20*time.Minute), 90*day)
	}
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.mustTick()
	if err := second(h.Cancel(t.Context(), name(t, "web"), "", true)); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCancelled || op.Held != nil || released != 1 {
		t.Errorf("%s, released %d times", op.Status, released)
	}
}
