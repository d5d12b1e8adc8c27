package vault_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestPausesFitTheLife: however short the life, a CA that refuses is asked again
// often enough for a version to be renewed that was mended shortly before its end.
func TestPausesFitTheLife(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		life   time.Duration
		mended time.Duration // before expiry
		mend   func(t *testing.T, h *harness)
	}{
		{time.Hour, 11 * time.Minute, nil},
		{4 * time.Hour, 20 * time.Minute, nil},
		{24*time.Hour - time.Second, 90 * time.Minute, nil},
		{7 * day, 12 * time.Hour, nil},
		{90 * day, 18 * time.Hour, nil},
		{90 * day, 6 * time.Minute, changePolicy},
		{90 * day, 6 * time.Minute, changeIssuer},
		{90 * day, 6 * time.Minute, replaceIssuer},
		{90 * day, -20 * day, nil}, // after it
	} {
		t.Run(fmt.Sprint(test.life, " mended ", test.mended, " before, a change: ", test.mend != nil), func(t *testing.T) {
			t.Parallel()
			h, ca := newRenewing(t, test.life)
			first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
			ca.fail = "permission denied"
			expires := *first.Attributes.Expires
			step := max(time.Minute, test.life/2000)
			for h.clock.Now().Before(expires.Add(-test.mended)) {
				h.clock.Advance(step)
				h.mustTick()
			}
			ca.fail = ""
			end := expires
			switch {
			case test.mended < 0:
				end = h.clock.Now().Add(33 * time.Hour)
			case test.mend != nil:
				test.mend(t, h)
				end = h.clock.Now().Add(time.Minute)
			}
			for h.clock.Now().Before(end) {
				h.clock.Advance(time.Minute)
				h.mustTick()
			}
			if h.mustCertificate("web").Version == first.Version {
				t.Errorf("not renewed by %s; it expires at %s", end, expires)
			}
		})
	}
}

func changePolicy(t *testing.T, h *harness) {
	if _, err := h.UpdatePolicy(t.Context(), name(t, "web"), policy.Params{X509: &policy.X509Params{Subject: new("CN=mended.example.com")}}); err != nil {
		t.Fatal(err)
	}
}

func changeIssuer(t *testing.T, h *harness) {
	if _, err := h.UpdateIssuer(t.Context(), issuerName(t, "CA"), vault.IssuerSet{Password: new("another")}); err != nil {
		t.Fatal(err)
	}
}

func replaceIssuer(t *testing.T, h *harness) { h.mustSetIssuer("ca", "ca") }

// TestShortLivesAreTriedOften: at lives below a day a pause is at most five minutes or
// a tenth of what remains.
func TestShortLivesAreTriedOften(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 10*time.Hour)
	first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 60})})
	ca.fail = "down for a moment"
	expires, last := *first.Attributes.Expires, time.Time{}
	for tries := len(ca.reqs); h.clock.Now().Before(expires); h.clock.Advance(30 * time.Second) {
		now := h.clock.Now()
		h.mustTick()
		if len(ca.reqs) == tries {
			continue
		}
		tries = len(ca.reqs)
		if most := max(5*time.Minute, expires.Sub(last)/10) + 2*time.Minute; !last.IsZero() && now.Sub(last) > most {
			t.Errorf("%s before expiry the pause was %s, want at most %s", expires.Sub(last), now.Sub(last), most)
		}
		last = now
	}
	if left := expires.Sub(last); left > 6*time.Minute {
		t.Errorf("the last try was %s before expiry", left)
	}
}

// TestStepsOfShortLives: nor does a renewal that cannot reach its CA sleep the life
// of the version away.
func TestStepsOfShortLives(t *testing.T) {
	t.Parallel()
	p := new(stepping)
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	steps := 0
	p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		if steps++; steps > 1 && steps < 12 {
			return nil, provider.Retry(time.Time{}, errDown)
		}
		return nil, issueFrom(t, req, h.clock.Now(), 2*time.Hour)
	}
	h.mustSetIssuer("ca", "ca")
	first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 50})})
	for h.clock.Now().Before(*first.Attributes.Expires) {
		h.clock.Advance(time.Minute)
		h.mustTick()
	}
	if h.mustCertificate("web").Version == first.Version {
		t.Errorf("not renewed after %d steps", steps)
	}
}

