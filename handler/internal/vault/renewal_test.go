package vault_test

// Renewals: when, how often, and what prevents them.

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// renewing is a CA whose certificates live as long as it says, and which may
// advise when to renew them.
type renewing struct {
	t     testing.TB
	clock *clock
	life  time.Duration
	fail  string // what it says instead of issuing

	mu    sync.Mutex
	info  *provider.RenewalInfo // nil: it gives no advice
	asked int
	reqs  []provider.Request
}

func (r *renewing) Step(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reqs = append(r.reqs, req)
	if r.fail != "" {
		return nil, provider.Failed(provider.CodeRejected, r.fail)
	}
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := pooledKey(ecP256)
	if err != nil {
		r.t.Fatal(err)
	}
	now := r.clock.Now().Truncate(time.Second)
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(len(r.reqs))), NotBefore: now, NotAfter: now.Add(r.life)}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "A CA"}}
	der, err := x509.CreateCertificate(zeros{}, template, parent, csr.PublicKey, key)
	if err != nil {
		r.t.Fatal(err)
	}
	return nil, provider.Issued([][]byte{der})
}

func (r *renewing) RenewalInfo(context.Context, provider.Issuer, *x509.Certificate) (provider.RenewalInfo, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.info == nil {
		return provider.RenewalInfo{}, errors.ErrUnsupported
	}
	return *r.info, nil
}

// zeros is a source of no randomness: signatures need not be unpredictable here.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func newRenewing(t testing.TB, life time.Duration) (*harness, *renewing) {
	ca := &renewing{t: t, life: life}
	h := newHarness(t, map[string]provider.Provider{"ca": ca})
	ca.clock = h.clock
	h.mustSetIssuer("ca", "ca")
	return h, ca
}

// renewed is a policy whose certificates renew themselves.
func renewed(issuer string, action policy.LifetimeAction) *policy.Params {
	action.Action = policy.ActionAutoRenew
	p := policyFor(issuer)
	p.Key = &policy.KeyParams{Type: new("EC")}
	p.LifetimeActions = []policy.LifetimeAction{action}
	return p
}

// mustIssue creates a certificate and has it issued.
func (h *harness) mustIssue(n string, p vault.CreateParams) vault.Certificate {
	h.t.Helper()
	if _, err := h.Create(context.Background(), name(h.t, n), p); err != nil {
		h.t.Fatal(err)
	}
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	if op := h.mustOperation(n); op.Status != vault.StatusCompleted {
		h.t.Fatalf("%s is %s: %v", n, op.Status, op.Error)
	}
	return h.mustCertificate(n)
}

// until moves the clock to a time and ticks.
func (h *harness) until(at time.Time) {
	h.t.Helper()
	h.clock.Advance(at.Sub(h.clock.Now()))
	h.mustTick()
}

// TestRenewal: at its time, spread a little, a certificate gets its next version
// by itself, with its tags and another key.
func TestRenewal(t *testing.T) {
	t.Parallel()
	const life = 90 * day
	for _, test := range []struct {
		what           string
		action         policy.LifetimeAction
		life           time.Duration
		earliest, last time.Duration // after it was issued
	}{
		{"percentage", policy.LifetimeAction{Percentage: 80}, life, 72 * day, 72*day + 18*day/10},
		{"days before expiry", policy.LifetimeAction{DaysBefore: 30}, life, 60 * day, 63 * day},
		{"more days than the CA grants", policy.LifetimeAction{DaysBefore: 30}, 6 * day, 4 * day, 4*day + 2*day/10},
		{"a day after it was issued", policy.LifetimeAction{Percentage: 1}, 7 * day, day, day},
		{"half of the shortest lives", policy.LifetimeAction{Percentage: 10}, 12 * time.Hour, 6 * time.Hour, 6 * time.Hour},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			h, ca := newRenewing(t, test.life)
			tags := map[string]string{"team": "web"}
			preserve := true
			first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", test.action), Tags: tags, PreserveOrder: &preserve})
			issued := *first.Attributes.NotBefore
			h.until(issued.Add(test.earliest - time.Minute))
			if len(ca.reqs) != 1 {
				t.Fatalf("renewed %d times before the time", len(ca.reqs)-1)
			}
			h.until(issued.Add(test.last + time.Minute))
			if len(ca.reqs) != 2 || !slices.Equal(ca.reqs[1].Predecessor, first.Leaf) {
				t.Fatalf("%d requests, of which the last follows %.8x", len(ca.reqs), ca.reqs[len(ca.reqs)-1].Predecessor)
			}
			second := h.mustCertificate("web")
			if second.Version == first.Version || second.Previous != first.Version || !maps.Equal(second.Tags, tags) || second.PreserveOrder == nil || !*second.PreserveOrder {
				t.Errorf("the renewed version is %+v", second)
			}
			if slices.Equal(ca.reqs[0].CSR, ca.reqs[1].CSR) {
				t.Error("the key pair was kept")
			}
		})
	}
}

