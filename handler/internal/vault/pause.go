package vault

import (
	"context"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/provider"
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
		if r.Pause != nil && r.Pause.By == pausedByOperator {
			since = r.Pause.Since
		}
		r.Pause = &Pause{Since: since, Until: until, By: pausedByOperator, Reason: reason}
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

// ReplaceAccount has the provider of an issuer make another account at its CA, because
// the one that it has was deactivated or its key is known to others.
func (v *Vault) ReplaceAccount(ctx context.Context, n Name) (IssuerState, error) {
	state, _, err := v.openIssuer(ctx, n)
	if err != nil {
		return IssuerState{}, err
	}
	ca, known := v.provider(state.Provider)
	replacer, ok := ca.(provider.AccountReplacer)
	switch {
	case !known:
		return IssuerState{}, fmt.Errorf("%w: %s", errUnknownProvider, state.Provider)
	case !ok:
		return IssuerState{}, actionRefused(n, "The provider %s of the issuer %s makes no account at its CA: set the issuer's credentials.", state.Provider, n)
	}
	if err := replacer.ReplaceAccount(ctx, state.Issuer); err != nil {
		return IssuerState{}, unavailable(err)
	}
	v.cfg.Log.InfoContext(ctx, "account replaced", "issuer", n.text)
	state.Password = ""
	return state, nil
}
