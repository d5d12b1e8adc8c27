package digicert

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/provider"
)

// Cancel cancels the operation's order, if it has one. An order that was issued,
// or that CertCentral does not cancel, goes on.
func (p *Provider) Cancel(ctx context.Context, req provider.Request, saved json.RawMessage) (json.RawMessage, bool, error) {
	s, err := decodeState(saved)
	if err != nil {
		return saved, false, err
	}
	if s.Intent != nil && s.Intent.own(req) {
		s.Intent = nil // nothing was sent, and nobody will
	}
	orders, err := p.orders(ctx, req, s)
	if err != nil {
		return s.encode(), false, err
	}
	for _, o := range orders {
		if s.Order == 0 {
			s.learn(o.ID, p.cfg.Now())
		}
		gone, err := p.withdraw(ctx, req, o)
		switch {
		case refused(err):
			p.cfg.Log.WarnContext(ctx, "an order is not cancelled", "order", o.ID, "certificate", req.Certificate, "request_id", req.ID, "issuer", req.Issuer.Name, "error", err)
			return s.encode(), false, nil
		case err != nil || !gone:
			return s.encode(), false, err
		}
	}
	return new(state{Version: stateVersion}).encode(), true, nil
}

// Release cancels what orders an operation has left that ended otherwise. A
// certificate that was issued meanwhile stays valid: nobody has its private key but
// this vault, where it may still be merged.
func (p *Provider) Release(ctx context.Context, req provider.Request, saved json.RawMessage) error {
	s, err := decodeState(saved)
	if err != nil {
		return err
	}
	orders, err := p.orders(ctx, req, s)
	if err != nil {
		return err
	}
	for _, o := range orders {
		gone, err := p.withdraw(ctx, req, o)
		if err != nil {
			return err
		}
		if !gone {
			p.cfg.Log.WarnContext(ctx, "DigiCert keeps an order whose operation has ended", "order", o.ID, "status", field.Cut(o.Status, maxEcho),
				"certificate", req.Certificate, "request_id", req.ID, "issuer", req.Issuer.Name)
		}
	}
	return nil
}

// orders are those that the operation has at CertCentral. It is an error that this
// cannot be known yet.
func (p *Provider) orders(ctx context.Context, req provider.Request, s *state) ([]order, error) {
	now := p.cfg.Now()
	switch {
	case s.Order != 0:
		o, err := p.order(ctx, req.Issuer, s.Order)
		switch {
		case notFound(err):
			return nil, nil
		case err != nil:
			return nil, err
		case o.of(req) != foreign:
			return []order{o}, nil
		}
		s.lose()
	case s.Intent == nil:
		return nil, nil
	}
	found, err := p.search(ctx, req)
	if settled := p.settled(s.Intent); err == nil && len(found) == 0 && now.Before(settled) {
		return nil, fmt.Errorf("an order that may have been placed is looked for until %s", settled.Format(time.RFC3339))
	}
	return found, err
}

// withdraw cancels an order, or rejects it where it waits for approval. It
// reports whether nothing comes of it any more.
func (p *Provider) withdraw(ctx context.Context, req provider.Request, o order) (bool, error) {
	const why = "Its request was cancelled."
	switch status := o.status(); status {
	case statusRejected, statusCanceled, statusRevoked, statusExpired:
		return true, nil
	case statusIssued, statusReissuePending:
		return false, nil
	case statusPending, statusWaitingPickup:
		return p.put(ctx, req, o, "/order/certificate/"+strconv.FormatInt(o.ID, 10)+"/status",
			map[string]string{"status": statusCanceled, "note": why})
	case statusNeedsApproval:
		id := o.request(typeNew, statusPending)
		if id == 0 {
			return false, nil
		}
		return p.put(ctx, req, o, "/request/"+strconv.FormatInt(id, 10)+"/status",
			map[string]string{"status": statusRejected, "processor_comment": why})
	default:
		return false, fmt.Errorf("cancelling order %d: it cannot be cancelled while it is %s", o.ID, field.Cut(status, maxEcho))
	}
}

// put changes the state of an order.
func (p *Provider) put(ctx context.Context, req provider.Request, o order, path string, change map[string]string) (bool, error) {
	body, err := json.Marshal(change)
	if err != nil {
		return false, fmt.Errorf("cancelling order %d: %w", o.ID, err)
	}
	r, err := p.call(ctx, req.Issuer, http.MethodPut, path, nil, body)
	if err == nil {
		err = r.failure()
	}
	if err != nil && !notFound(err) {
		return false, fmt.Errorf("cancelling order %d: %w", o.ID, err)
	}
	return true, nil
}
