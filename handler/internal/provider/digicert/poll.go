package digicert

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/provider"
)

// States of an order. Services API page: Order info; the last three from clients.
const (
	statusPending        = "pending"
	statusNeedsApproval  = "needs_approval"
	statusReissuePending = "reissue_pending"
	statusWaitingPickup  = "waiting_pickup"
	statusIssued         = "issued"
	statusRejected       = "rejected"
	statusCanceled       = "canceled"
	statusRevoked        = "revoked"
	statusExpired        = "expired"
	statusProcessing     = "processing"
)

// Bounds of the time between two looks at an order.
const (
	minPoll = 5 * time.Second
	maxPoll = 10 * time.Minute
)

// poll looks at the operation's order and takes the certificate when it is there.
func (p *Provider) poll(ctx context.Context, req provider.Request, s *state) provider.Outcome {
	o, err := p.order(ctx, req.Issuer, s.Order)
	if err != nil {
		return p.again(req, err)
	}
	if o.of(req) == foreign {
		p.cfg.Log.ErrorContext(ctx, "an order is not the operation's", "order", s.Order, "certificate", req.Certificate, "request_id", req.ID, "issuer", req.Issuer.Name)
		s.lose()
		return provider.Pending(time.Time{}, fmt.Sprintf("Order %d belongs to another request. The search for the right one goes on.", o.ID))
	}
	switch status := o.status(); status {
	case statusIssued:
		return p.download(ctx, req, o)
	case statusRejected:
		return provider.Failed(provider.CodeRejected, fmt.Sprintf("DigiCert's order %d was rejected%s.", o.ID, p.rejection(ctx, req, o)))
	case statusCanceled, statusRevoked, statusExpired:
		return provider.Failed(provider.CodeRejected, fmt.Sprintf("DigiCert's order %d is %s.", o.ID, status))
	case statusNeedsApproval:
		return p.wait(req, fmt.Sprintf("Order %d needs approval at CertCentral.", o.ID))
	case statusPending, statusReissuePending, statusWaitingPickup, statusProcessing:
		return p.wait(req, fmt.Sprintf("Order %d is %s.", o.ID, status))
	default:
		p.cfg.Log.WarnContext(ctx, "an order has an unknown status", "order", o.ID, "status", field.Cut(status, maxEcho), "certificate", req.Certificate, "request_id", req.ID, "issuer", req.Issuer.Name)
		return p.wait(req, fmt.Sprintf("Order %d has the status %q, which this program does not know.", o.ID, field.Cut(status, maxEcho)))
	}
}

// status is the state of the order with that of its parts taken in: people reject
// its request, or revoke its certificate.
func (o order) status() string {
	switch {
	case o.Status == statusIssued && o.Certificate.Status == statusRevoked:
		return statusRevoked
	case (o.Status == statusPending || o.Status == statusNeedsApproval) && o.request(typeNew, statusRejected) != 0:
		return statusRejected
	}
	return o.Status
}

// rank orders the states by how far the order has come; the dead are last.
func (o order) rank() int {
	switch o.status() {
	case statusIssued:
		return 0
	case statusRejected, statusCanceled, statusRevoked, statusExpired:
		return 2
	default:
		return 1
	}
}

// rejection is why a person rejected the order's request, as the end of a
// sentence; empty when that cannot be learned.
func (p *Provider) rejection(ctx context.Context, req provider.Request, o order) string {
	id := o.request(typeNew, statusRejected)
	if id == 0 {
		return ""
	}
	r, err := p.call(ctx, req.Issuer, http.MethodGet, "/request/"+strconv.FormatInt(id, 10), nil, nil)
	if err != nil || r.failure() != nil {
		return ""
	}
	comment := strings.TrimRight(field.Cut(parseProcessorComment(r.body), maxText), ". ")
	if comment == "" {
		return ""
	}
	return ": " + comment
}

// wait looks again after a tenth of the request's age, so that what is issued at
// once is not waited for and what people decide is not asked for all day.
func (p *Provider) wait(req provider.Request, detail string) provider.Outcome {
	now := p.cfg.Now()
	return provider.Pending(now.Add(min(max(now.Sub(req.Created)/10, minPoll), maxPoll)), detail)
}

// download takes the certificate of an issued order.
func (p *Provider) download(ctx context.Context, req provider.Request, o order) provider.Outcome {
	if o.Certificate.ID == 0 {
		return p.wait(req, fmt.Sprintf("Order %d is issued, and its certificate not yet there.", o.ID))
	}
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		return provider.Retry(time.Time{}, fmt.Errorf("reading the CSR: %w", err))
	}
	r, err := p.call(ctx, req.Issuer, http.MethodGet, "/certificate/"+strconv.FormatInt(o.Certificate.ID, 10)+"/download/format/pem_all", nil, nil)
	if err == nil {
		err = r.failure()
	}
	var chain [][]byte
	if err == nil {
		chain, err = parseChain(r.body, csr.RawSubjectPublicKeyInfo)
	}
	if err != nil {
		return p.again(req, fmt.Errorf("downloading certificate %d of order %d: %w", o.Certificate.ID, o.ID, err))
	}
	return provider.Issued(chain)
}

// again is the outcome of what may pass.
func (p *Provider) again(req provider.Request, err error) provider.Outcome {
	var until time.Time
	if a := (*answerError)(nil); errors.As(err, &a) {
		if pause := a.pause(req); pause > 0 {
			until = p.cfg.Now().Add(pause)
		}
	}
	return provider.Retry(until, err)
}
