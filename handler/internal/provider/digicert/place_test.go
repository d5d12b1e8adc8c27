package digicert_test

// Orders that are refused, throttled, uncertain or placed twice.

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/digicert"
	"github.com/certwright/certwright/handler/internal/provider/fault"
)

// A refusal of CertCentral's own ends the operation, in CertCentral's words, and
// leaves nothing to look for.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*certCentral, *operation)
		code   string
		text   string
	}{
		"organization": {func(_ *certCentral, o *operation) { o.req.Issuer.Org.ID = "4711" }, provider.CodeRejected,
			"DigiCert refuses the order: The organization is not in the account (invalid_organization)"},
		"product": {func(ca *certCentral, _ *operation) { delete(ca.products, "ssl_basic") }, provider.CodeRejected,
			"DigiCert refuses the order: The specified product was not found (not_found|product)"},
		"API key": {func(ca *certCentral, _ *operation) { ca.apiKey = "KEY-OTHER" }, provider.CodeRejected,
			"DigiCert refuses access: listing orders: The API key [redacted] is invalid (invalid_api_key)"},
		"permission": {func(ca *certCentral, _ *operation) {
			ca.faults = []fault.Func{nil, reply(403, `{"errors":[{"code":"access_denied|missing_permission","message":"Permission denied"}]}`)}
		}, provider.CodeRejected, "DigiCert refuses the order: Permission denied (access_denied|missing_permission)"},
		"two reasons, in an old answer": {func(ca *certCentral, _ *operation) {
			ca.faults = []fault.Func{nil, reply(400, `{"errors":[{"code":"invalid_value:years","message":"A"},{"code":"b","message":"B"},{}]}`)}
		}, provider.CodeRejected, "DigiCert refuses the order: A (invalid_value|years); B (b)"},
	} {
		ca := newCertCentral(t)
		o := newOperation(t, ca)
		c.change(ca, o)
		out := o.tick()
		if out.Kind != failed || out.Code != c.code || out.Message != c.text {
			t.Errorf("%s: %+v, want %s", name, out, c.text)
		}
		ca.take()
		if err := o.issuer.Release(t.Context(), o.req, o.state); err != nil || len(ca.take()) > 0 {
			t.Errorf("%s: release: %v", name, err)
		}
	}
}

