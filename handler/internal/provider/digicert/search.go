package digicert

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// Limits of one search.
const (
	pageSize = 100
	maxPages = 10
	maxLooks = 50 // orders that are looked at one by one
)

// clockMargin is how far CertCentral's clock may be behind ours.
const clockMargin = time.Hour

// errManyOrders ends a search that cannot tell.
var errManyOrders = fmt.Errorf("there are more than %d orders of this common name since the request was made: its own order cannot be told from the others", maxLooks)

// search finds the orders of an operation, the one to go on with first. The list
// has neither comments nor CSRs, so each order of the same common name that is not
// older than the operation is looked at. It goes from the newest to older ones:
// what is ordered meanwhile makes it see some twice and misses none.
func (p *Provider) search(ctx context.Context, req provider.Request) ([]order, error) {
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		return nil, fmt.Errorf("reading the CSR: %w", err)
	}
	oldest := req.Created.Add(-clockMargin)
	var found []order
	seen := make(map[int64]bool)
	for page := range maxPages {
		list, err := p.list(ctx, req.Issuer, commonName(csr), page*pageSize)
		if err != nil {
			return nil, err
		}
		old := 0
		for _, row := range list {
			switch {
			case row.before(oldest):
				old++
			case seen[row.ID]:
			case len(seen) == maxLooks:
				return nil, errManyOrders
			default:
				seen[row.ID] = true
				o, err := p.order(ctx, req.Issuer, row.ID)
				if err != nil {
					return nil, err
				}
				if o.of(req) == ours {
					found = append(found, o)
				}
			}
		}
		if len(list) < pageSize || old == len(list) {
			slices.SortFunc(found, func(a, b order) int { return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.ID, b.ID)) })
			return found, nil
		}
	}
	return nil, errManyOrders
}

// list is one page of the orders of a common name, the newest first.
func (p *Provider) list(ctx context.Context, issuer provider.Issuer, name string, offset int) ([]listed, error) {
	query := url.Values{
		"filters[common_name]": {name},
		"sort":                 {"-date_created"},
		"limit":                {strconv.Itoa(pageSize)},
		"offset":               {strconv.Itoa(offset)},
	}
	r, err := p.call(ctx, issuer, http.MethodGet, "/order/certificate", query, nil)
	if err == nil {
		err = r.failure()
	}
	if err != nil {
		return nil, fmt.Errorf("listing orders: %w", err)
	}
	list, err := parseList(r.body)
	if err != nil {
		return nil, fmt.Errorf("listing orders: %w", err)
	}
	return list, nil
}

// errWrongOrder is that an answer is about another order than was asked for.
var errWrongOrder = errors.New("the answer is about another order")

// order looks at an order.
func (p *Provider) order(ctx context.Context, issuer provider.Issuer, id int64) (order, error) {
	return p.orderBy(ctx, issuer, strconv.FormatInt(id, 10), func(o order) bool { return o.ID == id })
}

// orderBy looks at the order that key, an id or a serial number, names.
func (p *Provider) orderBy(ctx context.Context, issuer provider.Issuer, key string, named func(order) bool) (order, error) {
	r, err := p.call(ctx, issuer, http.MethodGet, "/order/certificate/"+key, nil, nil)
	if err == nil {
		err = r.failure()
	}
	var o order
	if err == nil {
		o, err = parseOrder(r.body)
	}
	if err == nil && !named(o) {
		err = errWrongOrder
	}
	if err != nil {
		return order{}, fmt.Errorf("looking at order %s: %w", key, err)
	}
	return o, nil
}

// ownership says whose an order is.
type ownership uint8

const (
	unknown ownership = iota // it has neither comments of ours nor a CSR
	ours
	foreign
)

// of reports whether an order is that of an operation. Comments of ours decide;
// where CertCentral has not kept them, the CSR does. It alone would not: an
// operation that reuses its predecessor's key may make the same CSR.
func (o order) of(req provider.Request) ownership {
	for _, r := range o.Requests {
		switch _, id, marked := strings.Cut(r.Comments, marker); {
		case marked && strings.HasPrefix(id, req.ID):
			return ours
		case marked:
			return foreign
		}
	}
	der := csrOf(o.Certificate.CSR)
	switch {
	case der == nil:
		return unknown
	case bytes.Equal(der, req.CSR):
		return ours
	default:
		return foreign
	}
}

// csrOf decodes a CSR in PEM; nil when it is none.
func csrOf(text string) []byte {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	return block.Bytes
}
