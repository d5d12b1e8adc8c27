package vault_test

// Events about the end of a validity.

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// living makes a certificate with a validity of its own.
func living(t testing.TB, from, to time.Time) string {
	t.Helper()
	key, err := pooledKey(ecP256)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "example.com"}, NotBefore: from, NotAfter: to,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return existing{key, []*x509.Certificate{cert}}.pem(t, cert)
}

// importLiving imports one under a policy with these lifetime actions.
func (h *harness) importLiving(n string, life time.Duration, actions ...policy.LifetimeAction) vault.Certificate {
	h.t.Helper()
	from := h.clock.Now()
	return h.mustImport(n, vault.ImportParams{
		Value:  living(h.t, from, from.Add(life)),
		Policy: &policy.Params{LifetimeActions: append([]policy.LifetimeAction{}, actions...)},
	})
}

const day = 24 * time.Hour

// TestExpiryEvents: each version is told to be near its expiry once, and expired
// once, at its time and not before.
func TestExpiryEvents(t *testing.T) {
	t.Parallel()
	email := func(a policy.LifetimeAction) policy.LifetimeAction {
		a.Action = policy.ActionEmailContacts
		return a
	}
	renew := policy.LifetimeAction{Percentage: 50, Action: policy.ActionAutoRenew}
	for _, test := range []struct {
		what    string
		life    time.Duration
		actions []policy.LifetimeAction
		near    time.Duration // before expiry
	}{
		{"a year, no action", 365 * day, nil, 30 * day},
		{"a year that renews itself", 365 * day, []policy.LifetimeAction{renew}, 30 * day},
		{"90 days", 90 * day, nil, 30 * day},
		{"a week", 6 * day, nil, 2 * day},
		{"an hour", time.Hour, nil, 20 * time.Minute},
		{"a percentage", 100 * day, []policy.LifetimeAction{email(policy.LifetimeAction{Percentage: 80})}, 20 * day},
		{"99 % of 20 years", 20 * 365 * day, []policy.LifetimeAction{email(policy.LifetimeAction{Percentage: 99})}, 73 * day},
		{"days", 365 * day, []policy.LifetimeAction{email(policy.LifetimeAction{DaysBefore: 90})}, 90 * day},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			told := new(recorder)
			h := tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
			imported := h.importLiving("web", test.life, test.actions...)
			expires := *imported.Attributes.Expires
			h.mustTick()
			told.take()
			at := func(when time.Time, want ...vault.EventType) {
				t.Helper()
				h.clock.Advance(when.Sub(h.clock.Now()))
				h.mustTick()
				got := told.take()
				if diff := cmp.Diff(want, typesOf(got)); diff != "" {
					t.Errorf("%s before its expiry (-want +got):\n%s", expires.Sub(when), diff)
				}
				for _, e := range got {
					if e.Version != imported.Version || !e.Expires.Equal(expires) || e.Certificate != "web" {
						t.Errorf("told %+v", e)
					}
				}
			}
			near := expires.Add(-test.near)
			at(near.Add(-time.Minute)) // a tick waits for what falls due in 20 s
			at(near, vault.EventNearExpiry)
			at(near.Add(time.Minute))
			at(expires.Add(-time.Minute))
			at(expires, vault.EventExpired)
			at(expires.Add(day))
		})
	}
}

// TestNoNearExpiryAfterExpiry: after an outage one event says it all.
func TestNoNearExpiryAfterExpiry(t *testing.T) {
	t.Parallel()
	told := new(recorder)
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
	h.importLiving("web", 90*day)
	h.mustTick()
	told.take()
	h.clock.Advance(91 * day)
	h.mustTick()
	if diff := cmp.Diff([]vault.EventType{vault.EventExpired}, told.types()); diff != "" {
		t.Errorf("the first tick after both (-want +got):\n%s", diff)
	}
}

