package vault_test

// The CAs of the simulated year.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// span is a time from the beginning of the year to another.
type span struct{ from, to time.Duration }

func (s span) has(d time.Duration) bool { return s.from <= d && d < s.to }

// trade is what is known of a CA of the year.
type trade struct {
	certificates int             // that it issues for
	life         time.Duration   // of a certificate
	percentage   int             // of it, when the policy renews
	waits        []time.Duration // of an order, one for each step but the last
	perHour      int             // orders that it takes; zero: any number
	advises      bool            // it has ARI
	recall       time.Duration   // when it begins to want all that it issued before renewed at once; zero: never
	outages      []span
	refusals     []span // of renewals, in so many words
	reuse        bool   // certificates keep their keys
}

// yearCA is the CA, and its provider.
type yearCA struct {
	trade
	t     testing.TB
	since func() time.Duration // the year began
	clock *clock

	mu       sync.Mutex
	steps    int
	asked    int             // for advice
	refused  int             // orders, because of perHour
	rejected int             // renewals, because of refusals
	ordered  map[string]bool // requests
	hourly   map[int]int     // orders, by hour of the year
	renewals map[int]int     // of those, the ones that renew
	inTick   int             // those since the tick began
	perTick  int             // at the most
}

var errDown = errors.New("503 Service Unavailable")

func (ca *yearCA) down(d time.Duration) bool {
	return slices.ContainsFunc(ca.outages, func(s span) bool { return s.has(d) })
}

func (ca *yearCA) Step(_ context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
	since, step := ca.since(), 0
	if state != nil {
		if err := json.Unmarshal(state, &step); err != nil {
			ca.t.Error(err)
		}
	}
	if out, ok := ca.answer(req, since, step); !ok {
		return state, out
	}
	if step < len(ca.waits) {
		return json.RawMessage(fmt.Sprint(step + 1)), provider.Pending(ca.clock.Now().Add(ca.waits[step]), "on it")
	}
	return state, issueFrom(ca.t, req, ca.clock.Now(), ca.life)
}

// answer reports whether the CA does what a step wants, else how it refuses. The
// first step orders.
func (ca *yearCA) answer(req provider.Request, since time.Duration, step int) (provider.Outcome, bool) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.steps++
	hour := int(since / time.Hour)
	switch {
	case ca.down(since):
		return provider.Retry(time.Time{}, errDown), false
	case step > 0:
		return provider.Outcome{}, true
	case ca.perHour > 0 && ca.hourly[hour] >= ca.perHour:
		ca.refused++
		wait := time.Duration(hour+1)*time.Hour - since
		return provider.Retry(ca.clock.Now().Add(wait), errors.New("429 Too Many Requests")), false
	}
	if req.Predecessor != nil && slices.ContainsFunc(ca.refusals, func(s span) bool { return s.has(since) }) {
		ca.rejected++
		return provider.Failed(provider.CodeRejected, "the account is out of money"), false
	}
	if ca.ordered[req.ID] {
		ca.t.Errorf("two orders for the request %s", req.ID)
	}
	ca.ordered[req.ID] = true
	ca.hourly[hour]++
	if req.Predecessor != nil {
		ca.renewals[hour]++
		ca.inTick++
	}
	return provider.Outcome{}, true
}

// endTick is told that a tick is over.
func (ca *yearCA) endTick() {
	ca.perTick = max(ca.perTick, ca.inTick)
	ca.inTick = 0
}

// advisingCA is a CA with ARI.
type advisingCA struct{ *yearCA }

// RenewalInfo wants a certificate renewed around two thirds of its life, or at
// once.
func (ca advisingCA) RenewalInfo(_ context.Context, _ provider.Issuer, c *x509.Certificate) (provider.RenewalInfo, error) {
	since := ca.since()
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.asked++
	if ca.down(since) {
		return provider.RenewalInfo{}, errDown
	}
	middle := c.NotBefore.Add(ca.life * 2 / 3)
	info := provider.RenewalInfo{Start: middle.Add(-day), End: middle.Add(day), Again: day}
	recalled := ca.clock.Now().Add(ca.recall - since)
	if since >= ca.recall && c.NotBefore.Before(recalled) {
		info.Start, info.End = recalled.Add(-2*day), recalled.Add(-day)
	}
	return info, nil
}

// longest is the longest outage of the CA.
func (ca *yearCA) longest() time.Duration {
	var longest time.Duration
	for _, s := range ca.outages {
		longest = max(longest, s.to-s.from)
	}
	return longest
}
