package vault_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/certwright/certwright/handler/internal/vault"
)

// TestNewVersionEvents: every way to a new version tells of it, and a restore,
// which brings back what was told before, does not.
func TestNewVersionEvents(t *testing.T) {
	t.Parallel()
	told := new(recorder)
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
	ctx := context.Background()
	expect := func(how string, cert vault.Certificate, issuer string) {
		t.Helper()
		h.mustTick()
		want := []vault.Event{{
			Type: vault.EventNewVersion, Time: h.clock.Now(), Certificate: cert.Name, Version: cert.Version,
			NotBefore: *cert.Attributes.NotBefore, Expires: *cert.Attributes.Expires, Issuer: issuer,
			Contacts: issuer == "Unknown", AutoRenew: issuer == "Self",
		}}
		got := told.take()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(vault.Event{}, "ID"), cmpopts.EquateApproxTime(time.Minute)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", how, diff)
		}
		if len(got) == 1 && !regexp.MustCompile("^[0-9a-f]{32}$").MatchString(got[0].ID) {
			t.Errorf("%s: ID is %q", how, got[0].ID)
		}
		if left := h.undelivered(); len(left) > 0 {
			t.Errorf("%s: %+v is left", how, left)
		}
	}
	must := func(cert vault.Certificate, err error) vault.Certificate {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	h.mustCreate("Web", "Self")
	h.mustTick()
	expect("create", must(h.Certificate(ctx, name(t, "web"))), "Self")
	h.mustCreate("merged", "Unknown")
	merged := must(h.Merge(ctx, name(t, "merged"), vault.MergeParams{X5C: []string{signed(t, h.mustOperation("merged").CSR, 9)}}))
	expect("merge", merged, "Unknown")
	imported := h.mustImport("imported", vault.ImportParams{Value: newExisting(t, ecP256, h.clock.Now()).pfx(t)})
	expect("import", imported, "Unknown")
	backup, err := h.Backup(ctx, name(t, "imported"))
	if err != nil {
		t.Fatal(err)
	}
	h.mustDestroy("imported")
	must(h.Restore(ctx, backup))
	h.mustTick()
	if got := told.take(); len(got) > 0 {
		t.Errorf("a restore told %+v", got)
	}
}

func TestOperationFailedEvent(t *testing.T) {
	t.Parallel()
	told := new(recorder)
	p := &provider{step: func(context.Context, vault.Request, json.RawMessage) (json.RawMessage, vault.Outcome) {
		return nil, vault.Failed("Denied", "example.com is on a list")
	}}
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, map[string]vault.Issuer{"ca": p})
	h.mustSetIssuer("corp", "ca")
	h.mustCreate("web", "Self")
	h.mustTick()
	cert, err := h.Certificate(context.Background(), name(t, "web"))
	if err != nil {
		t.Fatal(err)
	}
	told.take()
	op := h.mustCreate("web", "corp")
	h.mustTick()
	got := told.take()
	want := []vault.Event{{
		Type: vault.EventOperationFailed, Certificate: "web", Version: cert.Version, NotBefore: *cert.Attributes.NotBefore,
		Expires: *cert.Attributes.Expires, Issuer: "corp", Contacts: true, RequestID: op.RequestID, Code: "Denied", Message: "example.com is on a list",
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(vault.Event{}, "ID", "Time")); diff != "" {
		t.Errorf("a failed operation (-want +got):\n%s", diff)
	}
	h.mustCreate("first", "corp")
	if _, err := h.Cancel(context.Background(), name(t, "first"), "", true); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if got := told.take(); len(got) > 0 {
		t.Errorf("a cancelled operation told %+v", got)
	}
}

// TestFailedRenewalEvents: a renewal that the CA refuses is told of each time,
// and so is one that cannot even begin, while the version before stays.
func TestFailedRenewalEvents(t *testing.T) {
	t.Parallel()
	told := new(recorder)
	ca := &renewing{t: t, life: 90 * day}
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, map[string]vault.Issuer{"ca": ca})
	ca.clock = h.clock
	h.mustSetIssuer("corp", "ca")
	cert := h.mustIssue("web", vault.CreateParams{Policy: renewed("corp", vault.LifetimeAction{Percentage: 80})})
	told.take()
	ca.fail = "example.com is on a list"
	h.clock.Advance(80 * day)
	expect := func(what string, message string, began bool) {
		t.Helper()
		h.mustTick()
		h.mustTick() // which moves on what the first began
		var failed []vault.Event
		for _, e := range told.take() {
			if e.Type == vault.EventOperationFailed {
				failed = append(failed, e)
			}
		}
		if len(failed) != 1 || !failed[0].Renewal || failed[0].Version != cert.Version || failed[0].Issuer != "corp" || !strings.Contains(failed[0].Message, message) || (failed[0].RequestID != "") != began {
			t.Errorf("%s: told %+v", what, failed)
		}
	}
	expect("refused", ca.fail, true)
	h.clock.Advance(2 * time.Hour)
	expect("refused again", ca.fail, true)
	if _, err := h.DeleteIssuer(t.Context(), issuerName(t, "corp")); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(4 * time.Hour)
	expect("without its issuer", `"corp": must be Self, Unknown or an issuer that was set in this vault`, false)
}

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
func (h *harness) importLiving(n string, life time.Duration, actions ...vault.LifetimeAction) vault.Certificate {
	h.t.Helper()
	from := h.clock.Now()
	return h.mustImport(n, vault.ImportParams{
		Value:  living(h.t, from, from.Add(life)),
		Policy: &vault.PolicyParams{LifetimeActions: append([]vault.LifetimeAction{}, actions...)},
	})
}

