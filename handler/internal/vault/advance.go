package vault

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// Times of one advance. The lease outlives the longest step and the latest
// moment at which its last write can still arrive; a worker that dies frees the
// operation when it ends.
const (
	lease        = 90 * time.Second
	stepDeadline = 30 * time.Second
	maxSteps     = 32 // under one claim
)

// errLost: the operation was deleted, ended or claimed by another worker while
// this one was at work.
var errLost = errors.New("operation was taken over")

// advance claims the operation of h and takes its next step, and more steps as
// long as the next is due at once. It returns the head as it is afterwards, and
// what the last step led to.
func (v *Vault) advance(ctx context.Context, n Name, h *head, issuers *issuerCache) (*head, provider.Outcome, error) {
	h, err := v.claim(ctx, n, h)
	if err != nil {
		return nil, provider.Outcome{}, err
	}
	for steps := 1; ; steps++ {
		state, out, chain := v.takeStep(ctx, n, h, issuers)
		v.cfg.Log.InfoContext(ctx, "step",
			"certificate", n.text, "request_id", h.Operation.RequestID, "issuer", h.Operation.Policy.Issuer.Name,
			"claim", h.Operation.Claim, "outcome", outcomeText(out.Kind), "detail", field.Cut(out.Detail+out.Message, maxAnswer))
		if out.Kind == provider.OutcomeIssued {
			mine := h.Operation
			h, err := v.completeIssued(ctx, n, h, chain)
			if errors.Is(err, errLost) {
				v.releaseLost(ctx, n, mine, state)
			}
			return h, out, err
		}
		again := out.Kind == provider.OutcomePending && steps < maxSteps && !out.Until.After(v.now()) && ctx.Err() == nil
		if h, err = v.saveStep(ctx, n, h, state, out, again); err != nil || !again {
			return h, out, err
		}
	}
}

// claim keeps every other worker off the operation for the time of a step: one
// conditional update of the head, before anything is sent to a CA.
func (v *Vault) claim(ctx context.Context, n Name, h *head) (*head, error) {
	requestID := h.Operation.RequestID
	return v.changeFrom(ctx, n, h, func(h *head, tx *store.Tx) error {
		now := v.now()
		op := h.Operation
		if h.Deletion != nil || op == nil || op.RequestID != requestID || !op.needsAdvance() ||
			now.Before(op.Due) || now.Before(op.ClaimedUntil) {
			return errLost
		}
		op.ClaimedUntil = now.Add(lease)
		op.Claim++
		return nil
	})
}

// held checks, on a fresh head, that the operation is still this worker's. A
// cancellation that was asked for meanwhile does not take it away.
func (h *head) held(mine *Operation) error {
	op := h.Operation
	if h.Deletion != nil || op == nil || op.RequestID != mine.RequestID || op.Claim != mine.Claim || op.Status != StatusInProgress {
		return errLost
	}
	return nil
}

// takeStep runs the provider, or cancels. Whatever goes wrong in there is an
// outcome of this operation and touches no other. With OutcomeIssued comes the
// chain that was accepted.
func (v *Vault) takeStep(ctx context.Context, n Name, h *head, issuers *issuerCache) (state json.RawMessage, out provider.Outcome, chain []*x509.Certificate) {
	op := h.Operation
	state = op.State
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	var panicked error
	defer func() {
		if panicked != nil {
			state, out, chain = op.State, provider.Retry(time.Time{}, panicked), nil
		}
	}()
	defer v.recovered(ctx, "provider", op.Provider, &panicked, "certificate", n.text)
	switch {
	case op.Manual():
		return state, cancelled, nil
	case v.now().Sub(op.Created) > v.cfg.MaxAge:
		return state, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The certificate issuer has not answered within %s. Its last answer was: %s", v.cfg.MaxAge, op.Answer)), nil
	}
	issuer, req, err := v.request(ctx, n, op, issuers)
	if err != nil {
		return state, asOutcome(err), nil
	}
	if h.Latest.issuedBy(op) {
		req.Predecessor = h.Latest.Leaf
	}
	if !v.now().Before(op.ClaimedUntil) { // this process slept, and another may have the operation
		return state, provider.Retry(time.Time{}, errors.New("the claim ended before the step began")), nil
	}
	if op.cancelPending() {
		canceler, asksCA := issuer.(provider.Canceler)
		if !asksCA {
			return state, cancelled, nil
		}
		state, ok, err := canceler.Cancel(ctx, req, state)
		switch {
		case err != nil:
			return state, provider.Retry(time.Time{}, fmt.Errorf("cancelling: %w", err)), nil
		case ok:
			return state, cancelled, nil
		default:
			return state, cancelRefused, nil
		}
	}
	state, out = issuer.Step(ctx, req, state)
	switch {
	case out.Kind < provider.OutcomePending || out.Kind > provider.OutcomeRetry:
		return op.State, provider.Retry(time.Time{}, fmt.Errorf("provider %s returned %s", op.Provider, out.Kind)), nil
	case len(state) > provider.MaxState && out.Kind != provider.OutcomeIssued:
		return op.State, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The provider's state of %d bytes is too large to keep.", len(state))), nil
	case out.Kind == provider.OutcomeRetry && op.Failures > 0 && v.now().Sub(op.FailingSince) > v.cfg.MaxFailing:
		return state, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("Every step since %s has failed. The last answer was: %s", op.FailingSince.Format(time.RFC3339), out.Detail)), nil
	case out.Kind == provider.OutcomeIssued:
		if chain, err = v.acceptIssued(ctx, n, h, issuer, req.Issuer, out.Chain); err != nil {
			return op.State, provider.Failed(provider.CodeIssuerError, "The issuer returned a certificate that cannot be accepted: "+err.Error()), nil
		}
	}
	return state, out, chain
}

