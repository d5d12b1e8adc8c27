package vault_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

// canceling is a provider whose CA is asked before an operation is cancelled.
type canceling struct {
	provider
	cancel func() (bool, error)
}

func (p *canceling) Cancel(_ context.Context, _ vault.Request, state json.RawMessage) (json.RawMessage, bool, error) {
	ok, err := p.cancel()
	return state, ok, err
}

func held(context.Context, vault.Request, json.RawMessage) (json.RawMessage, vault.Outcome) {
	return nil, vault.Pending(time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC), "held")
}

// TestFailingCancellationBacksOff: a CA that cannot be asked is asked again
// later, and not for as long as the tick lasts.
func TestFailingCancellationBacksOff(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	asked := 0
	p := &canceling{provider: provider{step: held}, cancel: func() (bool, error) {
		if asked++; asked == 100 {
			end()
		}
		return false, errors.New("connection refused")
	}}
	h := newHarness(t, map[string]vault.Issuer{"ca": p})
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