// A 429 has no effect: the order is placed later.
func TestThrottledOrder(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]fault.Func{
		"the search": {reply(429, "")},
		"the order":  {nil, reply(429, "")},
	} {
		ca := newCertCentral(t)
		ca.listingDelay = time.Minute
		o := newOperation(t, ca)
		ca.faults = faults
		out := o.tick()
		if pause := out.Until.Sub(start); out.Kind != retry || pause < 5*time.Second || pause > time.Minute {
			t.Errorf("%s: %+v", name, out)
		}
		if out := o.end(); out.Kind != issued || ca.paid() != 1 {
			t.Errorf("%s: %+v, %d orders", name, out, ca.paid())
		}
		if took := ca.clock.Now().Sub(start); took > 2*time.Minute {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

// Requests that were throttled together do not come back together.
func TestThrottledTogether(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	until := make(map[time.Time]bool)
	for n := range 20 {
		o := newOperation(t, ca)
		o.req.ID = fmt.Sprintf("%032x", n)
		ca.set(func() { ca.faults = []fault.Func{reply(429, "")} })
		until[o.tick().Until] = true
	}
	if len(until) < 15 {
		t.Errorf("20 requests are tried again at %d times", len(until))
	}
}

// A fleet of operations meets the rate limits of the API, and gets its certificates
// in spite of them.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	var fleet []*operation
	for n := range 60 {
		o := newOperation(t, ca)
		o.req = newRequest(t, fmt.Sprintf("%d.example.com", n))
		o.req.ID = fmt.Sprintf("%032x", n)
		fleet = append(fleet, o)
	}
	throttled := 0
	for range 1000 {
		left := 0
		for _, o := range fleet {
			if o.out.Kind == issued {
				continue
			}
			left++
			if !o.due.After(ca.clock.Now()) {
				if out := o.tick(); out.Kind == failed {
					t.Fatalf("%+v", out)
				} else if out.Kind == retry {
					throttled++
				}
			}
		}
		if left == 0 {
			break
		}
		ca.clock.advance(time.Second)
	}
	if n := ca.paid(); n != len(fleet) || throttled == 0 {
		t.Errorf("%d operations have %d orders; throttled %d times", len(fleet), n, throttled)
	}
	if took := ca.clock.Now().Sub(start); took > 5*time.Minute {
		t.Errorf("took %s", took)
	}
}

// uncertain are answers to an order that leave open whether there is one.
var uncertain = map[string]fault.Func{
	"dropped":              fault.Dropped,
	"lost":                 fault.Lost,
	"500 before":           reply(500, ""),
	"500 after":            fault.Behind(reply(500, "")),
	"503 after":            fault.Behind(reply(503, `{"errors":[{"code":"unavailable"}]}`)),
	"garbage":              reply(200, "<html>"),
	"garbage after":        fault.Behind(reply(200, "<html>")),
	"truncated":            truncated,
	"no id":                fault.Behind(reply(201, `{"requests":[]}`)),
	"a negative id":        fault.Behind(reply(201, `{"id":-1}`)),
	"another's id":         fault.Behind(reply(201, `{"id":540001}`)),
	"an array":             fault.Behind(reply(201, `[]`)),
	"nothing":              fault.Behind(reply(204, "")),
	"redirect":             fault.Circle,
	"redirect after":       fault.Behind(fault.Circle),
	"a gateway's refusal":  reply(403, "<html>"),
	"a gateway's after":    fault.Behind(reply(413, "<html>")),
	"timeout after":        fault.Behind(reply(408, `{"errors":[{"code":"timeout"}]}`)),
	"conflict after":       fault.Behind(reply(409, `{"errors":[{"code":"conflict"}]}`)),
	"huge":                 fault.Huge(`{"id":"`),
	"huge after":           fault.Behind(fault.Huge(`{"id":"`)),
	"as if used":           reply(400, `{"errors":[{"code":"duplicate_csr"}]}`),
	"as if used after all": fault.Behind(reply(400, `{"errors":[{"code":"x","message":"This CSR was previously used"}]}`)),
}

// Whatever is answered to an order, it is placed once. Another order of the same
// names, by somebody else, is left alone.
func TestUncertain(t *testing.T) {
	t.Parallel()
	for name, f := range uncertain {
		for _, forgetful := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", comments forgotten ", forgetful), func(t *testing.T) {
				t.Parallel()
				ca := newCertCentral(t)
				ca.listingDelay, ca.forgetful = 4*time.Minute, forgetful
				other := newOperation(t, ca)
				other.req.ID = strings.Repeat("f", 32)
				other.end()
				o := newOperation(t, ca)
				o.due = ca.clock.Now()
				o.req.Created = o.due
				ca.set(func() { ca.faults = []fault.Func{nil, f} })
				out := o.end()
				placed, used := 1, strings.HasPrefix(name, "as if used")
				if name == "as if used" { // what nobody saw, and CertCentral says it did
					placed = 0
				}
				if out.Kind != issued && !(used && placed == 0 && out.Kind == failed) {
					t.Errorf("%+v", out)
				}
				if n := ca.paid() - 1; n != placed {
					t.Errorf("%d orders, want %d", n, placed)
				}
			})
		}
	}
}

