package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/provider"
)

// Release relinquishes the authorizations of an operation that are still pending,
// which CAs count (RFC 8555 section 7.5.2), and then withdraws the proofs that it may
// have published.
func (p *Provider) Release(ctx context.Context, req provider.Request, saved json.RawMessage) error {
	s, err := decodeState(saved)
	if err != nil {
		return err
	}
	var errs []error
	// First what proves no more: a CA that is validating must still see the proofs.
	if s.Order != "" {
		errs = append(errs, p.relinquish(ctx, req.Issuer, s))
	}
	done := make(map[string]bool)
	for i, proof := range s.Proofs {
		if done[proof.Type+proof.Name] {
			continue
		}
		done[proof.Type+proof.Name] = true
		_, values := s.at(i)
		errs = append(errs, p.withdraw(ctx, proof, values))
	}
	return errors.Join(errs...)
}

// relinquish deactivates the pending authorizations of an order. A CA that does
// not know account or order any more holds nothing.
func (p *Provider) relinquish(ctx context.Context, issuer provider.Issuer, s *state) error {
	ctx, answer := watch(ctx)
	account, err := p.lookUp(ctx, issuer)
	var order acmez.Order
	if err == nil && account.Location == s.Account {
		order, err = p.getOrder(ctx, account, s.Order)
	}
	switch {
	case isProblem(err, acmez.ProblemTypeAccountDoesNotExist):
		p.forget(issuer)
		return nil
	case err != nil && answer.status == http.StatusNotFound:
		return nil
	case err != nil:
		return fmt.Errorf("relinquishing an order: %w", err)
	}
	for _, u := range order.Authorizations {
		authorization, err := p.getAuthorization(ctx, account, u)
		if err == nil && authorization.Status == acmez.StatusPending {
			_, err = p.client.DeactivateAuthorization(ctx, account, u)
		}
		if err != nil && answer.status != http.StatusNotFound {
			return fmt.Errorf("relinquishing an authorization: %w", err)
		}
	}
	return nil
}