const day = 24 * time.Hour

// TestExpiryEvents: each version is told to be near its expiry once, and expired
// once, at its time and not before.
func TestExpiryEvents(t *testing.T) {
	t.Parallel()
	email := func(a vault.LifetimeAction) vault.LifetimeAction {
		a.Action = vault.ActionEmailContacts
		return a
	}
	renew := vault.LifetimeAction{Percentage: 50, Action: vault.ActionAutoRenew}
	for _, test := range []struct {
		what    string
		life    time.Duration
		actions []vault.LifetimeAction
		near    time.Duration // before expiry
	}{
		{"a year, no action", 365 * day, nil, 30 * day},
		{"a year that renews itself", 365 * day, []vault.LifetimeAction{renew}, 30 * day},
		{"90 days", 90 * day, nil, 30 * day},
		{"a week", 6 * day, nil, 2 * day},
		{"an hour", time.Hour, nil, 20 * time.Minute},
		{"a percentage", 100 * day, []vault.LifetimeAction{renew, email(vault.LifetimeAction{Percentage: 80})}, 20 * day},
		{"99 % of 20 years", 20 * 365 * day, []vault.LifetimeAction{email(vault.LifetimeAction{Percentage: 99})}, 73 * day},
		{"days", 365 * day, []vault.LifetimeAction{email(vault.LifetimeAction{DaysBefore: 90})}, 90 * day},
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
	_, err := h.UpdatePolicy(context.Background(), name(t, "web"), vault.PolicyParams{
		LifetimeActions: []vault.LifetimeAction{{Percentage: 50, Action: vault.ActionEmailContacts}}})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(50 * day)
	h.mustTick()
	if got := told.take(); len(got) != 1 || got[0].Type != vault.EventNearExpiry || !got[0].Contacts {
		t.Errorf("at half of its life: %+v", got)
	}
}

// TestWithoutDestinations: what happens while nobody is to be told leaves no row,
// and what is still to come is told to those who are configured later.
func TestWithoutDestinations(t *testing.T) {
	t.Parallel()
	told := new(recorder)
	h := tellingHarness(t, nil, nil)
	h.importLiving("web", 90*day)
	h.mustTick()
	if left := h.undelivered(); len(left) > 0 {
		t.Errorf("without destinations %+v was written", left)
	}
	nothing := &recorder{wants: func(vault.Event) bool { return false }}
	h.Vault = openWith(t, h.store, h.clock, func(cfg *vault.Config) {
		cfg.Destinations = map[string]vault.Destination{"siem": told, "mail": nothing}
	})
	h.clock.Advance(60 * day)
	h.mustTick()
	if diff := cmp.Diff([]vault.EventType{vault.EventNearExpiry}, told.types()); diff != "" {
		t.Errorf("configured later (-want +got):\n%s", diff)
	}
	if got := nothing.take(); len(got) > 0 {
		t.Errorf("who wants nothing was told %+v", got)
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

func TestDestinationsAreChecked(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	many := make(map[string]vault.Destination)
	for i := range 9 {
		many[fmt.Sprint(i)] = new(recorder)
	}
	for what, ds := range map[string]map[string]vault.Destination{
		"nine":           many,
		"no name":        {"": new(recorder)},
		"a colon":        {"a:b": new(recorder)},
		"upper case":     {"SIEM": new(recorder)},
		"a long name":    {"a23456789012345678901234567890123": new(recorder)},
		"no destination": {"siem": nil},
	} {
		sealer := testSealer(t)
		_, err := vault.New(vault.Config{Store: h.store, Seal: sealer.Seal, Open: sealer.Open,
			Issuers: map[string]vault.Issuer{"self": &provider{}}, Destinations: ds})
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// TestHeadOfAnEarlierProgram: a head that was written before there were events
// has no due rows of them, and gets them with its next change.
func TestHeadOfAnEarlierProgram(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.importLiving("web", 90*day)
	h.store.OnCommit(nil) // the invariants are this program's
	head, err := h.store.Get(t.Context(), "c:web")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(head.Doc, &doc); err != nil {
		t.Fatal(err)
	}
	delete(doc, "told")
	if head.Doc, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	tx := vault.Tx{Actions: []vault.Action{{Verb: vault.Put, Row: head}}}
	for _, r := range h.store.Contents().Rows {
		if strings.HasPrefix(r.Key, "d:2:") {
			tx.Actions = append(tx.Actions, vault.Action{Verb: vault.Remove, Row: vault.Row{Key: r.Key}})
		}
	}
	if _, err := h.store.Commit(t.Context(), tx); err != nil || len(tx.Actions) != 3 {
		t.Fatal(len(tx.Actions), err)
	}
	if _, err := h.UpdateVersion(t.Context(), name(t, "web"), "", vault.UpdateParams{Tags: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	contents := h.store.Contents()
	if err := vault.Invariants(contents.Rows, contents.Blobs); err != nil {
		t.Errorf("after its next change: %v", err)
	}
	h.mustDestroy("web")
}
