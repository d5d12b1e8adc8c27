package vault

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/chain"
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
		state, out, certs := v.takeStep(ctx, n, h, issuers)
		v.cfg.Log.InfoContext(ctx, "step",
			"certificate", n.text, "request_id", h.Operation.RequestID, "issuer", h.Operation.Policy.Issuer.Name,
			"claim", h.Operation.Claim, "outcome", outcomeText(out.Kind), "detail", words(out.Detail+out.Message))
		if out.Kind == provider.OutcomeIssued {
			mine := h.Operation
			next, err := v.completeIssued(ctx, n, h, certs)
			switch {
			case errors.Is(err, errLost):
				v.releaseLost(ctx, n, mine, state)
			case final(err):
				v.cfg.Log.ErrorContext(ctx, "certificate cannot be kept", "certificate", n.text, "request_id", mine.RequestID, "error", err)
				out = provider.Failed(provider.CodeIssuerError, "The issuer returned a certificate that cannot be kept: "+whyFinal(err))
				next, err = v.saveStep(ctx, n, h, state, out, false)
			}
			return next, out, err
		}
		again := out.Kind == provider.OutcomePending && steps < maxSteps && !out.Until.After(v.now()) && ctx.Err() == nil
		next, err := v.saveStep(ctx, n, h, state, out, again)
		if final(err) {
			v.cfg.Log.ErrorContext(ctx, "step cannot be kept", "certificate", n.text, "request_id", h.Operation.RequestID, "error", err)
			out, again = provider.Failed(provider.CodeIssuerError, "What the issuer answered cannot be kept: "+whyFinal(err)), false
			next, err = v.saveStep(ctx, n, h, state, out, false)
		}
		if h = next; err != nil || !again {
			return h, out, err
		}
	}
}

// final reports whether a change that failed so would fail so again: nothing is
// known to be lost, and nothing is uncertain. A step that ends so is not taken
// again, because each time the CA might issue again.
func final(err error) bool {
	return err != nil && !errors.Is(err, errLost) && !reasonOf(err).uncertain()
}

// whyFinal is such an error for people.
func whyFinal(err error) string {
	if e, ok := errors.AsType[*field.Error](err); ok {
		return e.Detail
	}
	return err.Error()
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
func (v *Vault) takeStep(ctx context.Context, n Name, h *head, issuers *issuerCache) (state json.RawMessage, out provider.Outcome, issued []*x509.Certificate) {
	op := h.Operation
	state = op.State
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	var panicked error
	defer func() {
		if panicked != nil {
			state, out, issued = op.State, provider.Retry(time.Time{}, panicked), nil
		}
	}()
	defer v.recovered(ctx, "provider", op.Provider, &panicked, "certificate", n.text)
	switch {
	case op.Manual():
		return state, cancelled, nil
	case v.now().Sub(op.Created) > v.cfg.MaxAge:
		return state, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The certificate issuer has not answered within %s. Its last answer was: %s", v.cfg.MaxAge, op.Answer)), nil
	}
	ca, known := v.cfg.Providers[op.Provider]
	canceler, asksCA := ca.(provider.Canceler)
	if op.cancelPending() && known && !asksCA {
		return state, cancelled, nil
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
	if op.Held != nil {
		out = provider.Issued(op.Held)
	} else {
		state, out = issuer.Step(ctx, req, state)
	}
	if out.Kind != provider.OutcomeIssued {
		out.Chain = nil
	}
	switch {
	case out.Kind < provider.OutcomePending || out.Kind > provider.OutcomeRetry:
		return op.State, provider.Retry(time.Time{}, fmt.Errorf("provider %s returned %s", op.Provider, out.Kind)), nil
	case len(state) > provider.MaxState && out.Kind != provider.OutcomeIssued:
		return op.State, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The provider's state of %d bytes is too large to keep.", len(state))), nil
	case out.Kind == provider.OutcomeRetry && op.Failures > 0 && !ours(out) && v.now().Sub(op.FailingSince) > v.cfg.MaxFailing:
		return state, provider.Failed(provider.CodeIssuerError, fmt.Sprintf("Every step since %s has failed. The last answer was: %s", op.FailingSince.Format(time.RFC3339), out.Detail)), nil
	case out.Kind == provider.OutcomeIssued:
		certs, err := v.acceptIssued(ctx, n, h, issuer, req.Issuer, out.Chain)
		if early, ok := errors.AsType[*chain.EarlyError](err); ok && early.Within(maxEarly, v.now()) && heldSize(out.Chain) <= maxHeld {
			held := out.Chain
			out = provider.Pending(early.From, "The certificate is there, and is not valid before "+early.NotBefore.Format(time.RFC3339)+": the clock of the CA is ahead.")
			out.Chain = held
			return state, out, nil
		}
		if issued = certs; err != nil {
			return op.State, provider.Failed(provider.CodeIssuerError, "The issuer returned a certificate that cannot be accepted: "+err.Error()), nil
		}
	}
	return state, out, issued
}

// A certificate whose validity begins soon is held until then. The CA is not asked
// again, because it might issue another, with a time that is ahead again.
const (
	maxEarly = time.Hour
	maxHeld  = 16 << 10 // bytes of DER
)

func heldSize(chain [][]byte) int {
	n := 0
	for _, der := range chain {
		n += len(der)
	}
	return n
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
		op.Answer = words(out.Detail)
		op.Failures = 0
		if out.Kind != provider.OutcomeRetry {
			op.FailingSince = time.Time{}
		}
		op.ClaimedUntil = time.Time{}
		switch out.Kind {
		case provider.OutcomeFailed:
			v.endOperation(n, h, tx, StatusFailed, &OperationError{out.Code, words(out.Message)})
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
				pause := v.backoff(op.Failures)
				if op.Renewal && h.Latest != nil && now.Before(h.Latest.Expires) {
					pause = min(pause, h.Latest.patience(now))
				}
				op.Due = now.Add(pause)
			}
		case provider.OutcomePending:
			if keep {
				op.ClaimedUntil = now.Add(lease)
				return nil // due stays, so that only the head is written
			}
			op.Due = out.Until
			op.Held = out.Chain
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
