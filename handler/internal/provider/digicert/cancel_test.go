package digicert_test

// Cancellation, before, at and after the order.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider/fault"
)

// An order is cancelled where CertCentral lets one be, refused where it does not,
// and asked for again where that may change.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*certCentral, *order)
		faults  []fault.Func
		ok      bool
		err     string // none when empty
		status  string // of the order then
		release string // error of a release instead; "kept" where it is told in the log only
	}{
		"pending":             {ok: true, status: "canceled"},
		"waiting for pick-up": {change: func(_ *certCentral, o *order) { o.status = "waiting_pickup" }, ok: true, status: "canceled"},
		"unapproved": {change: func(_ *certCentral, o *order) { o.status, o.requests[0].status = "needs_approval", "pending" },
			ok: true, status: "rejected"},
		"unapproved without a request": {change: func(_ *certCentral, o *order) { o.status = "needs_approval" },
			status: "needs_approval", release: "kept"},
		"issued":          {change: func(ca *certCentral, _ *order) { ca.issuance = 0 }, release: "kept"},
		"reissue pending": {change: func(_ *certCentral, o *order) { o.status = "reissue_pending" }, status: "reissue_pending", release: "kept"},
		"cancelled":       {change: func(_ *certCentral, o *order) { o.status = "canceled" }, ok: true, status: "canceled"},
		"rejected":        {change: func(_ *certCentral, o *order) { o.status = "rejected" }, ok: true, status: "rejected"},
		"revoked":         {change: func(_ *certCentral, o *order) { o.status = "revoked" }, ok: true, status: "revoked"},
		"expired":         {change: func(_ *certCentral, o *order) { o.status = "expired" }, ok: true, status: "expired"},
		"processing": {change: func(_ *certCentral, o *order) { o.status = "processing" }, status: "processing",
			err: "cannot be cancelled while it is processing", release: "cannot be cancelled while it is processing"},
		"unknown": {change: func(_ *certCentral, o *order) { o.status = "on_hold" }, status: "on_hold",
			err: "cannot be cancelled while it is on_hold", release: "cannot be cancelled while it is on_hold"},
		"gone":            {change: func(ca *certCentral, o *order) { delete(ca.orders, o.id) }, ok: true},
		"gone meanwhile":  {faults: []fault.Func{nil, reply(404, `{"errors":[{"code":"not_found:order"}]}`)}, ok: true},
		"no such page":    {faults: []fault.Func{reply(404, "<html>")}, err: "answers 404", release: "answers 404"},
		"look lost":       {faults: []fault.Func{fault.Lost}, err: "looking at order", release: "looking at order"},
		"cancelling lost": {faults: []fault.Func{nil, fault.Lost}, err: "cancelling order", status: "canceled", release: "cancelling order"},
		"refused": {faults: []fault.Func{nil, reply(400, `{"errors":[{"code":"x","message":"Not now"}]}`)},
			release: "Not now (x)"},
		"broken":    {faults: []fault.Func{nil, reply(500, "")}, err: "answers 500", release: "answers 500"},
		"throttled": {faults: []fault.Func{nil, reply(429, "")}, err: "answers 429", release: "answers 429"},
	} {
		for _, release := range []bool{false, true} {
			ca := newCertCentral(t)
			o := newOperation(t, ca)
			order := o.place()
			ca.set(func() {
				if c.change != nil {
					c.change(ca, order)
				}
				ca.faults = c.faults
			})
			wrong := c.err
			if release {
				err := o.issuer.Release(t.Context(), o.req, o.state)
				if wrong = c.release; wrong == "kept" {
					if wrong = ""; !strings.Contains(o.log.String(), fmt.Sprint("DigiCert keeps an order whose operation has ended\" order=", order.id)) {
						t.Errorf("%s: release: log: %s", name, o.log)
					}
				}
				checkError(t, name+": release", err, wrong)
			} else {
				saved := string(o.state)
				state, ok, err := o.issuer.Cancel(t.Context(), o.req, o.state)
				checkError(t, name, err, wrong)
				if ok != c.ok {
					t.Errorf("%s: cancelled %t", name, ok)
				}
				want := saved
				if ok {
					want = `{"version":1}`
				}
				if string(state) != want {
					t.Errorf("%s: state %s, want %s", name, state, want)
				}
			}
			if order.status != c.status {
				t.Errorf("%s: the order is %q", name, order.status)
			}
		}
	}
}

func checkError(t testing.TB, name string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
	if err != nil && strings.Contains(err.Error(), apiKey) {
		t.Errorf("%s: the API key is told: %v", name, err)
	}
}

// An operation without an order has nothing to cancel.
func TestCancelBeforeTheOrder(t *testing.T) {
	t.Parallel()
	o := newOperation(t, newCertCentral(t))
	o.req.Attempts = 1
	intent, _ := o.issuer.Step(t.Context(), o.req, nil)
	for name, saved := range map[string][]byte{"nothing": nil, "an intention of this claim": intent} {
		state, ok, err := o.issuer.Cancel(t.Context(), o.req, saved)
		if !ok || err != nil || string(state) != `{"version":1}` {
			t.Errorf("%s: %t, %v, state %s", name, ok, err, state)
		}
	}
	if err := o.issuer.Release(t.Context(), o.req, nil); err != nil {
		t.Error(err)
	}
	if calls := o.ca.take(); len(calls) > 0 {
		t.Errorf("calls %q", calls)
	}
}

// What may have been ordered is looked for, until it is found or cannot be there.
func TestCancelUncertain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		f     fault.Func
		delay time.Duration
		taken time.Duration // until the cancellation, at most
	}{
		"there":     {fault.Lost, 0, 0},
		"not shown": {fault.Lost, 4 * time.Minute, 5 * time.Minute},
		"not there": {fault.Dropped, 0, 7 * time.Minute},
	} {
		for _, killed := range []bool{false, true} {
			for _, release := range []bool{false, true} {
				ca := newCertCentral(t)
				ca.issuance, ca.listingDelay = time.Hour, c.delay
				o := newOperation(t, ca)
				ca.faults = []fault.Func{nil, c.f}
				o.killed = func(step int) bool { return killed && step == 1 }
				o.tick()
				began := ca.clock.Now()
				if release {
					o.release()
				} else {
					o.cancel()
				}
				if n, taken := ca.paid(), ca.clock.Now().Sub(began); n != 0 || taken > c.taken {
					t.Errorf("%s, killed %t, release %t: %d orders after %s", name, killed, release, n, taken)
				}
			}
		}
	}
}

// cancel cancels the operation, as often as that has to be tried.
func (o *operation) cancel() {
	o.t.Helper()
	for range 50 {
		o.req.Attempts++
		state, ok, err := o.issuer.Cancel(o.t.Context(), o.req, o.state)
		o.state = state
		switch {
		case ok:
			return
		case err == nil:
			o.t.Fatal("the cancellation is refused")
		}
		o.ca.clock.advance(30 * time.Second)
	}
	o.t.Fatal("the operation is not cancelled")
}

// The order of another request is not touched, whatever the state says.
func TestCancelForeign(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	ca.issuance = time.Hour
	other := newOperation(t, ca)
	other.req.ID = strings.Repeat("f", 32)
	order := other.place()
	o := newOperation(t, ca)
	o.state = other.state
	o.cancel()
	o.state = other.state
	o.release()
	if order.status != "" {
		t.Errorf("the other's order is %s", order.status)
	}
}
