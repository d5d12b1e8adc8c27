package digicert_test

// States of an order, and its download.

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
)

// Every state of an order means something, and one that is not known is waited
// for and told.
func TestStates(t *testing.T) {
	t.Parallel()
	for status, c := range map[string]struct {
		want provider.OutcomeKind
		text string
	}{
		"pending":         {pending, "is pending"},
		"processing":      {pending, "is processing"},
		"reissue_pending": {pending, "is reissue_pending"},
		"waiting_pickup":  {pending, "is waiting_pickup"},
		"needs_approval":  {pending, "needs approval at CertCentral"},
		"issued":          {issued, ""},
		"rejected":        {failed, "was rejected"},
		"canceled":        {failed, "is canceled"},
		"revoked":         {failed, "is revoked"},
		"expired":         {failed, "is expired"},
		"on_hold":         {pending, `has the status "on_hold", which this program does not know`},
	} {
		ca := newCertCentral(t)
		o := newOperation(t, ca)
		order := o.place()
		ca.set(func() {
			if order.status = status; status == "issued" {
				order.status, ca.issuance = "", 0
			}
		})
		out := o.tick()
		if text := out.Detail + out.Message; out.Kind != c.want || !strings.Contains(text, c.text) || c.text != "" && !strings.Contains(text, fmt.Sprint("rder ", order.id)) {
			t.Errorf("%s: %+v", status, out)
		}
		if out.Kind == failed && out.Code != provider.CodeRejected {
			t.Errorf("%s: code %s", status, out.Code)
		}
		if told := strings.Contains(o.log.String(), "unknown status"); told != (status == "on_hold") {
			t.Errorf("%s: log: %s", status, o.log)
		}
	}
}

// What people do with the parts of an order counts.
func TestParts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*certCentral, *order)
		want   provider.OutcomeKind
		text   string
	}{
		"the request is rejected": {func(_ *certCentral, o *order) { o.requests[0].status = "rejected" }, failed, "was rejected."},
		"with a reason": {func(_ *certCentral, o *order) {
			o.status, o.requests[0].status, o.requests[0].processors = "rejected", "rejected", "Not ours, ask "+apiKey+"."
		}, failed, "was rejected: Not ours, ask [redacted]."},
		"an older request was": {func(ca *certCentral, o *order) {
			o.requests = slices.Insert(o.requests, 0, &request{id: ca.id(), kind: "new_request", status: "rejected"})
		}, pending, "is pending"},
		"another kind of request was": {func(ca *certCentral, o *order) {
			o.requests = append(o.requests, &request{id: ca.id(), kind: "reissue", status: "rejected"})
		}, pending, "is pending"},
		"kinds are written otherwise":  {func(_ *certCentral, o *order) { o.requests[0].kind, o.requests[0].status = "new request", "rejected" }, failed, "was rejected."},
		"the certificate is revoked":   {func(ca *certCentral, o *order) { ca.issuance, o.revoked = 0, true }, failed, "is revoked"},
		"the certificate is not there": {func(_ *certCentral, o *order) { o.status = "issued" }, pending, "its certificate not yet there"},
	} {
		ca := newCertCentral(t)
		o := newOperation(t, ca)
		order := o.place()
		ca.set(func() { c.change(ca, order) })
		if out := o.tick(); out.Kind != c.want || !strings.Contains(out.Detail+out.Message, c.text) {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

// The pause between two looks grows with the request's age.
func TestPollInterval(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	o := newOperation(t, ca)
	o.place()
	ca.issuance = 1e6 * time.Hour
	for _, c := range []struct{ age, pause time.Duration }{
		{5 * time.Second, 5 * time.Second}, {10 * time.Minute, time.Minute}, {30 * 24 * time.Hour, 10 * time.Minute},
	} {
		ca.clock.advance(start.Add(c.age).Sub(ca.clock.Now()))
		out := o.tick()
		if want := start.Add(c.age + c.pause); !out.Until.Equal(want) {
			t.Errorf("at an age of %s: until %s, want %s", c.age, out.Until, want)
		}
	}
}

// An answer that is not an order's, or nobody's, is tried again and changes
// nothing.
func TestPollFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		f     fault.Func
		text  string
		pause time.Duration // 0: the vault's choice
	}{
		"garbage":          {reply(200, "<html>"), "malformed answer", 0},
		"truncated":        {truncated, "malformed answer", 0},
		"null":             {reply(200, "null"), "an order without id", 0},
		"no status":        {reply(200, `{"id":1}`), "an order without id or status", 0},
		"another order":    {reply(200, `{"id":1,"status":"issued","certificate":{"id":1}}`), "the answer is about another order", 0},
		"a text as id":     {reply(200, `{"id":"x","status":"issued"}`), "malformed answer", 0},
		"redirect":         {fault.Circle, "answers 307", 0},
		"unknown":          {reply(404, `{"errors":[{"code":"not_found|order","message":"not found"}]}`), "not found (not_found|order)", 0},
		"key":              {reply(401, `{"errors":{"code":"access_denied","message":"no"}}`), "no (access_denied)", 0},
		"old error":        {reply(403, `{"errors":{"code":"access_denied:missing_permission"}}`), "(access_denied|missing_permission)", 0},
		"gateway":          {reply(502, "<html>"), "Bad Gateway", 0},
		"away":             {after("120", 503), "answers 503", 2 * time.Minute},
		"throttled":        {reply(429, `{"errors":[{"code":"request_limit_exceeded","message":"limit"}]}`), "request_limit_exceeded", -1},
		"throttled, 403":   {reply(403, `{"errors":[{"code":"request_limit_exceeded","message":"limit"}]}`), "request_limit_exceeded", -1},
		"throttled for 90": {after("90", 429), "answers 429", 90 * time.Second},
		"huge":             {fault.Huge(`{"id":"`), "longer than", 0},
		"dropped":          {fault.Dropped, "calling DigiCert", 0},
		"lost":             {fault.Lost, "calling DigiCert", 0},
	} {
		ca := newCertCentral(t)
		o := newOperation(t, ca)
		order := o.place()
		saved := string(o.state)
		ca.set(func() { ca.faults = []fault.Func{c.f} })
		out := o.tick()
		if out.Kind != retry || !strings.Contains(out.Detail, c.text) || string(o.state) != saved {
			t.Errorf("%s: %+v, state %s", name, out, o.state)
		}
		switch now := ca.clock.Now(); {
		case c.pause == 0 && !out.Until.IsZero(), c.pause > 0 && !out.Until.Equal(now.Add(c.pause)),
			c.pause < 0 && (out.Until.Before(now.Add(5*time.Second)) || out.Until.After(now.Add(time.Minute))):
			t.Errorf("%s: until %s at %s", name, out.Until, now)
		}
		ca.set(func() { ca.issuance = 0 })
		if out := o.end(); out.Kind != issued || ca.only() != order {
			t.Errorf("%s: then %+v", name, out)
		}
	}
}

