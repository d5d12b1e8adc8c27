package vault_test

// A simulated year of a vault with many certificates.

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// The year of TestYear: 10,000 certificates, the most of which are created in
// its first hours, so that they come back together again and again.
const (
	yearLength = 365 * day
	settling   = 6 * time.Hour // in which those are created
	oneIn      = 10            // is created later
)

// trades are the CAs of the year. Outages fall on days when the renewals of
// certificates of the first hours are due.
var trades = map[string]trade{
	"acme": {
		certificates: 100, life: 90 * day, percentage: 80, advises: true,
		waits:  []time.Duration{2 * time.Second, 10 * time.Second, time.Second},
		recall: 200 * day, outages: []span{{59 * day, 60 * day}, {200*day + 6*time.Hour, 200*day + 9*time.Hour}},
	},
	"public": {
		certificates: 1200, life: 90 * day, percentage: 80,
		waits:   []time.Duration{5 * time.Second, 15 * time.Second},
		outages: []span{{72*day + 10*time.Hour, 74*day + 22*time.Hour}},
	},
	"limited": {
		certificates: 500, life: 47 * day, percentage: 80, perHour: 60,
		waits:   []time.Duration{2 * time.Hour}, // people look at it
		outages: []span{{38 * day, 38*day + 5*time.Hour}},
	},
	"brief": {
		certificates: 200, life: 6 * day, percentage: 75, reuse: true,
		outages: []span{{100 * day, 101 * day}, {300 * day, 300*day + 12*time.Hour}},
	},
	"strict": {
		certificates: 100, life: 30 * day, percentage: 80,
		refusals: []span{{23 * day, 29*day + 12*time.Hour}}, // until half a day before the first certificates expire
		outages:  []span{{200 * day, 200*day + 3*time.Hour}},
	},
	"yearly": {
		certificates: 8000, life: 365 * day, percentage: 80,
		outages: []span{{295 * day, 297 * day}},
	},
}

// When the vault itself is out of order: the storage is away, or the whole app.
var (
	storageAway = span{150 * day, 150*day + 7*time.Hour}
	appAway     = span{220 * day, 221 * day}
)

// request is a certificate that a person asks for.
type request struct {
	at           time.Duration
	name, issuer string
}

// TestYear runs a vault for a year: nothing expires, nothing that was begun stays
// undone, nobody waits for long, and no CA sees a storm. The race detector leaves
// time for a smaller vault only.
func TestYear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	t.Parallel()
	oneOf := 1
	if raceDetector {
		oneOf = 20
	}
	y := newYear(t, oneOf)
	const renewalLimit = 5 // of a tick, the default
	for _, end := range []time.Duration{yearLength / 3, yearLength} {
		y.run(end)
		contents := y.store.Contents()
		if err := vault.Invariants(contents.Rows, contents.Blobs); err != nil {
			t.Fatal(err)
		}
	}
	for certificate, expires := range y.expires {
		if !expires.After(y.clock.Now()) {
			t.Errorf("%s expired at %s", certificate, expires)
		}
	}
	for certificate, asked := range y.asked {
		t.Errorf("%s was asked for at %s and never issued", certificate, asked)
	}
	for issuer, trade := range trades {
		if n := y.keys(issuer); trade.reuse && n != y.cas[issuer].certificates {
			t.Errorf("%s: %d keys of %d certificates that keep theirs", issuer, n, y.cas[issuer].certificates)
		}
	}
	if n := y.cas["strict"].rejected; n == 0 {
		t.Error("no CA refused a renewal")
	}
	for _, filter := range []vault.BoardFilter{{Status: vault.StatusFailed}, {StuckFor: day}} {
		open, _, err := y.Board(t.Context(), vault.Page{Max: 10}, filter)
		if err != nil || len(open) > 0 {
			t.Errorf("at the end there is %+v, %v", open, err)
		}
	}
	// A minute until the next tick, and the time of that tick; the same again where
	// the CA takes longer than a tick waits.
	if most := 3 * time.Minute; y.waited > most {
		t.Errorf("a person waited %s, want at most %s", y.waited, most)
	}
	orders := 0
	for _, issuer := range slices.Sorted(maps.Keys(y.cas)) {
		ca := y.cas[issuer]
		// Those that were begun before the CA was paused: where few are due at a
		// time it takes some tens of them, each tried again within an hour, until
		// three fail in one tick. Then hardly any follow.
		const begun = 8 * renewalLimit
		peak := slices.Max(slices.Collect(maps.Values(ca.renewals)))
		if most := 60*renewalLimit + begun; peak > most {
			t.Errorf("%s: %d renewals in an hour, want at most %d", issuer, peak, most)
		}
		if most := renewalLimit + begun; ca.perTick > most {
			t.Errorf("%s: %d renewals in a tick, want at most %d", issuer, ca.perTick, most)
		}
		orders += len(ca.ordered)
		t.Logf("%s: %d certificates, %d orders, at most %d renewals in an hour and %d in a tick; %d steps, of which %d were rate limited; %d questions",
			issuer, ca.certificates, len(ca.ordered), peak, ca.perTick, ca.steps, ca.refused, ca.asked)
	}
	// An order may be under way when the year ends.
	open, _, err := y.Board(t.Context(), vault.Page{Max: 100}, vault.BoardFilter{Status: vault.StatusInProgress})
	if err != nil || orders < y.versions || orders > y.versions+len(open) {
		t.Errorf("%d orders for %d versions and %d requests in progress, %v", orders, y.versions, len(open), err)
	}
	t.Logf("%d certificates, %d versions, %d ticks, %d storage calls %v, %.1f for each version; a person waited at most %s",
		len(y.expires), y.versions, y.ticks, y.store.calls.Total(), y.store.calls, float64(y.store.calls.Total())/float64(y.versions), y.waited)
}