// TestNextVersionIsWatched: what was told, or not, of the version before counts
// no more.
func TestNextVersionIsWatched(t *testing.T) {
	t.Parallel()
	told := new(recorder)
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
	h.importLiving("web", 90*day)
	h.clock.Advance(60 * day)
	h.mustTick()
	if diff := cmp.Diff([]vault.EventType{vault.EventNearExpiry, vault.EventNewVersion}, typesOf(told.take())); diff != "" {
		t.Errorf("the first version (-want +got):\n%s", diff)
	}
	second := h.importLiving("web", 90*day)
	h.clock.Advance(59 * day) // past the first's expiry
	h.mustTick()
	if diff := cmp.Diff([]vault.EventType{vault.EventNewVersion}, told.types()); diff != "" {
		t.Errorf("the second version (-want +got):\n%s", diff)
	}
	h.clock.Advance(day)
	h.mustTick()
	if got := told.take(); len(got) != 1 || got[0].Type != vault.EventNearExpiry || got[0].Version != second.Version {
		t.Errorf("at the second's time: %+v", got)
	}
}

// TestExpiryOfWhatIsNotServed: a disabled version expires like another; what is
// deleted is silent until it is recovered.
func TestExpiryOfWhatIsNotServed(t *testing.T) {
	t.Parallel()
	told := new(recorder)
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
	ctx := context.Background()
	no := false
	for _, n := range []string{"disabled", "deleted"} {
		h.importLiving(n, 90*day)
	}
	if _, err := h.UpdateVersion(ctx, name(t, "disabled"), "", vault.UpdateParams{Attributes: vault.AttributeParams{Enabled: &no}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Delete(ctx, name(t, "deleted")); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	told.take()
	h.clock.Advance(60 * day)
	h.mustTick()
	if got := told.take(); len(got) != 1 || got[0].Certificate != "disabled" {
		t.Errorf("near expiry: %+v", got)
	}
	if _, err := h.Recover(ctx, name(t, "deleted")); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if got := told.take(); len(got) != 1 || got[0].Certificate != "deleted" || got[0].Type != vault.EventNearExpiry {
		t.Errorf("after it was recovered: %+v", got)
	}
}

// TestPolicyMovesNearExpiry: a change of the policy moves what is still to come.
func TestPolicyMovesNearExpiry(t *testing.T) {
	t.Parallel()
	told := new(recorder)
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
	h.importLiving("web", 100*day)
	h.mustTick()
	told.take()
	_, err := h.UpdatePolicy(context.Background(), name(t, "web"), policy.Params{
		LifetimeActions: []policy.LifetimeAction{{Percentage: 50, Action: policy.ActionEmailContacts}}})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(50 * day)
	h.mustTick()
	if got := told.take(); len(got) != 1 || got[0].Type != vault.EventNearExpiry || !got[0].Contacts {
		t.Errorf("at half of its life: %+v", got)
	}
}

// TestExpiryInTheFarFuture: a date beyond what keys can hold does not stand
// before others.
func TestExpiryInTheFarFuture(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	for _, year := range []int{2290, 2500, 9999} {
		h.mustImport(fmt.Sprintf("root%d", year), vault.ImportParams{Value: living(t, h.clock.Now(), time.Date(year, 12, 31, 23, 59, 59, 0, time.UTC))})
	}
	h.mustCreate("web", "Self")
	if report := h.mustTick(); report.Advanced != 1 {
		t.Errorf("the tick reports %+v", report)
	}
	for _, year := range []int{2290, 2500, 9999} {
		h.mustDestroy(fmt.Sprintf("root%d", year))
	}
}

// TestHeadOfAnEarlierProgram: a head that was written before there were events
// and renewals has no due rows of them, and gets them with its next change.
func TestHeadOfAnEarlierProgram(t *testing.T) {
	t.Parallel()
	h, _ := newRenewing(t, 90*day)
	h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})})
	h.mustAge("c:web", "told", "renewal")
	h.mustLose("d:1:")
	h.mustLose("d:2:")
	if _, err := h.UpdateVersion(t.Context(), name(t, "web"), "", vault.UpdateParams{Tags: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	contents := h.store.Contents()
	if err := vault.Invariants(contents.Rows, contents.Blobs); err != nil {
		t.Errorf("after its next change: %v", err)
	}
	h.mustDestroy("web")
}