// TestNearExpiryOfShortLives: days that a CA's lives leave no room for are told of
// after two thirds of the life, not when the version is issued.
func TestNearExpiryOfShortLives(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		life time.Duration
		days int
		want time.Duration // after it was issued
	}{
		{47 * day, 60, 47 * day * 2 / 3},
		{47 * day, 46, 47 * day * 2 / 3},
		{47 * day, 30, 17 * day},
		{6 * day, 30, 4 * day},
	} {
		ca := &renewing{t: t, life: test.life}
		h := newHarness(t, map[string]provider.Provider{"ca": ca})
		ca.clock = h.clock
		told := new(recorder)
		h.Vault = open(t, h.store, h.clock, map[string]provider.Provider{"ca": ca}, func(c *vault.Config) { c.Destinations = map[string]vault.Destination{"mail": told} })
		h.mustSetIssuer("ca", "ca")
		p := policyFor("ca")
		p.LifetimeActions = []policy.LifetimeAction{{DaysBefore: test.days, Action: policy.ActionEmailContacts}}
		c := h.mustIssue("web", vault.CreateParams{Policy: p})
		issued := *c.Attributes.NotBefore
		for _, at := range []time.Duration{time.Hour, test.want - time.Hour} {
			h.until(issued.Add(at))
			for _, e := range told.take() {
				if e.Type == vault.EventNearExpiry {
					t.Errorf("%d days of %s: told %s after it was issued", test.days, test.life, h.clock.Now().Sub(issued))
				}
			}
		}
		h.until(issued.Add(test.want + time.Minute))
		near := 0
		for _, e := range told.take() {
			if e.Type == vault.EventNearExpiry {
				near++
			}
		}
		if near != 1 {
			t.Errorf("%d days of %s: told %d times at %s", test.days, test.life, near, test.want)
		}
	}
}

// TestRestoredIsAsked: a CA is asked when to renew what came from a backup, also when
// its issuer object is another by then.
func TestRestoredIsAsked(t *testing.T) {
	t.Parallel()
	for _, another := range []bool{false, true} {
		h, ca := newRenewing(t, 90*day)
		first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
		blob, err := h.Backup(t.Context(), name(t, "web"))
		if err != nil {
			t.Fatal(err)
		}
		if another {
			h = newHarnessWith(t, h.clock, map[string]provider.Provider{"ca": ca})
			h.mustSetIssuer("ca", "ca")
		} else {
			if err := second(h.Delete(t.Context(), name(t, "web"))); err != nil {
				t.Fatal(err)
			}
			if err := h.Purge(t.Context(), name(t, "web")); err != nil {
				t.Fatal(err)
			}
		}
		if err := second(h.Restore(t.Context(), blob)); err != nil {
			t.Fatal(err)
		}
		ca.info = &provider.RenewalInfo{Start: h.clock.Now().Add(day), End: h.clock.Now().Add(25 * time.Hour)}
		for range 3 {
			h.until(h.clock.Now().Add(day))
		}
		if ca.asked == 0 || h.mustCertificate("web").Version == first.Version {
			t.Errorf("another issuer object: %t: asked %d times", another, ca.asked)
		}
	}
}