// year is a run of the year.
type year struct {
	*harness
	began    time.Time
	cas      map[string]*yearCA
	store    *yearStore
	requests []request // by time
	errands  []errand  // by time

	mu       sync.Mutex
	asked    map[string]time.Time // since when people wait for their certificates
	expires  map[string]time.Time // the latest version of a certificate
	waited   time.Duration        // by a person, at the most, when nothing was out of order
	versions int

	ticks int
}

func newYear(t testing.TB, oneOf int) *year {
	y := &year{
		harness: &harness{t: t, clock: newClock()},
		cas:     make(map[string]*yearCA),
		asked:   make(map[string]time.Time),
		expires: make(map[string]time.Time),
	}
	y.began = y.clock.Now()
	y.store = &yearStore{Store: new(memory.Store), t: t, since: y.since, away: storageAway, versions: y.see, calls: make(memory.Calls)}
	issuers := make(map[string]provider.Provider)
	for name, trade := range trades {
		trade.certificates /= oneOf
		ca := &yearCA{
			trade: trade, t: t, since: y.since, clock: y.clock,
			ordered: make(map[string]bool), renewals: make(map[int]int), hourly: make(map[int]int),
		}
		y.cas[name], issuers[name] = ca, ca
		if trade.advises {
			issuers[name] = advisingCA{ca}
		}
		y.requests = append(y.requests, requestsOf(name, ca)...)
	}
	slices.SortFunc(y.requests, func(a, b request) int { return cmp.Compare(a.at, b.at) })
	y.errands = y.errandsOf()
	y.Vault = open(t, y.store, y.clock, issuers)
	for name := range trades {
		y.mustSetIssuer(name, name)
	}
	return y
}

// requestsOf are those of a CA: the most at first, the others over the year, as
// many as there are of them right after an outage, while its backlog drains.
func requestsOf(issuer string, ca *yearCA) []request {
	var requests []request
	later := ca.certificates / oneIn
	early := ca.certificates - later
	for i := range ca.certificates {
		at := settling * time.Duration(i) / time.Duration(early)
		if n := i - early; n >= 0 {
			at = (yearLength-day)*time.Duration(n)/time.Duration(later) + 17*time.Second
			if n%3 == 0 {
				outage := ca.outages[n%len(ca.outages)]
				at = outage.to + time.Duration(n)*4*time.Minute + 13*time.Second
			}
		}
		requests = append(requests, request{at, fmt.Sprintf("%s-%d", issuer, i), issuer})
	}
	return requests
}

// since is how long ago the year began.
func (y *year) since() time.Duration { return y.clock.Now().Sub(y.began) }

// see is told of every new version: the one before must not have expired, and a
// person must not have waited for long.
func (y *year) see(certificate string, expires time.Time) {
	now := y.clock.Now()
	issuer, _, _ := strings.Cut(certificate, "-")
	y.mu.Lock()
	defer y.mu.Unlock()
	if old, ok := y.expires[certificate]; ok && now.After(old) {
		y.t.Errorf("%s expired at %s and was renewed at %s", certificate, old, now)
	}
	y.expires[certificate] = expires
	y.versions++
	asked, ok := y.asked[certificate]
	if !ok {
		return
	}
	delete(y.asked, certificate)
	ca := y.cas[issuer]
	wait := now.Sub(asked)
	for _, w := range ca.waits {
		wait -= w
	}
	switch from, to := asked.Sub(y.began), now.Sub(y.began); {
	case y.disturbed(ca, from, to):
		if wait > 4*time.Hour+ca.longest() {
			y.t.Errorf("%s came %s after it was asked for", certificate, wait)
		}
	case wait > y.waited:
		y.waited = wait
	}
}