// The chain is made of what is downloaded, in whatever order.
func TestDownload(t *testing.T) {
	t.Parallel()
	other := newCertCentral(t)
	for name, c := range map[string]struct {
		chain func(ca *certCentral, leaf, intermediate, root []byte) [][]byte
		want  int // certificates; 0: it is tried again
		text  string
	}{
		"reversed":       {func(_ *certCentral, l, i, r []byte) [][]byte { return [][]byte{r, i, l} }, 3, ""},
		"twice":          {func(_ *certCentral, l, i, r []byte) [][]byte { return [][]byte{l, l, i, i, r, r} }, 3, ""},
		"with another":   {func(_ *certCentral, l, i, r []byte) [][]byte { return [][]byte{other.chain[0].Raw, l, i, r} }, 3, ""},
		"without root":   {func(_ *certCentral, l, i, r []byte) [][]byte { return [][]byte{l, i} }, 2, ""},
		"leaf only":      {func(_ *certCentral, l, i, r []byte) [][]byte { return [][]byte{l} }, 0, "the certificate's issuer is not there"},
		"another's":      {func(_ *certCentral, l, i, r []byte) [][]byte { return [][]byte{other.chain[0].Raw, i, r} }, 0, "3 certificates, none with the key of the CSR"},
		"nothing":        {func(_ *certCentral, l, i, r []byte) [][]byte { return nil }, 0, "0 certificates"},
		"no certificate": {func(_ *certCentral, l, i, r []byte) [][]byte { return [][]byte{{1, 2, 3}} }, 0, "malformed"},
		"too many":       {func(_ *certCentral, l, i, r []byte) [][]byte { return slices.Repeat([][]byte{l}, 11) }, 0, "more than 10"},
	} {
		ca := newCertCentral(t)
		o := newOperation(t, ca)
		order := o.place()
		ca.set(func() {
			ca.issuance = 0
			ca.faults = []fault.Func{nil, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				io.WriteString(w, "subject=/CN=example.com\r\n")
				w.Write(encode(c.chain(ca, order.chain[0], order.chain[1], order.chain[2])...))
			}}
		})
		o.req.Attempts++
		_, out := o.issuer.Step(t.Context(), o.req, o.state)
		switch {
		case c.want == 0 && (out.Kind != retry || !strings.Contains(out.Detail, c.text)), c.want > 0 && (out.Kind != issued || len(out.Chain) != c.want):
			t.Errorf("%s: %+v", name, out)
		case c.want > 0:
			for n, der := range out.Chain {
				if !slices.Equal(der, order.chain[n]) {
					t.Errorf("%s: certificate %d is not in its place", name, n)
				}
			}
		}
	}
}
