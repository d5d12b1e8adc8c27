package vault

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// releaseJob is what must still be taken back at a CA after its operation is
// gone: a row of its own, written in the transaction that ends the operation.
// When it is given up the row stays, without work to do, until an operator has
// it tried again or forgets it.
type releaseJob struct {
	Schema       int       `json:"schema"`
	Name         string    `json:"name"` // of the certificate
	Operation    Operation `json:"operation"`
	Began        time.Time `json:"began"`
	Due          time.Time `json:"due"`
	ClaimedUntil time.Time `json:"claimedUntil,omitzero"` // a worker has it until then
	Attempts     int       `json:"attempts,omitempty"`    // claims so far
	Failures     int       `json:"failures"`              // in a row
	Answer       string    `json:"answer,omitempty"`      // what went wrong last
	GivenUp      bool      `json:"givenUp,omitempty"`
	dueList
}

// releaseLimit is how long a release is tried.
const releaseLimit = 24 * time.Hour

func (j *releaseJob) key() string { return releaseKey(j.Operation.RequestID) }

func (j *releaseJob) due() []due {
	if j.GivenUp {
		return nil
	}
	return []due{{classAdvance, j.Due, j.Operation.RequestID, kindRelease, j.Operation.Policy.Issuer.Name}}
}

// releaseLater adds a release job for an operation that ends otherwise than by
// completing, if it ever reached a provider that may leave something behind.
func (v *Vault) releaseLater(tx *store.Tx, n Name, op *Operation) {
	if op.Claim == 0 || op.Status != StatusInProgress || !v.leavesBehind(op) {
		return
	}
	j := v.newRelease(n, op)
	j.Due = latestOf(j.Due, op.ClaimedUntil) // a step at work hands over what it did, or has died by then
	addRelease(tx, j)
}

// leavesBehind reports whether the provider of op may leave something at its CA. One
// that this instance does not know, because its settings or its release lack it, may.
func (v *Vault) leavesBehind(op *Operation) bool {
	ca, known := v.cfg.Providers[op.Provider]
	_, releases := ca.(provider.Releaser)
	return releases || !known && !op.Manual()
}

// newRelease is a release job that is due at once.
func (v *Vault) newRelease(n Name, op *Operation) *releaseJob {
	now := v.now()
	j := &releaseJob{Schema: store.Schema, Name: n.text, Operation: *op, Began: now, Due: now}
	j.Operation.Held = nil
	return j
}

func addRelease(tx *store.Tx, j *releaseJob) {
	addWork(tx, j.key(), j)
}

// releaseLost keeps what a step did whose result came too late: the operation was
// ended while the step was at work, or another worker has it by now. It is
// released at once, or when that worker's end of the operation comes, because
// until then both may be about the same order.
func (v *Vault) releaseLost(ctx context.Context, n Name, op *Operation, state json.RawMessage) {
	if !v.leavesBehind(op) {
		return
	}
	_, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		if h.Deletion != nil || !h.Operation.matches(op.RequestID) || h.Operation.Status != StatusInProgress {
			return errLost
		}
		if !h.Operation.leave(state) {
			return errTooMuchLeft
		}
		return nil
	})
	switch {
	case err == nil:
		return
	case errors.Is(err, errLost):
		err = v.releaseAfterEnd(ctx, n, op, state)
	}
	if err != nil {
		v.cfg.Log.ErrorContext(ctx, "the effect of a lost step was not recorded", "certificate", n.text, "request_id", op.RequestID, "error", err)
	}
}

// errTooMuchLeft ends a change that would keep more of late steps than there is
// room for.
var errTooMuchLeft = errors.New("too many steps came too late")

// releaseAfterEnd gives the release job of an operation that has ended, and may
// have none yet, the state of a step that came too late.
func (v *Vault) releaseAfterEnd(ctx context.Context, n Name, op *Operation, state json.RawMessage) error {
	return v.changeRelease(ctx, op.RequestID, func(j *releaseJob) (*releaseJob, error) {
		if j == nil {
			j = v.newRelease(n, op)
			j.Operation.State = state
		} else if !j.Operation.leave(state) {
			return nil, errTooMuchLeft
		}
		j.Due, j.GivenUp = v.now(), false
		return j, nil
	})
}

// releaseLeftover adds a release job for what a lost step left, when the operation
// completes without it.
func (v *Vault) releaseLeftover(tx *store.Tx, n Name, op *Operation) {
	if op.Leftover == nil {
		return
	}
	j := v.newRelease(n, op)
	j.Operation.State, j.Operation.Leftover, j.Operation.Leftovers = op.Leftover, nil, nil
	for _, left := range op.Leftovers {
		j.Operation.leave(left) // there is room: it was taken from there
	}
	addRelease(tx, j)
}

// release takes back at the CA what an operation left there.
func (v *Vault) release(ctx context.Context, requestID string, issuers *issuerCache) error {
	_, _, err := attempt(ctx, v, releaseKey(requestID),
		func(j *releaseJob) (*releaseJob, error) {
			if j == nil || j.GivenUp || v.now().Before(j.Due) {
				return nil, errLost
			}
			return j, nil
		},
		func(j *releaseJob) error { return v.runRelease(ctx, j, issuers) },
		func(j *releaseJob, failure error) *releaseJob {
			if failure == nil {
				return nil
			}
			v.releaseFailed(ctx, j, failure)
			return j
		})
	return err
}

func (j *releaseJob) claim(until time.Time) {
	j.Due, j.ClaimedUntil = until, until
	j.Attempts++
}

// claimed does not hold when a step has handed over more, or another worker has
// the job.
func (j *releaseJob) claimed(until time.Time) bool { return j.Due.Equal(until) }

// releaseFailed decides what follows from a failed attempt.
func (v *Vault) releaseFailed(ctx context.Context, j *releaseJob, failure error) {
	now := v.now()
	j.Failures++
	j.Answer = words(failure.Error())
	j.ClaimedUntil = time.Time{}
	j.Due = now.Add(v.backoff(j.Failures))
	_, lost := errors.AsType[issuerLost](failure)
	j.GivenUp = j.GivenUp || lost || now.Sub(j.Began) > releaseLimit
	log := v.cfg.Log.With("certificate", j.Name, "request_id", j.Operation.RequestID)
	if j.GivenUp {
		log.ErrorContext(ctx, "release given up", "error", failure)
	} else {
		log.WarnContext(ctx, "release failed", "again", j.Due, "error", failure)
	}
}

func (v *Vault) runRelease(ctx context.Context, j *releaseJob, issuers *issuerCache) (err error) {
	defer v.recovered(ctx, "provider", j.Operation.Provider, &err, "certificate", j.Name)
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	n := Name{j.Name}
	issuer, req, err := v.request(ctx, n, &j.Operation, issuers)
	if err != nil {
		return err
	}
	req.Key = func(context.Context) (crypto.Signer, error) { return nil, errors.New("the key is gone") }
	releaser, ok := issuer.(provider.Releaser)
	if !ok {
		return nil
	}
	err = releaser.Release(ctx, req, j.Operation.State)
	for _, left := range j.Operation.leftovers() {
		if err == nil {
			err = releaser.Release(ctx, req, left)
		}
	}
	return err
}

// changeRelease changes the row of a release job.
func (v *Vault) changeRelease(ctx context.Context, requestID string, decide func(*releaseJob) (*releaseJob, error)) error {
	_, err := changeRow(ctx, v, releaseKey(requestID), decide)
	return err
}