// TestRenewalsAreSpread: what was issued at one time is not renewed at one.
func TestRenewalsAreSpread(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 100*day)
	const many = 30
	for i := range many {
		h.mustIssue(fmt.Sprintf("c%d", i), vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	}
	h.clock.Advance(80*day - time.Hour)
	days := make(map[int]int)
	for i := range 50 {
		before := len(ca.reqs)
		h.mustTick()
		days[i/24] += len(ca.reqs) - before
		h.clock.Advance(time.Hour)
	}
	if len(ca.reqs) != 2*many || days[0] < many/5 || days[1] < many/5 {
		t.Errorf("%d of %d renewed, by day %v", len(ca.reqs)-many, many, days)
	}
}

// TestNoRenewal: what a policy does not want, what nobody uses, and what an issuer
// cannot do.
func TestNoRenewal(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	no := false
	for what, prepare := range map[string]func(h *harness) error{
		"EmailContacts": func(h *harness) error {
			return second(h.UpdatePolicy(ctx, name(t, "web"), policy.Params{LifetimeActions: []policy.LifetimeAction{{Percentage: 50, Action: policy.ActionEmailContacts}}}))
		},
		"the issuer Unknown": func(h *harness) error {
			return second(h.UpdatePolicy(ctx, name(t, "web"), policy.Params{Issuer: &policy.IssuerParams{Name: new("Unknown")}}))
		},
		"a disabled version": func(h *harness) error {
			return second(h.UpdateVersion(ctx, name(t, "web"), "", vault.UpdateParams{Attributes: vault.AttributeParams{Enabled: &no}}))
		},
		"a request that a person is to merge": func(h *harness) error {
			p := renewed("Unknown", policy.LifetimeAction{Percentage: 50})
			return second(h.Create(ctx, name(t, "web"), vault.CreateParams{Policy: p}))
		},
		"a deleted certificate": func(h *harness) error { return second(h.Delete(ctx, name(t, "web"))) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h, ca := newRenewing(t, 90*day)
			h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 50})})
			if err := prepare(h); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				h.clock.Advance(4 * day)
				h.mustTick()
			}
			if len(ca.reqs) != 1 {
				t.Errorf("renewed %d times", len(ca.reqs)-1)
			}
		})
	}
}

// TestRecoveredCertificateIsRenewed: its time may have passed while it was
// deleted.
func TestRecoveredCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 30*day)
	ctx := context.Background()
	h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	if err := second(h.Delete(ctx, name(t, "web"))); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(40 * day) // it even expired
	h.mustTick()
	if err := second(h.Recover(ctx, name(t, "web"))); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if len(ca.reqs) != 2 {
		t.Errorf("renewed %d times after it was recovered", len(ca.reqs)-1)
	}
}

// TestReusedKey: reuse_key keeps the key pair, and only then.
func TestReusedKey(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 30*day)
	p := renewed("ca", policy.LifetimeAction{Percentage: 80})
	p.Key.Reuse = new(true)
	first := h.mustIssue("web", vault.CreateParams{Policy: p})
	h.until(first.Attributes.NotBefore.Add(25 * day))
	public := func(der []byte) any {
		c, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(c.PublicKey)
	}
	if len(ca.reqs) != 2 || public(ca.reqs[0].CSR) != public(ca.reqs[1].CSR) {
		t.Errorf("%d requests, of different keys", len(ca.reqs))
	}
}

// TestRenewalOpensNoKey: a policy that was made exportable after all has the next
// version get a key of its own.
func TestRenewalOpensNoKey(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 30*day)
	p := renewed("ca", policy.LifetimeAction{Percentage: 80})
	p.Key.Reuse, p.Key.Exportable = new(true), new(false)
	first := h.mustIssue("web", vault.CreateParams{Policy: p})
	opened := *p.Key
	opened.Exportable = new(true)
	if _, err := h.UpdatePolicy(t.Context(), name(t, "web"), policy.Params{Key: &opened}); err != nil {
		t.Fatal(err)
	}
	h.until(first.Attributes.NotBefore.Add(25 * day))
	if len(ca.reqs) != 2 {
		t.Fatalf("%d requests", len(ca.reqs))
	}
	k, err := h.Key(t.Context(), name(t, "web"), first.Version)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(ca.reqs[1].CSR)
	if err != nil || policy.SamePublicKey(csr.PublicKey, k.Public) {
		t.Errorf("the renewal has the key that must not be exported: %v", err)
	}
}

