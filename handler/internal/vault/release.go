package vault

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// releaseJob is what must still be taken back at a CA after its operation is
// gone: a row of its own, written in the transaction that ends the operation.
type releaseJob struct {
	Schema    int       `json:"schema"`
	Name      string    `json:"name"` // of the certificate
	Operation Operation `json:"operation"`
	Began     time.Time `json:"began"`
	Due       time.Time `json:"due"`
	Failures  int       `json:"failures"`
}

// releaseLimit is how long a release is tried.
const releaseLimit = 24 * time.Hour

func (j *releaseJob) key() string { return releaseKey(j.Operation.RequestID) }

func (j *releaseJob) due() due {
	return due{classAdvance, j.Due, j.Operation.RequestID, kindRelease, j.Operation.Policy.Issuer.Name}
}

// releaseLater adds a release job for an operation that ends otherwise than by
// completing, if it ever reached a provider that leaves something behind.
func (v *Vault) releaseLater(tx *Tx, n Name, op *Operation) {
	if _, ok := v.cfg.Issuers[op.Provider].(Releaser); !ok || op.Claim == 0 || op.Status != StatusInProgress {
		return
	}
	now := v.now()
	j := &releaseJob{Schema: schema, Name: n.text, Operation: *op, Began: now, Due: now}
	if j.Due.Before(op.ClaimedUntil) {
		j.Due = op.ClaimedUntil // a step is at work; it hands over what it did, or has died by then
	}
	tx.add(row(j.key(), "", j))
	tx.add(j.due().row())
}

// releaseLost hands what a step did over to the release job of its operation,
// which was ended while the step was at work.
func (v *Vault) releaseLost(ctx context.Context, n Name, op *Operation, state json.RawMessage) {
	if _, ok := v.cfg.Issuers[op.Provider].(Releaser); !ok {
		return
	}
	err := v.changeRelease(ctx, op.RequestID, func(j *releaseJob) (*releaseJob, error) {
		now := v.now()
		if j == nil {
			h, err := v.head(ctx, n)
			if err != nil || h.Deletion == nil && h.Operation.matches(op.RequestID) && h.Operation.Status == StatusInProgress {
				return nil, errors.Join(errLost, err) // another worker has it
			}
			j = &releaseJob{Schema: schema, Name: n.text, Operation: *op, Began: now}
		}
		j.Operation.State, j.Due = state, now
		return j, nil
	})
	if err != nil && !errors.Is(err, errLost) {
		v.cfg.Log.ErrorContext(ctx, "what a lost step did is not recorded", "certificate", n.text, "request_id", op.RequestID, "error", err)
	}
}

// release takes back at the CA what an operation left there.
func (v *Vault) release(ctx context.Context, requestID string, issuers *issuerCache) error {
	var job *releaseJob
	err := v.changeRelease(ctx, requestID, func(j *releaseJob) (*releaseJob, error) {
		now := v.now()
		if j == nil || now.Before(j.Due) {
			return nil, errLost
		}
		j.Due = now.Add(lease) // the claim
		job = j
		return j, nil
	})
	if err != nil {
		return err
	}
	releaseErr := v.runRelease(ctx, job, issuers)
	claimed := job.Due
	return v.changeRelease(ctx, requestID, func(j *releaseJob) (*releaseJob, error) {
		now := v.now()
		switch {
		case j == nil || !j.Due.Equal(claimed):
			return nil, errLost // a step handed over more, or another worker has it
		case releaseErr == nil:
			return nil, nil
		case now.Sub(j.Began) > releaseLimit:
			v.cfg.Log.ErrorContext(ctx, "release given up", "certificate", j.Name, "request_id", requestID, "error", releaseErr)
			return nil, nil
		}
		j.Failures++
		j.Due = now.Add(v.backoff(j.Failures))
		v.cfg.Log.WarnContext(ctx, "release failed", "certificate", j.Name, "request_id", requestID, "again", j.Due, "error", releaseErr)
		return j, nil
	})
}

func (v *Vault) runRelease(ctx context.Context, j *releaseJob, issuers *issuerCache) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("provider %s panicked: %v", j.Operation.Provider, p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	n := Name{j.Name}
	issuer, req, err := v.request(ctx, n, &j.Operation, issuers)
	if err != nil {
		return err
	}
	req.Key = func(context.Context) (crypto.Signer, error) { return nil, errors.New("the key is gone") }
	releaser, ok := issuer.(Releaser)
	if !ok {
		return nil
	}
	return releaser.Release(ctx, req, j.Operation.State)
}

// changeRelease changes the row of a release job.
func (v *Vault) changeRelease(ctx context.Context, requestID string, decide func(*releaseJob) (*releaseJob, error)) error {
	work := func(j *releaseJob) []due { return []due{j.due()} }
	_, err := changeRow(ctx, v, releaseKey(requestID), work, decide)
	return err
}
