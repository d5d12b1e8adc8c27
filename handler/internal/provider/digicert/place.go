package digicert

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/provider"
)

const (
	// sendWithin is how long an intent may wait for the step that sends it.
	sendWithin = time.Minute

	// lookInterval is between two searches for an order that may be there.
	lookInterval = 30 * time.Second
)

// intend saves the intention to order. Whatever makes an order impossible is said
// before.
func (p *Provider) intend(req provider.Request, s *state) provider.Outcome {
	if req.Issuer.Password == "" {
		return provider.Failed(provider.CodeIssuerError, fmt.Sprintf("The issuer %s has no credentials.pwd, which is an API key of CertCentral.", req.Issuer.Name))
	}
	if _, err := p.newOrder(req); err != nil {
		s.Intent = nil
		return provider.Failed(provider.CodeIssuerError, "The order cannot be made: "+err.Error())
	}
	s.Intent = &intent{Claim: req.Attempts, Until: p.cfg.Now().UTC().Add(sendWithin)}
	return provider.Pending(time.Time{}, "The order is about to be placed.")
}

// send places the order of an intent of this claim. It looks first: that nobody
// else has sent it is the vault's promise, and a look is cheap.
func (p *Provider) send(ctx context.Context, req provider.Request, s *state) provider.Outcome {
	found, err := p.search(ctx, req)
	switch {
	case err != nil:
		s.Intent = nil // nothing was sent, and nobody else sends this one
		if refused(err) {
			return provider.Failed(provider.CodeRejected, "DigiCert refuses access: "+err.Error())
		}
		return p.again(req, err)
	case len(found) > 0:
		return p.adopt(ctx, req, s, found)
	}
	body, err := p.newOrder(req)
	if err != nil {
		s.Intent = nil
		return provider.Failed(provider.CodeIssuerError, "The order cannot be made: "+err.Error())
	}
	if !p.cfg.Now().Before(s.Intent.Until) {
		return p.intend(req, s)
	}
	r, err := p.call(ctx, req.Issuer, http.MethodPost, "/order/certificate/"+p.product(req.Policy), nil, body)
	if err == nil {
		err = r.failure()
	}
	var id int64
	if err == nil {
		id, err = parsePlaced(r.body)
	}
	switch {
	case err == nil:
		s.learn(id, p.cfg.Now())
		p.cfg.Log.InfoContext(ctx, "order placed", "order", id, "certificate", req.Certificate, "request_id", req.ID, "issuer", req.Issuer.Name)
		return provider.Pending(p.cfg.Now().Add(minPoll), fmt.Sprintf("Order %d is placed.", id))
	case throttled(err):
		s.Intent = nil
		return p.again(req, err)
	case usedCSR(err):
		s.Intent.Sent, s.Intent.Refusal = true, field.Cut("DigiCert refuses the order: "+err.Error(), maxText)
		return provider.Pending(time.Time{}, s.Intent.Refusal+" An order that has it is looked for.")
	case refused(err):
		s.Intent = nil
		return provider.Failed(provider.CodeRejected, "DigiCert refuses the order: "+err.Error())
	}
	s.Intent.Sent = true
	p.cfg.Log.WarnContext(ctx, "an order may have been placed", "certificate", req.Certificate, "request_id", req.ID, "issuer", req.Issuer.Name, "error", err)
	return provider.Pending(p.cfg.Now().Add(minPoll), "Whether the order was placed is not known, and looked for: "+err.Error())
}

// reconcile looks for the order of an intent that may have been sent.
func (p *Provider) reconcile(ctx context.Context, req provider.Request, s *state) provider.Outcome {
	now := p.cfg.Now() // when the search began
	found, err := p.search(ctx, req)
	settled := p.settled(s.Intent)
	switch {
	case err != nil:
		return p.again(req, err)
	case len(found) > 0:
		return p.adopt(ctx, req, s, found)
	case now.Before(settled):
		next := now.Add(lookInterval)
		if settled.Before(next) {
			next = settled
		}
		return provider.Pending(next, fmt.Sprintf("An order that may have been placed is looked for until %s.", settled.Format(time.RFC3339)))
	case s.Intent.Refusal != "":
		refusal := s.Intent.Refusal
		s.Intent = nil
		return provider.Failed(provider.CodeRejected, refusal)
	}
	p.cfg.Log.InfoContext(ctx, "no order was placed", "certificate", req.Certificate, "request_id", req.ID, "issuer", req.Issuer.Name)
	return p.intend(req, s)
}

// settled is when an intent's order shows in the list of orders if there is one.
func (p *Provider) settled(in *intent) time.Time { return in.Until.Add(p.cfg.ListingDelay) }

// adopt takes the first of the orders that were found for the operation's, and
// cancels the others.
func (p *Provider) adopt(ctx context.Context, req provider.Request, s *state, found []order) provider.Outcome {
	for _, surplus := range found[1:] {
		gone, err := p.withdraw(ctx, req, surplus)
		switch {
		case err != nil:
			return p.again(req, fmt.Errorf("cancelling a second order: %w", err))
		case !gone:
			p.cfg.Log.ErrorContext(ctx, "an operation has two orders", "order", found[0].ID, "second", surplus.ID, "second_status", surplus.Status,
				"certificate", req.Certificate, "request_id", req.ID, "issuer", req.Issuer.Name)
		}
	}
	s.learn(found[0].ID, p.cfg.Now())
	p.cfg.Log.InfoContext(ctx, "order found", "order", s.Order, "certificate", req.Certificate, "request_id", req.ID, "issuer", req.Issuer.Name)
	return provider.Pending(time.Time{}, fmt.Sprintf("Order %d was found.", s.Order))
}