// Outcomes that no provider returns.
const (
	outcomeCancelled provider.OutcomeKind = iota + 100
	outcomeCancelRefused
)

var (
	cancelled     = provider.Outcome{Kind: outcomeCancelled}
	cancelRefused = provider.Outcome{Kind: outcomeCancelRefused, Detail: "the issuer did not accept the cancellation"}
)

// outcomeText names an outcome for the log.
func outcomeText(k provider.OutcomeKind) string {
	switch k {
	case outcomeCancelled:
		return "cancelled"
	case outcomeCancelRefused:
		return "cancellation refused"
	default:
		return k.String()
	}
}

// request is the operation as its provider sees it.
func (v *Vault) request(ctx context.Context, n Name, op *Operation, issuers *issuerCache) (provider.Provider, provider.Request, error) {
	issuer, object, err := v.pinnedIssuer(ctx, op.pin(), op.Created, issuers)
	if err != nil {
		return nil, provider.Request{}, err
	}
	return issuer, provider.Request{
		ID:           op.RequestID,
		Certificate:  n.text,
		CSR:          op.CSR,
		Policy:       op.Policy,
		Created:      op.Created,
		Attempts:     op.Claim,
		Cancellation: op.CancellationRequested,
		Issuer:       object,
		Key:          func(ctx context.Context) (crypto.Signer, error) { return v.privateKey(ctx, n, op.KeyID) },
	}, nil
}

// saveStep writes what a step led to, unless the certificate was issued. With
// keep the claim stays for the next step.
func (v *Vault) saveStep(ctx context.Context, n Name, h *head, state json.RawMessage, out provider.Outcome, keep bool) (*head, error) {
	mine := h.Operation
	next, err := v.changeFrom(ctx, n, h, func(h *head, tx *store.Tx) error {
		if err := h.held(mine); err != nil {
			return err
		}
		op, now := h.Operation, v.now()
		op.State = state
		op.Answer = field.Cut(out.Detail, maxAnswer)
		op.Failures = 0
		if out.Kind != provider.OutcomeRetry {
			op.FailingSince = time.Time{}
		}
		op.ClaimedUntil = time.Time{}
		switch out.Kind {
		case provider.OutcomeFailed:
			v.endOperation(n, h, tx, StatusFailed, &OperationError{out.Code, field.Cut(out.Message, maxAnswer)})
		case outcomeCancelled:
			v.endOperation(n, h, tx, StatusCancelled, nil)
		case outcomeCancelRefused:
			op.CancellationRefused = true
			op.Due = now
		case provider.OutcomeRetry:
			op.Failures = mine.Failures + 1
			if op.FailingSince.IsZero() {
				op.FailingSince = now
			}
			op.Due = out.Until
			if out.Until.IsZero() {
				op.Due = now.Add(v.backoff(op.Failures))
			}
		case provider.OutcomePending:
			if keep {
				op.ClaimedUntil = now.Add(lease)
				return nil // due stays, so that only the head is written
			}
			op.Due = out.Until
		}
		op.Due = sensible(op.Due, now)
		if op.Status == StatusInProgress && op.cancelPending() && !mine.cancelPending() {
			op.Due = now // asked for during the step
		}
		return nil
	})
	if errors.Is(err, errLost) {
		v.releaseLost(ctx, n, mine, state)
	}
	return next, err
}

// maxAnswer bounds what is kept of a CA's words, in bytes.
const maxAnswer = 2 << 10