// disturbed reports whether something was out of order in a time: a CA counts as
// such until the pause that its failures led to is over, and one that takes few
// orders always.
func (y *year) disturbed(ca *yearCA, from, to time.Duration) bool {
	return ca.perHour > 0 || slices.ContainsFunc(append([]span{storageAway, appAway}, ca.outages...), func(s span) bool {
		return from < s.to+31*time.Minute && s.from < to
	})
}

// run lets the time pass until end: people ask, and the timer ticks every minute in which
// there is something to do.
func (y *year) run(end time.Duration) {
	last, idle := y.clock.Now(), false
	for {
		next := y.next(last, idle)
		at := next.Sub(y.began)
		switch {
		case appAway.has(y.since()):
			y.passTo(y.began.Add(appAway.to))
			last = y.clock.Now()
		case len(y.errands) > 0 && y.errands[0].at <= min(at, end) && (len(y.requests) == 0 || y.errands[0].at <= y.requests[0].at):
			y.passTo(y.began.Add(y.errands[0].at))
			y.errands[0].do()
			y.errands = y.errands[1:]
			idle = false
		case len(y.requests) > 0 && y.requests[0].at <= min(at, end):
			y.passTo(y.began.Add(y.requests[0].at))
			y.ask()
			idle = false
		case at > end:
			y.passTo(y.began.Add(end))
			return
		default:
			y.passTo(next)
			last, idle = next, y.tick() == 0
		}
	}
}

// passTo moves the clock to a time, unless a tick took longer.
func (y *year) passTo(at time.Time) { y.clock.Advance(max(0, at.Sub(y.clock.Now()))) }

// next is when the timer ticks after it did so last: at the next minute in which
// there is something to do, and every five minutes when what there is must wait.
func (y *year) next(last time.Time, idle bool) time.Time {
	from := int64(0)
	if idle {
		from = last.UnixMilli() + 1
	}
	first := last.Add(yearLength)
	if idle {
		first = last.Add(5 * time.Minute)
	}
	for class := range 4 {
		prefix := fmt.Sprintf("d:%d:", class)
		rows, err := y.store.Store.Scan(context.Background(), store.Range{From: fmt.Sprintf("%s%013d", prefix, from), To: fmt.Sprintf("d:%d;", class), Limit: 1})
		if err != nil {
			y.t.Fatal(err)
		}
		for _, r := range rows {
			ms, err := strconv.ParseInt(r.Key[len(prefix):len(prefix)+13], 10, 64)
			if err != nil {
				y.t.Fatal(err)
			}
			if at := time.UnixMilli(ms); at.Before(first) {
				first = at
			}
		}
	}
	next := last.Add(time.Minute).Truncate(time.Minute)
	if first.After(next) {
		next = first.Add(time.Minute - time.Millisecond).Truncate(time.Minute)
	}
	return next
}

// ask sends the next person's request; they ask again in ten minutes if the vault
// is out of order.
func (y *year) ask() {
	r := y.requests[0]
	y.requests = y.requests[1:]
	y.mu.Lock()
	y.asked[r.name] = y.clock.Now()
	y.mu.Unlock()
	policy := renewed(r.issuer, policy.LifetimeAction{Percentage: y.cas[r.issuer].percentage})
	policy.Key.Reuse = &y.cas[r.issuer].reuse
	_, err := y.Create(context.Background(), name(y.t, r.name), vault.CreateParams{Policy: policy})
	switch {
	case err == nil:
	case !storageAway.has(y.since()):
		y.t.Fatal(err)
	default:
		r.at = y.since() + 10*time.Minute
		at, _ := slices.BinarySearchFunc(y.requests, r.at, func(r request, at time.Duration) int { return cmp.Compare(r.at, at) })
		y.requests = slices.Insert(y.requests, at, r)
	}
}

// tick runs one and returns how much it did.
func (y *year) tick() int {
	report, err := y.Advance(context.Background())
	if away := storageAway.has(y.since()); err != nil && !away {
		y.t.Fatal(err)
	} else if report.Failed > 0 && !away {
		y.t.Errorf("a tick after %s: %+v", y.since(), report)
	}
	y.ticks++
	for _, ca := range y.cas {
		ca.endTick()
	}
	return report.Advanced
}