// TestRenewalWithTheSameCertificate: a CA that finds the certificate of the key, and
// returns it, has renewed nothing.
func TestRenewalWithTheSameCertificate(t *testing.T) {
	t.Parallel()
	var first *provider.Outcome
	p := new(stepping)
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	p.step = func(_ context.Context, req provider.Request, s json.RawMessage) (json.RawMessage, provider.Outcome) {
		if first == nil {
			out := issueFrom(t, req, h.clock.Now(), 90*day)
			first = &out
		}
		return s, *first
	}
	h.mustSetIssuer("ca", "ca")
	pol := renewed("ca", policy.LifetimeAction{Percentage: 80})
	pol.Key.Reuse = new(true)
	h.mustIssue("web", vault.CreateParams{Policy: pol})
	for range 80 {
		h.until(h.clock.Now().Add(day))
	}
	list, _, err := h.Versions(t.Context(), name(t, "web"), vault.Page{Max: 25})
	if op := h.mustOperation("web"); err != nil || len(list) != 1 || op.Status != vault.StatusFailed || op.Error.Code != provider.CodeIssuerError {
		t.Errorf("%d versions, %v; the operation is %s, %+v", len(list), err, op.Status, op.Error)
	}
}

// TestAdviceIsDrawnOnce: the time in a CA's window is chosen at random when the window
// is new, and stays however often the CA is asked.
func TestAdviceIsDrawnOnce(t *testing.T) {
	t.Parallel()
	h, ca := newRenewing(t, 90*day)
	first := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	start := first.Attributes.NotBefore.Add(20 * day)
	ca.info = &provider.RenewalInfo{Start: start, End: start.Add(30 * day)}
	drawn := func() string { return h.drawn(t, "web") }
	h.until(first.Attributes.NotBefore.Add(day))
	want := drawn()
	for range 10 {
		h.until(h.clock.Now().Add(day))
		if got := drawn(); got != want || want == "" {
			t.Fatalf("asked %d times, the time is %s, and was %s", ca.asked, got, want)
		}
	}
	if ca.asked < 10 {
		t.Fatalf("asked %d times", ca.asked)
	}
	ca.info = &provider.RenewalInfo{Start: start.Add(time.Hour), End: start.Add(31 * day)}
	h.until(h.clock.Now().Add(day))
	if got := drawn(); got == want {
		t.Error("another window does not draw another time")
	}
}

// drawn is the time that was chosen in a CA's window, as it is stored.
func (h *harness) drawn(t *testing.T, n string) string {
	t.Helper()
	var head struct {
		Renewal struct{ Advice struct{ At string } }
	}
	if err := json.Unmarshal(rowAt(t, h.store, "c:"+n), &head); err != nil {
		t.Fatal(err)
	}
	return head.Renewal.Advice.At
}

func rowAt(t *testing.T, s *memory.Store, key string) []byte {
	t.Helper()
	row, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return row.Doc
}

// TestReuseNeedsTheSameKind: reuse_key takes the key of the version before only where
// type, size and curve are those that the policy asks for.
func TestReuseNeedsTheSameKind(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct{ first, then policy.KeyParams }{
		"size":  {policy.KeyParams{Type: new("RSA"), Size: new(2048)}, policy.KeyParams{Type: new("RSA"), Size: new(3072)}},
		"curve": {policy.KeyParams{Type: new("EC"), Curve: new("P-256")}, policy.KeyParams{Type: new("EC"), Curve: new("P-384")}},
		"type":  {policy.KeyParams{Type: new("RSA"), Size: new(2048)}, policy.KeyParams{Type: new("EC"), Curve: new("P-256")}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			keyOf := func(k policy.KeyParams) (vault.Key, vault.Operation) {
				p := policyFor("Self")
				k.Reuse = new(true)
				p.Key = &k
				h.mustIssue("web", vault.CreateParams{Policy: p})
				key, err := h.Key(t.Context(), name(t, "web"), "")
				if err != nil {
					t.Fatal(err)
				}
				return key, h.mustOperation("web")
			}
			_, before := keyOf(test.first)
			key, after := keyOf(test.then)
			if before.KeyID == after.KeyID || after.KeyShared {
				t.Error("the key of another kind was kept")
			}
			if test.then.Curve != nil && key.Curve != *test.then.Curve || key.Type != *test.then.Type {
				t.Errorf("the key is of type %s on %s", key.Type, key.Curve)
			}
			if _, again := keyOf(test.then); again.KeyID != after.KeyID {
				t.Error("the key of the same kind was not kept")
			}
		})
	}
}
