package vault

import (
	"context"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
)

// maxReason bounds why an issuer is paused, in bytes.
const maxReason = 1 << 10

// PauseIssuer keeps ticks from all work of an issuer, until a time or, when that
// is zero, until it is resumed. Steps that are being taken are finished.
func (v *Vault) PauseIssuer(ctx context.Context, n Name, until time.Time, reason string) (IssuerState, error) {
	now := v.now()
	switch {
	case len(reason) > maxReason:
		return IssuerState{}, field.Errorf("reason", "a text of %d bytes: must be at most %d", len(reason), maxReason)
	case !until.IsZero() && !until.After(now):
		return IssuerState{}, field.Errorf("until", "must be a time to come")
	}
	return v.changeIssuer(ctx, n, func(r *issuerRecord) (*issuerRecord, error) {
		if r == nil {
			return nil, &Error{Reason: IssuerNotFound, Name: n.text}
		}
		since := now
		if r.Pause != nil && r.Pause.By == PausedByOperator {
			since = r.Pause.Since
		}
		r.Pause = &Pause{Since: since, Until: until, By: PausedByOperator, Reason: reason}
		return r, nil
	})
}

// ResumeIssuer ends the pause of an issuer, whoever began it.
func (v *Vault) ResumeIssuer(ctx context.Context, n Name) (IssuerState, error) {
	return v.changeIssuer(ctx, n, func(r *issuerRecord) (*issuerRecord, error) {
		if r == nil {
			return nil, &Error{Reason: IssuerNotFound, Name: n.text}
		}
		r.Pause = nil
		return r, nil
	})
}
