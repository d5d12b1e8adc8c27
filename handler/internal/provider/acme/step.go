package acme

import (
	"context"
	"fmt"
	"net/http"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/provider"
)

// step is one step of one operation.
type step struct {
	*Provider
	req     provider.Request
	state   *state
	answer  *answer       // the CA's last
	account acmez.Account // of the request's issuer object
}

// take looks at the order and does what its status asks for.
func (s *step) take(ctx context.Context) (provider.Outcome, error) {
	account, registered, err := s.findAccount(ctx, s.req.Issuer)
	if err != nil {
		return provider.Outcome{}, err
	}
	if registered {
		s.cfg.Log.InfoContext(ctx, "ACME account registered", "account", account.Location, "issuer", s.req.Issuer.Name)
		return next("The account is registered."), nil
	}
	s.account = account
	if s.state.Account != account.Location {
		s.state.loseOrder()
	}
	switch {
	case s.state.Order == "" && len(s.state.Proofs) > 0:
		return s.withdrawNext(ctx)
	case s.state.Order == "":
		return s.placeOrder(ctx)
	}
	order, err := s.getOrder(ctx, account, s.state.Order)
	switch {
	case err != nil && s.answer.status == http.StatusNotFound:
		s.state.loseOrder()
		return next("The CA does not know the order any more."), nil
	case err != nil:
		return provider.Outcome{}, err
	}
	switch order.Status {
	case acmez.StatusPending:
		if s.state.Planned < len(order.Authorizations) {
			return s.plan(ctx, order)
		}
		return s.prove(ctx)
	case acmez.StatusReady:
		return s.finalize(ctx, order)
	case acmez.StatusProcessing:
		if len(s.state.Proofs) > 0 {
			return s.withdrawNext(ctx)
		}
		return s.wait("The CA makes the certificate."), nil
	case acmez.StatusValid:
		if len(s.state.Proofs) > 0 {
			return s.withdrawNext(ctx)
		}
		return s.download(ctx, order)
	case acmez.StatusInvalid:
		return s.invalid(ctx, order)
	default:
		return provider.Outcome{}, fmt.Errorf("looking at the order: unknown status %q", order.Status)
	}
}

// pollInterval is how soon to look again where the CA does not say.
const pollInterval = 3 * time.Second

// next is the outcome of a step that the next one may follow at once.
func next(detail string) provider.Outcome { return provider.Pending(time.Time{}, detail) }

// wait is the outcome of a step that found the CA at work.
func (s *step) wait(detail string) provider.Outcome {
	return provider.Pending(s.cfg.Now().Add(s.answer.pause(pollInterval)), detail)
}