// While the list may not show an order, none is placed again.
func TestListingDelay(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	ca.listingDelay, ca.reusableCSRs, ca.issuance = 5*time.Minute, true, time.Minute
	o := newOperation(t, ca)
	ca.faults = []fault.Func{nil, fault.Lost}
	for o.out.Kind != issued {
		out := o.tick()
		if ca.clock.Now().Before(start.Add(5*time.Minute)) && (out.Kind != pending || !strings.Contains(out.Detail, "looked for")) {
			t.Fatalf("%+v", out)
		}
	}
	if ca.paid() != 1 {
		t.Errorf("%d orders", ca.paid())
	}
}

// An order that CertCentral never got is placed again when it would show by now.
func TestPlacedAgain(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	o := newOperation(t, ca)
	ca.faults = []fault.Func{nil, fault.Dropped}
	for len(ca.placed()) == 0 {
		o.tick()
	}
	if at := ca.only().placed.Sub(start); at < 6*time.Minute || at > 7*time.Minute {
		t.Errorf("placed again after %s", at)
	}
	if out := o.end(); out.Kind != issued {
		t.Errorf("%+v", out)
	}
	posts := 0
	for _, call := range ca.take() {
		if strings.HasPrefix(call, "POST") {
			posts++
		}
	}
	if posts != 1 {
		t.Errorf("CertCentral got %d orders", posts)
	}
}

// An intention is good for a minute. A worker that slept longer renews it.
func TestOldIntent(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	o := newOperation(t, ca)
	o.req.Attempts = 1
	state, _ := o.issuer.Step(t.Context(), o.req, nil)
	ca.clock.advance(time.Minute)
	renewed, out := o.issuer.Step(t.Context(), o.req, state)
	if out.Kind != pending || !out.Until.IsZero() || string(renewed) == string(state) || len(ca.placed()) != 0 {
		t.Errorf("%+v, state %s", out, renewed)
	}
	if _, out := o.issuer.Step(t.Context(), o.req, renewed); out.Kind != pending || len(ca.placed()) != 1 {
		t.Errorf("%+v", out)
	}
}

// Two workers with the same state, and whatever claims: one of them finds that the
// other has been there.
func TestTwoWorkers(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string][2]int{"a lost lease": {1, 2}, "the same claim, which the vault excludes": {1, 1}} {
		ca := newCertCentral(t)
		o := newOperation(t, ca)
		o.req.Attempts = 1
		saved, _ := o.issuer.Step(t.Context(), o.req, nil)
		var both sync.WaitGroup
		both.Add(2)
		meet := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r)
			both.Done()
			both.Wait()
		}
		ca.faults = []fault.Func{meet, meet} // both have looked and found nothing
		var wg sync.WaitGroup
		workers := make([]*operation, 2)
		for n := range workers {
			w := *o
			w.issuer = ca.issuer(digicert.Config{})
			w.req.Attempts = claims[n]
			workers[n] = &w
			wg.Go(func() { w.state, w.out = w.issuer.Step(t.Context(), w.req, saved) })
		}
		wg.Wait()
		for n, w := range workers {
			w.due = ca.clock.Now()
			if out := w.end(); out.Kind != issued {
				t.Errorf("%s: worker %d: %+v", name, n, out)
			}
		}
		if n := ca.paid(); n != 1 {
			t.Errorf("%s: %d orders", name, n)
		}
	}
}

// A CertCentral that does not answer costs a step no more than its deadline.
func TestSlow(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	o := newOperation(t, ca)
	o.req.Attempts = 1
	state, _ := o.issuer.Step(t.Context(), o.req, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ca.faults = []fault.Func{nil, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		fault.Behind(reply(201, ""))(w, r, next)
		cancel() // the deadline, once CertCentral has the order
		<-r.Context().Done()
	}}
	state, out := o.issuer.Step(ctx, o.req, state)
	if out.Kind != pending || !strings.Contains(string(state), `"sent":true`) {
		t.Errorf("%+v, state %s", out, state)
	}
	o.state = state
	if out := o.end(); out.Kind != issued || ca.paid() != 1 {
		t.Errorf("%+v, %d orders", out, ca.paid())
	}
}