// TestFailedRenewals: they are tried again, from an hour to a day later, and sooner
// when little of the version's life remains; then daily for 30 days. The version
// stays what it is.
func TestFailedRenewals(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 30*day)
	first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	ca.fail = "the account is out of money"
	var tries []time.Time
	expires := *first.Attributes.Expires
	for end := expires.Add(40 * day); h.clock.Now().Before(end); h.clock.Advance(5 * time.Minute) {
		before := len(ca.reqs)
		h.mustTick()
		if len(ca.reqs) > before {
			tries = append(tries, h.clock.Now())
		}
	}
	late := 0
	for i, at := range tries[1:] {
		pause := min(time.Hour<<min(i, 10), day)
		most := pause + pause/3
		if remains := expires.Sub(tries[i]); remains > 0 {
			most = min(most, max(5*time.Minute, remains/4))
		} else {
			late++
			most = day + day/3
		}
		if got := at.Sub(tries[i]); got < most*3/4-time.Second || got > most+6*time.Minute {
			t.Errorf("try %d came %s after the one before, want up to %s and at most a quarter less", i+2, got, most)
		}
	}
	if last := tries[len(tries)-1]; late < 20 || last.After(expires.Add(30*day)) {
		t.Errorf("%d tries, %d of them after the version expired at %s, the last at %s", len(tries), late, expires, last)
	}
	if now := h.mustCertificate("web"); now.Version != first.Version {
		t.Errorf("the latest version is %s", now.Version)
	}
	if op := h.mustOperation("web"); op.Status != vault.StatusFailed || op.Error.Message != ca.fail || !op.Renewal {
		t.Errorf("the operation is %+v", op)
	}
}

// TestRenewalThatCannotBegin: an issuer that was taken away is a failure like
// another, and the first renewal after it came back succeeds.
func TestRenewalThatCannotBegin(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 30*day)
	ctx := context.Background()
	first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	if err := second(h.DeleteIssuer(ctx, issuerName(t, "ca"))); err != nil {
		t.Fatal(err)
	}
	h.until(first.Attributes.NotBefore.Add(25 * day))
	if op := h.mustOperation("web"); op.Status != vault.StatusCompleted {
		t.Errorf("without an issuer the operation is %+v", op)
	}
	h.mustTick()
	if len(ca.reqs) != 1 {
		t.Fatal("renewed before the pause was over")
	}
	h.mustSetIssuer("ca", "ca") // which is what it waits for
	h.mustTick()
	if now := h.mustCertificate("web"); now.Version == first.Version {
		t.Error("not renewed when the issuer was back")
	}
}

// TestRenewalLeavesWhatAPersonMayMerge: a failed request of a person is left to that person
// for a week, or until the last day.
func TestRenewalLeavesWhatAPersonMayMerge(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		failed, renewed time.Duration // after the first version was issued
	}{
		{23 * day, 30 * day},
		{37 * day, 39 * day},
	} {
		h, ca := newRenewing(t, 40*day)
		first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 50})})
		issued := *first.Attributes.NotBefore
		h.clock.Advance(issued.Add(test.failed).Sub(h.clock.Now()))
		ca.fail = "no"
		if err := second(h.Create(context.Background(), name(t, "web"), vault.CreateParams{})); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(2 * time.Second)
		h.mustTick()
		op := h.mustOperation("web")
		if op.Status != vault.StatusFailed || op.Renewal {
			t.Fatalf("the person's operation is %+v", op)
		}
		ca.fail = ""
		h.until(issued.Add(test.renewed - time.Hour))
		if now := h.mustOperation("web"); now.RequestID != op.RequestID {
			t.Errorf("failed after %s: replaced before %s", test.failed, test.renewed)
		}
		h.until(issued.Add(test.renewed + time.Hour))
		if now := h.mustCertificate("web"); now.Version == first.Version {
			t.Errorf("failed after %s: not renewed after %s", test.failed, test.renewed)
		}
	}
}

// TestDeletedRenewalPauses: whoever deletes a renewal in progress does not meet
// the next one at once.
func TestDeletedRenewalPauses(t *testing.T) {
	t.Parallel()
	p := &stepping{}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	count := 0
	p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		if count++; count == 1 {
			return nil, issue(t, req)
		}
		return nil, provider.Pending(h.clock.Now().Add(day), "waiting for approval")
	}
	h.mustSetIssuer("ca", "ca")
	h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	h.until(*h.mustCertificate("web").Attributes.Expires)
	if count != 2 {
		t.Fatalf("%d requests", count)
	}
	if err := second(h.DeleteOperation(context.Background(), name(t, "web"), "")); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if count != 2 {
		t.Error("renewed again at once")
	}
}

