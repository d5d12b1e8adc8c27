package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// The actions of an operator on an operation. requestID is a filter as in
// [Vault.Operation].

// OperationEntry returns the operation of a certificate, whatever its state.
func (v *Vault) OperationEntry(ctx context.Context, n Name, requestID string) (BoardEntry, error) {
	h, err := v.operationHead(ctx, n, requestID)
	if err != nil {
		return BoardEntry{}, err
	}
	return v.operationEntry(h), nil
}

// AdvanceOperation makes an operation due and takes its next step at once, even
// if its issuer is paused. While another worker is in a step, it leaves the
// operation as it is.
func (v *Vault) AdvanceOperation(ctx context.Context, n Name, requestID string) (BoardEntry, error) {
	// A client that hangs up must not leave a claim behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease)
	defer cancel()
	var found BoardEntry
	h, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		if err := h.checkOperation(n, requestID); err != nil {
			return err
		}
		op, now := h.Operation, v.now()
		soonest := op.Created.Add(grace)
		found = v.operationEntry(h)
		switch {
		case op.Status != StatusInProgress:
			return actionRefused(n, "The request has ended as %s.", op.Status)
		case !op.needsAdvance():
			return actionRefused(n, "The request waits for a person: obtain a certificate for its CSR and merge it.")
		case now.Before(op.ClaimedUntil) || now.Before(soonest):
			return errTooEarly
		}
		op.Due = now
		return nil
	})
	if errors.Is(err, errTooEarly) {
		return found, nil
	}
	if err != nil {
		return BoardEntry{}, err
	}
	h, _, err = v.advance(ctx, n, h, nil)
	if err == nil {
		return v.operationEntry(h), nil
	}
	if !errors.Is(err, errLost) {
		return BoardEntry{}, err
	}
	// A tick was faster, and its result counts. A row that is gone was as found.
	left, err := v.OperationEntry(ctx, n, found.RequestID)
	if reasonOf(err) == OperationNotFound {
		return found, nil
	}
	return left, err
}

// errTooEarly ends a change because no step may be taken now.
var errTooEarly = errors.New("a step is being taken, or the operation has only begun")

// RetryOperation begins an operation anew that failed or was cancelled: with the
// policy, attributes and tags that it had, and with a new request id, key pair
// and CSR. clientRequestID may be empty.
func (v *Vault) RetryOperation(ctx context.Context, n Name, requestID, clientRequestID string) (BoardEntry, error) {
	var (
		now    = v.now()
		newID  = v.newID()
		made   *newKey
		madeOf string // the request that made is for
		resent BoardEntry
	)
	h, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		if v.repeats(ctx, h) && h.checkLive(n) == nil && h.Operation != nil {
			resent = v.operationEntry(h)
			return errRepeated
		}
		if err := h.checkOperation(n, requestID); err != nil {
			return err
		}
		if err := h.checkFree(n); err != nil {
			return err
		}
		failed := h.Operation
		if failed.Status == StatusCompleted {
			return actionRefused(n, "The request was completed; create a new one.")
		}
		if failed.RequestID != madeOf { // another has taken the place of the one that was found first
			made, madeOf = nil, failed.RequestID
		}
		return v.begin(ctx, n, h, tx, Operation{
			RequestID:       newID,
			Policy:          failed.Policy,
			Enabled:         failed.Enabled,
			Tags:            failed.Tags,
			PreserveOrder:   failed.PreserveOrder,
			Renewal:         failed.Renewal,
			Created:         now,
			ClientRequestID: clientRequestID,
		}, &made)
	})
	switch {
	case errors.Is(err, errRepeated):
		return resent, nil
	case err != nil:
		return BoardEntry{}, err
	}
	if _, err := h.begun(n, newID); err != nil {
		return BoardEntry{}, err
	}
	return v.operationEntry(h), nil
}

// GiveUpOperation ends an operation as failed. What its CA still holds is
// released.
func (v *Vault) GiveUpOperation(ctx context.Context, n Name, requestID string) (BoardEntry, error) {
	var given BoardEntry
	h, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		if err := h.checkOperation(n, requestID); err != nil {
			return err
		}
		op := h.Operation
		if op.Status != StatusInProgress {
			return actionRefused(n, "The request has ended as %s.", op.Status)
		}
		message := "An operator gave the request up."
		if op.Answer != "" {
			message += fmt.Sprintf(" The last answer of the certificate issuer was: %s", op.Answer)
		}
		v.endOperation(n, h, tx, StatusFailed, &OperationError{provider.CodeGivenUp, words(message)})
		given = v.operationEntry(h)
		return nil
	})
	if err == nil && h.checkOperation(n, given.RequestID) == nil {
		given = v.operationEntry(h) // as it was committed, maybe by an earlier run
	}
	return given, err
}

