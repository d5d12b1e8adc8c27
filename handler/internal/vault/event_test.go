package vault_test

// Which change tells of which event.

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
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
	p := &stepping{step: func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
		return nil, provider.Failed("Denied", "example.com is on a list")
	}}
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, map[string]provider.Provider{"ca": p})
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
		Expires: *cert.Attributes.Expires, Issuer: "corp", AutoRenew: true, RequestID: op.RequestID, Code: "Denied", Message: "example.com is on a list",
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
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, map[string]provider.Provider{"ca": ca})
	ca.clock = h.clock
	h.mustSetIssuer("corp", "ca")
	cert := h.mustIssue("web", vault.CreateParams{Policy: renewed("corp", policy.LifetimeAction{Percentage: 80})})
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
			Providers: map[string]provider.Provider{"self": &stepping{}}, Destinations: ds})
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