// TestAdvice: the CA's window moves a renewal forward, to a time that is chosen
// once; a policy's earlier time stays.
func TestAdvice(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 90*day)
	first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	issued := *first.Attributes.NotBefore
	ca.info = &provider.RenewalInfo{Start: issued.Add(10 * day), End: issued.Add(20 * day), Again: time.Minute}
	var at time.Time
	for h.clock.Now().Before(issued.Add(30*day)) && len(ca.reqs) == 1 {
		h.clock.Advance(time.Hour)
		h.mustTick()
		at = h.clock.Now()
	}
	if len(ca.reqs) != 2 || at.Before(ca.info.Start) || at.After(ca.info.End.Add(time.Hour)) {
		t.Errorf("%d requests, the last at %s, %s after the first", len(ca.reqs), at, at.Sub(issued))
	}
	if most := int(at.Sub(issued) / (6 * time.Hour)); ca.asked > most+1 || ca.asked < most-1 {
		t.Errorf("asked %d times in %s, want once in 6 hours however often the CA wants it", ca.asked, at.Sub(issued))
	}
	// The next version's window is later than the policy's time.
	second := h.mustCertificate("web")
	issued = *second.Attributes.NotBefore
	ca.info = &provider.RenewalInfo{Start: issued.Add(85 * day), End: issued.Add(86 * day)}
	h.until(issued.Add(10 * day))
	h.until(issued.Add(75 * day))
	if len(ca.reqs) != 3 {
		t.Errorf("a later window kept the policy from its time: %d requests", len(ca.reqs))
	}
}

// TestBadAdvice: no answer of a CA makes a storm.
func TestBadAdvice(t *testing.T) {
	t.Parallel()
	for what, info := range map[string]provider.RenewalInfo{
		"always now":   {Start: time.Unix(0, 0), End: time.Unix(1, 0)},
		"backwards":    {Start: time.Unix(2, 0), End: time.Unix(1, 0)},
		"ask at once":  {Start: time.Unix(0, 0), End: time.Unix(1, 0), Again: time.Nanosecond},
		"never again":  {Start: time.Unix(0, 0), End: time.Unix(1, 0), Again: 1 << 62},
		"the zero one": {},
	} {
		h, ca := newRenewing(t, 90*day)
		ca.info = &info
		h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
		for range 10 * 24 {
			h.clock.Advance(time.Hour)
			h.mustTick()
		}
		if len(ca.reqs) > 11 || ca.asked > 10*4 {
			t.Errorf("%s: %d requests and %d questions in ten days", what, len(ca.reqs), ca.asked)
		}
	}
}

// TestUsersComeFirst: a crowd of renewals does not stand before what a person
// asked for, and begins little by little.
func TestUsersComeFirst(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 30*day)
	const many = 40
	for i := range many {
		h.mustIssue(fmt.Sprintf("c%d", i), vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	}
	h.clock.Advance(28 * day) // an outage: all are due
	if err := second(h.Create(context.Background(), name(t, "zebra"), vault.CreateParams{Policy: policyFor("ca")})); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(2 * time.Second)
	before := len(ca.reqs)
	h.mustTick()
	if ca.reqs[before].Certificate != "zebra" {
		t.Errorf("the first request after the outage is for %s", ca.reqs[before].Certificate)
	}
	if got := len(ca.reqs) - before - 1; got != 5 {
		t.Errorf("a tick renewed %d, want 5", got)
	}
	for range many {
		h.clock.Advance(time.Minute)
		h.mustTick()
	}
	if got := len(ca.reqs) - before - 1; got != many {
		t.Errorf("%d of %d renewed in the end", got, many)
	}
}

// TestStepsThatComeToNothingEnd: an operation whose every step fails is set aside
// with its reason, and may be retried.
func TestStepsThatComeToNothingEnd(t *testing.T) {
	t.Parallel()
	p := &stepping{step: func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		return nil, provider.Retry(time.Time{}, errors.New("the zone is gone"))
	}}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	for range 71 {
		h.clock.Advance(time.Hour)
		h.mustTick()
	}
	if op := h.mustOperation("web"); op.Status != vault.StatusInProgress {
		t.Fatalf("after %s the operation is %s", 71*time.Hour, op.Status)
	}
	for range 3 {
		h.clock.Advance(time.Hour)
		h.mustTick()
	}
	op := h.mustOperation("web")
	if want := "Every step since 2026-03-01T13:00:00Z has failed. The last answer was: the zone is gone"; op.Status != vault.StatusFailed || op.Error.Message != want {
		t.Errorf("after three days the operation is %s, error %+v, want %q", op.Status, op.Error, want)
	}
	if _, err := h.RetryOperation(context.Background(), name(t, "web"), "", ""); err != nil {
		t.Error(err)
	}
}
