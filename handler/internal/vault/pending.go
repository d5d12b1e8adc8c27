package vault

import (
	"context"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// Operation returns the pending object of a certificate. requestID is a filter:
// empty, or the operation that the caller means.
//
// When the next step needs nobody but this vault and the operation is old
// enough, the poll takes it: clients of Self see their certificate without
// waiting for a tick.
//
// REST page: Get Certificate Operation.
func (v *Vault) Operation(ctx context.Context, n Name, requestID string) (Operation, error) {
	h, err := v.operationHead(ctx, n, requestID)
	if err != nil {
		return Operation{}, err
	}
	if v.mayPollAdvance(h.Operation) {
		// A client that hangs up must not leave a claim behind.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease)
		defer cancel()
		next, _, err := v.advance(ctx, n, h, nil)
		switch {
		case err != nil:
			v.cfg.Log.WarnContext(ctx, "poll could not advance", "certificate", n.text, "error", err)
		case next.Operation.matches(h.Operation.RequestID):
			h = next
		}
	}
	return h.operation(), nil
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

// mayPollAdvance allows a poll only what costs no caller's network time: a step
// of an instant provider, and a cancellation that needs no CA.
func (v *Vault) mayPollAdvance(op *Operation) bool {
	now := v.now()
	if !op.needsAdvance() || now.Before(op.Due) || now.Before(op.ClaimedUntil) {
		return false
	}
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
// the CA still holds is released by the ticks. A certificate that has versions
// keeps them.
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
		h.Operation = nil
		return nil
	})
	return deleted, notRepeated(err)
}
