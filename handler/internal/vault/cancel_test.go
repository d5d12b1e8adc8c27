package vault_test

// Cancellation.

import (
	"context"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"Self", "Unknown", "holder"} {
		t.Run(issuer, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			h.mustScript("holder", "hold")
			ctx, n := context.Background(), name(t, "web")
			h.mustCreate("web", issuer)
			op, err := h.Cancel(ctx, n, "", true)
			if err != nil || !op.CancellationRequested || op.Status != vault.StatusInProgress {
				t.Fatalf("Cancel = %+v, %v; want the flag set and still inProgress", op, err)
			}
			if op := h.mustOperation("web"); op.Status != vault.StatusInProgress {
				t.Errorf("status right after the cancellation is %s", op.Status)
			}
			h.clock.Advance(2 * time.Second)
			h.mustTick()
			if op := h.mustOperation("web"); op.Status != vault.StatusCancelled || !op.CancellationRequested {
				t.Errorf("operation after the next step is %s, flag %v; want cancelled, true", op.Status, op.CancellationRequested)
			}
			if _, err := h.Cancel(ctx, n, "", true); reason(t, err) != vault.OperationNotInProgress {
				t.Errorf("cancelling again: %v, want OperationNotInProgress", err)
			}
			c, err := h.Certificate(ctx, n)
			if err != nil || c.Leaf != nil || c.Attributes.Enabled {
				t.Errorf("the certificate is %+v, %v; want a shell", c, err)
			}
		})
	}
}

func TestCancelOnPoll(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"Self", "Unknown"} {
		h := newHarness(t, nil)
		h.mustCreate("web", issuer)
		if _, err := h.Cancel(context.Background(), name(t, "web"), "", true); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(2 * time.Second)
		if op := h.mustOperation("web"); op.Status != vault.StatusCancelled {
			t.Errorf("issuer %s: status on the next poll is %s, want cancelled", issuer, op.Status)
		}
	}
}

func TestCancellationTakenBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "web")
	h.mustCreate("web", "Self")
	for _, wish := range []bool{true, false} {
		if _, err := h.Cancel(ctx, n, "", wish); err != nil {
			t.Fatal(err)
		}
	}
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted || op.CancellationRequested {
		t.Errorf("operation is %s, flag %v; want completed, false", op.Status, op.CancellationRequested)
	}
}

func TestIssuerThatIgnoresCancellation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("stubborn", "ignore-cancel issue-after=30s")
	h.mustCreate("web", "stubborn")
	if _, err := h.Cancel(context.Background(), name(t, "web"), "", true); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(5 * time.Second)
	h.mustTick()
	h.clock.Advance(time.Minute)
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted || !op.CancellationRequested {
		t.Errorf("operation is %s, flag %v; want completed, true", op.Status, op.CancellationRequested)
	}
}
