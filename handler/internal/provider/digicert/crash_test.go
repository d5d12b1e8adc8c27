package digicert_test

// Killed processes and misbehaviour at every call.

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
)

// everywhere are faults that may happen to any request.
var everywhere = map[string]fault.Func{
	"none":            nil,
	"dropped":         fault.Dropped,
	"lost":            fault.Lost,
	"500 before":      reply(500, ""),
	"500 after":       fault.Behind(reply(500, "")),
	"garbage after":   fault.Behind(reply(200, "<html>")),
	"truncated":       truncated,
	"redirect before": fault.Circle,
	"redirect after":  fault.Behind(fault.Circle),
	"wrong id":        fault.Behind(reply(200, `{"id":540001,"status":"issued","certificate":{"id":1540001}}`)),
	"throttled":       reply(429, ""),
}

// The process is killed after each call, with each fault at that call, on accounts
// of each kind: there is one order, and it becomes the certificate.
func TestKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	const calls = 6 // list, order, look, look, download, and one more
	for _, name := range slices.Sorted(maps.Keys(everywhere)) {
		for at := range calls {
			for _, delay := range []time.Duration{0, 4 * time.Minute} {
				for _, reusable := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s at call %d, listed after %s, reusable CSRs %t", name, at, delay, reusable), func(t *testing.T) {
						t.Parallel()
						ca := newCertCentral(t)
						ca.listingDelay, ca.reusableCSRs, ca.issuance = delay, reusable, 8*time.Second
						stranger := newOperation(t, ca)
						stranger.req.ID = "ffffffffffffffffffffffffffffffff"
						stranger.end()
						o := newOperation(t, ca)
						o.req.Created, o.due = ca.clock.Now(), ca.clock.Now()
						ca.set(func() { ca.faults = append(make([]fault.Func, at), everywhere[name]) })
						// The step that makes that call is the process's last, and so
						// is the one after it.
						o.killed = func(step int) bool { return step == at || step == at+1 }
						if out := o.end(); out.Kind != issued {
							t.Errorf("%+v", out)
						}
						if n := ca.paid() - 1; n != 1 {
							t.Errorf("%d orders", n)
						}
					})
				}
			}
		}
	}
}

// Whatever happens to calls and processes, and whenever the operation is given up:
// an operation that is let go on gets its certificate, one that is not leaves
// nothing, and there is never more than one order that is paid.
func TestAnyMisbehaviour(t *testing.T) {
	t.Parallel()
	names := slices.Sorted(maps.Keys(everywhere))
	rapid.Check(t, func(rt *rapid.T) {
		ca := newCertCentral(t)
		ca.listingDelay = time.Duration(rapid.IntRange(0, 299).Draw(rt, "listing delay, s")) * time.Second
		ca.issuance = time.Duration(rapid.IntRange(0, 900).Draw(rt, "issuance, s")) * time.Second
		ca.reusableCSRs = rapid.Bool().Draw(rt, "reusable CSRs")
		ca.forgetful = rapid.Bool().Draw(rt, "forgetful")
		faults := rapid.SliceOfN(rapid.SampledFrom(names), 0, 12).Draw(rt, "faults")
		for _, name := range faults {
			ca.faults = append(ca.faults, everywhere[name])
		}
		kills := rapid.SliceOfNDistinct(rapid.IntRange(0, 15), 0, 6, rapid.ID).Draw(rt, "killed after steps")
		o := newOperation(t, ca)
		o.killed = func(step int) bool { return slices.Contains(kills, step) }
		goesOn := rapid.Bool().Draw(rt, "goes on")
		if goesOn {
			if out := o.end(); out.Kind != issued {
				rt.Fatalf("%+v", out)
			}
		} else {
			for range rapid.IntRange(0, 8).Draw(rt, "ticks before it is given up") {
				o.tick()
			}
			o.release()
		}
		alive := 0
		for _, order := range ca.placed() {
			if order.status == "" && (goesOn || order.chain == nil) {
				alive++
			}
		}
		if !goesOn && slices.Contains(faults, "wrong id") {
			alive = 0 // the CA may have said of the first order that it was issued already
		}
		if want := map[bool]int{true: 1, false: 0}[goesOn]; ca.paid() > 1 || alive != want {
			rt.Errorf("%d orders, %d of them go on", ca.paid(), alive)
		}
	})
}

// release releases the operation, as often as that has to be tried.
func (o *operation) release() {
	o.t.Helper()
	for range 50 {
		if err := o.issuer.Release(o.t.Context(), o.req, o.state); err == nil {
			return
		}
		o.ca.clock.advance(30 * time.Second)
	}
	o.t.Fatal("the operation is not released")
}

// Each step is taken twice, the second time as if the first had not been: by the
// same claim, which cannot be, and by the next.
func TestEachStepTwice(t *testing.T) {
	t.Parallel()
	for _, claims := range []int{0, 1} {
		ca := newCertCentral(t)
		ca.issuance, ca.reusableCSRs = 8*time.Second, true
		o := newOperation(t, ca)
		for range 100 {
			if wait := o.due.Sub(ca.clock.Now()); wait > 0 {
				ca.clock.advance(wait)
			}
			o.req.Attempts++
			var out provider.Outcome
			for {
				o.issuer.Step(t.Context(), o.req, o.state)
				o.req.Attempts += claims
				if o.state, out = o.issuer.Step(t.Context(), o.req, o.state); out.Kind != pending || !out.Until.IsZero() {
					break
				}
			}
			if o.due, o.out = out.Until, out; out.Kind == issued {
				break
			}
		}
		if o.out.Kind != issued || ca.paid() != 1 {
			t.Errorf("%d claims more: %+v, %d orders", claims, o.out, ca.paid())
		}
	}
}
