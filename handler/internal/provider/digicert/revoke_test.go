package digicert_test

// Revocation, with and without approval.

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider/digicert"
	"github.com/certwright/certwright/handler/internal/provider/fault"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg     digicert.Config
		change  func(*certCentral, *order)
		faults  []fault.Func
		reason  int
		want    string // error; none when empty
		revoked bool
		puts    int
	}{
		"unspecified":     {revoked: true, puts: 1},
		"key compromise":  {reason: 1, revoked: true, puts: 1},
		"cessation":       {reason: 5, revoked: true, puts: 1},
		"with its order":  {change: func(ca *certCentral, _ *order) { ca.revokesOrder = true }, revoked: true, puts: 1},
		"revoked already": {change: func(_ *certCentral, o *order) { o.revoked = true }, revoked: true},
		"the order is":    {change: func(_ *certCentral, o *order) { o.revoked, o.status = true, "revoked" }, revoked: true},
		"needs approval":  {cfg: digicert.Config{Approval: true}, want: "waits for the approval of an administrator", puts: 1},
		"needs it anyway": {change: func(ca *certCentral, _ *order) { ca.approval = true }, want: "waits for the approval of an administrator", puts: 1},
		"was asked for": {change: func(_ *certCentral, o *order) {
			o.requests = append(o.requests, &request{id: 7, kind: "revoke", status: "pending"})
		}, want: "request 7 waits for"},
		"was rejected before": {change: func(_ *certCentral, o *order) {
			o.requests = append(o.requests, &request{id: 7, kind: "revoke", status: "rejected"})
		}, revoked: true, puts: 1},
		"unknown":   {change: func(ca *certCentral, o *order) { delete(ca.orders, o.id) }, want: "not_found|order"},
		"another's": {faults: []fault.Func{reply(200, `{"id":1,"status":"issued","certificate":{"id":1,"serial_number":"01"}}`)}, want: "about another order"},
		"refused":   {faults: []fault.Func{nil, reply(400, `{"errors":[{"code":"reissue_pending","message":"No"}]}`)}, want: "No (reissue_pending)"},
		"broken":    {faults: []fault.Func{nil, reply(500, "")}, want: "answers 500"},
		"lost":      {faults: []fault.Func{nil, fault.Lost}, want: "calling DigiCert", revoked: true, puts: 1},
	} {
		ca := newCertCentral(t)
		o := newOperation(t, ca)
		leaf, err := x509.ParseCertificate(o.end().Chain[0])
		if err != nil {
			t.Fatal(err)
		}
		order := ca.only()
		ca.take()
		ca.set(func() {
			if c.change != nil {
				c.change(ca, order)
			}
			ca.faults = c.faults
		})
		i := ca.issuer(c.cfg)
		checkError(t, name, i.Revoke(t.Context(), o.req.Issuer, leaf, c.reason), c.want)
		puts := 0
		for _, call := range ca.take() {
			if strings.HasPrefix(call, "PUT ") {
				puts++
			}
		}
		if order.revoked != c.revoked || puts != c.puts {
			t.Errorf("%s: revoked %t after %d requests", name, order.revoked, puts)
		}
		// Again: nothing is asked for twice.
		if c.want == "" || c.puts == 1 {
			want := c.want
			if c.revoked {
				want = ""
			}
			checkError(t, name+", again", i.Revoke(t.Context(), o.req.Issuer, leaf, c.reason), want)
			if calls := ca.take(); len(calls) != 1 || !strings.HasPrefix(calls[0], fmt.Sprintf("GET /order/certificate/%X ", leaf.SerialNumber.Bytes())) {
				t.Errorf("%s, again: calls %q", name, calls)
			}
		}
	}
}

func TestRevokeForUnsupportedReason(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	o := newOperation(t, ca)
	for _, reason := range []int{2, 6, 8, 9, 10, -1} {
		err := o.issuer.Revoke(t.Context(), o.req.Issuer, ca.chain[0], reason)
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("reason %d: %v", reason, err)
		}
	}
	if calls := ca.take(); len(calls) > 0 {
		t.Errorf("calls %q", calls)
	}
}
