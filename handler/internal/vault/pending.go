package vault

import (
	"context"
	"errors"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// Operation returns the pending object of a certificate. requestID is a filter:
// empty, or the operation that the caller means.
//
// When the next step needs nobody but this vault and the operation is old
// enough, the poll takes it: clients of Self see their certificate without
// waiting for a tick. Where a tick, or another poll, is at that step already, this
// one waits a moment for it: it asked when it was told to, and would have to wait a
// whole round more.
//
// REST page: Get Certificate Operation.
func (v *Vault) Operation(ctx context.Context, n Name, requestID string) (Operation, error) {
	h, err := v.operationHead(ctx, n, requestID)
	if err != nil {
		return Operation{}, err
	}
	if op := h.Operation; v.AnswersAtOnce(*op) && op.needsAdvance() && !v.now().Before(op.Due) {
		// A client that hangs up must not leave a claim behind.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease)
		defer cancel()
		next, err := v.pollAdvance(ctx, n, h)
		switch {
		case err != nil:
			v.cfg.Log.WarnContext(ctx, "poll could not advance", "certificate", n.text, "error", err)
		case next.checkOperation(n, op.RequestID) == nil: // else it went after it was read
			h = next
		}
	}
	return h.operation(), nil
}

// A poll that meets a claim looks again so often, so long apart.
const (
	claimLooks = 4
	claimPause = 250 * time.Millisecond
)

// pollAdvance takes the next step of h's operation, or waits a second at the most
// for whoever is taking it.
func (v *Vault) pollAdvance(ctx context.Context, n Name, h *head) (*head, error) {
	requestID := h.Operation.RequestID
	if !v.now().Before(h.Operation.ClaimedUntil) {
		next, _, err := v.advance(ctx, n, h, nil)
		if !errors.Is(err, errLost) {
			return next, err
		}
	}
	for range claimLooks {
		if err := v.cfg.Sleep(ctx, claimPause); err != nil {
			return nil, err
		}
		var err error
		if h, err = v.head(ctx, n); err != nil {
			return nil, err
		}
		if h.checkOperation(n, requestID) != nil || !v.now().Before(h.Operation.ClaimedUntil) {
			break
		}
	}
	return h, nil
}

func (v *Vault) operationHead(ctx context.Context, n Name, requestID string) (*head, error) {
	h, err := v.head(ctx, n)
	if err != nil {
		return nil, err
	}
	return h, h.checkOperation(n, requestID)
}

func (h *head) checkOperation(n Name, requestID string) error {
	if h.Deletion != nil || !h.Operation.matches(requestID) {
		return &Error{Reason: OperationNotFound, Name: n.text}
	}
	return nil
}

// AnswersAtOnce reports whether the next step of an operation costs no network time
// of whoever takes it: it is one of an instant provider, or a cancellation that needs
// no CA.
func (v *Vault) AnswersAtOnce(op Operation) bool {
	issuer := v.cfg.Providers[op.Provider]
	if i, ok := issuer.(provider.Instant); ok && i.Instant() {
		return true
	}
	_, asksCA := issuer.(provider.Canceler)
	return op.cancelPending() && !asksCA
}

// Cancel asks for the cancellation of an operation in progress, or takes the
// wish back. The operation becomes cancelled at a later step, unless its CA
// refuses or was faster.
//
// REST page: Update Certificate Operation.
func (v *Vault) Cancel(ctx context.Context, n Name, requestID string, requested bool) (Operation, error) {
	now := v.now()
	var asked Operation
	h, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		if err := h.checkOperation(n, requestID); err != nil {
			return err
		}
		op := h.Operation
		if v.repeats(ctx, h) {
			asked = h.operation()
			return errRepeated
		}
		if op.Status != StatusInProgress {
			return &Error{Reason: OperationNotInProgress, Name: n.text}
		}
		op.CancellationRequested, op.CancellationRefused = requested, false
		if soonest := op.Created.Add(grace); requested {
			op.Due = now
			if now.Before(soonest) {
				op.Due = soonest
			}
		}
		asked = h.operation()
		return nil
	})
	if err == nil && h.checkOperation(n, asked.RequestID) == nil {
		asked = h.operation() // as it was committed, maybe by an earlier run
	}
	return asked, notRepeated(err)
}

// DeleteOperation forgets an operation, whatever its state, and returns it. What
// the CA still holds is released by the ticks. A certificate keeps its versions, and
// one without its tags.
//
// REST page: Delete Certificate Operation.
func (v *Vault) DeleteOperation(ctx context.Context, n Name, requestID string) (Operation, error) {
	var deleted Operation
	_, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		if v.repeats(ctx, h) && h.Operation == nil && h.Done.Operation != nil {
			deleted = *h.Done.Operation
			deleted.Name = h.Name
			return errRepeated
		}
		if err := h.checkOperation(n, requestID); err != nil {
			return err
		}
		deleted = h.operation()
		h.dropped = new(*h.Operation)
		h.dropped.State = nil
		v.releaseLater(tx, n, h.Operation)
		if op := h.Operation; op.Renewal && op.Status == StatusInProgress {
			v.renewalFailed(h, "The request was deleted.")
		}
		h.dropKey(tx, n)
		if h.Latest == nil {
			h.Shell = h.shell()
		}
		h.Operation = nil
		return nil
	})
	return deleted, notRepeated(err)
}