// The actions of an operator on a release. requestID is that of the operation that
// ended.

// ReleaseEntry returns a release that is not done yet.
func (v *Vault) ReleaseEntry(ctx context.Context, n Name, requestID string) (BoardEntry, error) {
	id, ok := ParseVersion(requestID)
	if !ok {
		return BoardEntry{}, &Error{Reason: OperationNotFound, Name: n.text}
	}
	j := new(releaseJob)
	_, err := v.get(ctx, releaseKey(id), j)
	if errors.Is(err, store.ErrNotFound) {
		j = nil
	} else if err != nil {
		return BoardEntry{}, err
	}
	if err := j.checkFor(n); err != nil {
		return BoardEntry{}, err
	}
	return v.releaseEntry(j), nil
}

func (j *releaseJob) checkFor(n Name) error {
	if j == nil || (Name{j.Name}).key() != n.key() {
		return &Error{Reason: OperationNotFound, Name: n.text}
	}
	return nil
}

// AdvanceRelease makes a release due and runs it at once, unless a worker does.
// The status of what it returns is StatusCompleted when it is done.
func (v *Vault) AdvanceRelease(ctx context.Context, n Name, requestID string) (BoardEntry, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease)
	defer cancel()
	e, err := v.actOnRelease(ctx, n, requestID, func(j *releaseJob) error {
		if j.GivenUp {
			return actionRefused(n, "The release was given up; retry it.")
		}
		j.Due = latestOf(v.now(), j.ClaimedUntil)
		return nil
	})
	if err != nil {
		return BoardEntry{}, err
	}
	if err := v.release(ctx, e.RequestID, nil); err != nil && !errors.Is(err, errLost) {
		return BoardEntry{}, err
	}
	left, err := v.ReleaseEntry(ctx, n, requestID)
	if reasonOf(err) == OperationNotFound {
		e.Status, e.Due, e.ClaimedUntil = StatusCompleted, time.Time{}, time.Time{}
		return e, nil
	}
	return left, err
}

// RetryRelease has a release tried again that was given up. If its issuer object
// is another one by now, of the same provider, that one is used.
func (v *Vault) RetryRelease(ctx context.Context, n Name, requestID string) (BoardEntry, error) {
	return v.actOnRelease(ctx, n, requestID, func(j *releaseJob) error {
		if !j.GivenUp {
			return actionRefused(n, "The release has not been given up.")
		}
		id, err := v.successor(ctx, n, j.Operation.Policy.Issuer.Name, j.Operation.Provider)
		if err != nil {
			return err
		}
		now := v.now()
		j.Operation.IssuerID = id
		j.GivenUp, j.Began, j.Failures = false, now, 0
		j.Due = latestOf(now, j.ClaimedUntil)
		return nil
	})
}

// GiveUpRelease ends the tries of a release. Its entry stays.
func (v *Vault) GiveUpRelease(ctx context.Context, n Name, requestID string) (BoardEntry, error) {
	return v.actOnRelease(ctx, n, requestID, func(j *releaseJob) error {
		j.GivenUp = true
		return nil
	})
}

// ForgetRelease removes the entry of a release that was given up, and returns it.
func (v *Vault) ForgetRelease(ctx context.Context, n Name, requestID string) (BoardEntry, error) {
	return v.changeReleaseOf(ctx, n, requestID, func(j *releaseJob) (*releaseJob, error) {
		if !j.GivenUp {
			return nil, actionRefused(n, "The release has not been given up.")
		}
		return nil, nil
	})
}

func (v *Vault) actOnRelease(ctx context.Context, n Name, requestID string, act func(*releaseJob) error) (BoardEntry, error) {
	return v.changeReleaseOf(ctx, n, requestID, func(j *releaseJob) (*releaseJob, error) { return j, act(j) })
}

// changeReleaseOf changes a release of the certificate n and returns it as it
// was left.
func (v *Vault) changeReleaseOf(ctx context.Context, n Name, requestID string, decide func(*releaseJob) (*releaseJob, error)) (BoardEntry, error) {
	id, ok := ParseVersion(requestID)
	if !ok {
		return BoardEntry{}, &Error{Reason: OperationNotFound, Name: n.text}
	}
	var e BoardEntry
	err := v.changeRelease(ctx, id, func(j *releaseJob) (*releaseJob, error) {
		if err := j.checkFor(n); err != nil {
			return nil, err
		}
		next, err := decide(j)
		e = v.releaseEntry(j)
		return next, err
	})
	return e, err
}
