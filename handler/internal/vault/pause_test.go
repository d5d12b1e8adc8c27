package vault_test

// Pauses of issuers.

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestPause(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := t.Context(), issuerName(t, "ca")
	if _, err := h.PauseIssuer(ctx, n, time.Time{}, ""); reason(t, err) != vault.IssuerNotFound {
		t.Errorf("pausing an issuer that is not there: %v", err)
	}
	if _, err := h.ResumeIssuer(ctx, n); reason(t, err) != vault.IssuerNotFound {
		t.Errorf("resuming an issuer that is not there: %v", err)
	}
	h.mustScript("ca", "issue")
	since := h.clock.Now()
	if _, err := h.PauseIssuer(ctx, n, since, ""); reason(t, err) != vault.BadParameter {
		t.Errorf("pausing until now: %v", err)
	}
	if _, err := h.PauseIssuer(ctx, n, time.Time{}, strings.Repeat("x", 1025)); reason(t, err) != vault.BadParameter {
		t.Errorf("pausing for a long reason: %v", err)
	}
	want := func(want *vault.Pause) {
		t.Helper()
		got, err := h.Issuer(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Pause); diff != "" {
			t.Errorf("pause (-want +got):\n%s", diff)
		}
	}
	want(nil)
	if _, err := h.PauseIssuer(ctx, n, time.Time{}, "maintenance"); err != nil {
		t.Fatal(err)
	}
	want(&vault.Pause{Since: since, By: "operator", Reason: "maintenance"})
	// Another word on the same pause.
	h.clock.Advance(time.Minute)
	until := since.Add(time.Hour)
	if _, err := h.PauseIssuer(ctx, n, until, "longer"); err != nil {
		t.Fatal(err)
	}
	paused := &vault.Pause{Since: since, Until: until, By: "operator", Reason: "longer"}
	want(paused)
	// What a person has paused stays so when the issuer object changes.
	h.mustScript("ca", "hold")
	want(paused)
	if _, err := h.UpdateIssuer(ctx, n, vault.IssuerSet{Password: new("secret")}); err != nil {
		t.Fatal(err)
	}
	want(paused)
	if _, err := h.ResumeIssuer(ctx, n); err != nil {
		t.Fatal(err)
	}
	want(nil)
}

// TestBreakerIsClosedByAChange: new credentials are tried at once.
func TestBreakerIsClosedByAChange(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*harness) error{
		"set": func(h *harness) error {
			return second(h.SetIssuer(t.Context(), issuerName(t, "ca"), vault.IssuerSet{Provider: new("Test")}))
		},
		"update": func(h *harness) error {
			return second(h.UpdateIssuer(t.Context(), issuerName(t, "ca"), vault.IssuerSet{Password: new("secret")}))
		},
		"resume": func(h *harness) error { return second(h.ResumeIssuer(t.Context(), issuerName(t, "ca"))) },
	} {
		h := newHarness(t, nil)
		h.mustScript("ca", "issue")
		row, err := h.store.Get(t.Context(), "i:ca")
		if err != nil {
			t.Fatal(err)
		}
		row.Doc = []byte(strings.Replace(string(row.Doc), `{`, `{"pause":{"since":"2026-03-01T12:00:00Z","by":"breaker","reason":"down"},`, 1))
		if _, err := trusted(t, h.store).Commit(t.Context(), store.Tx{Actions: []store.Action{{Verb: store.Put, Row: row}}}); err != nil {
			t.Fatal(err)
		}
		if o, err := h.Issuer(t.Context(), issuerName(t, "ca")); err != nil || o.Pause == nil || o.Pause.By != "breaker" {
			t.Fatalf("%s: the issuer is %+v, %v", what, o, err)
		}
		if err := change(h); err != nil {
			t.Fatal(err)
		}
		if o, err := h.Issuer(t.Context(), issuerName(t, "ca")); err != nil || o.Pause != nil {
			t.Errorf("%s: the pause is %+v, %v", what, o.Pause, err)
		}
	}
}

// replacing is a provider that has an account at its CA.
type replacing struct {
	stepping
	replaced []string // issuers, with their passwords
	fails    error
}

func (p *replacing) ReplaceAccount(_ context.Context, issuer provider.Issuer) error {
	p.replaced = append(p.replaced, issuer.Name+" "+issuer.Password)
	return p.fails
}

func TestReplaceAccount(t *testing.T) {
	t.Parallel()
	p := new(replacing)
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	ctx, n := t.Context(), issuerName(t, "ca")
	if _, err := h.ReplaceAccount(ctx, n); reason(t, err) != vault.IssuerNotFound {
		t.Errorf("of an issuer that is not there: %v", err)
	}
	if _, err := h.SetIssuer(ctx, n, vault.IssuerSet{Provider: new("CA"), Password: new("secret")}); err != nil {
		t.Fatal(err)
	}
	if o, err := h.ReplaceAccount(ctx, n); err != nil || o.Name != "ca" || o.Password != "" || !cmp.Equal(p.replaced, []string{"ca secret"}) {
		t.Errorf("%+v, %v, replaced %q", o, err, p.replaced)
	}
	p.fails = store.ErrUnavailable
	if _, err := h.ReplaceAccount(ctx, n); reason(t, err) != vault.Unavailable {
		t.Errorf("without storage: %v", err)
	}
	h.mustScript("other", "issue")
	if _, err := h.ReplaceAccount(ctx, issuerName(t, "other")); reason(t, err) != vault.ActionRefused || !strings.Contains(err.Error(), "makes no account") {
		t.Errorf("of a provider without accounts: %v", err)
	}
}
