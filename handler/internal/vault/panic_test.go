package vault_test

// Panics of providers and destinations.

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// panicking is a provider that panics whenever it may, and a destination that does.
type panicking struct{ stepping }

func (*panicking) Certificates(context.Context, provider.Issuer) ([][]byte, error) {
	panic("secret of the chain")
}

func (*panicking) Revoke(context.Context, provider.Issuer, *x509.Certificate, int) error {
	panic("secret of the revocation")
}

func (*panicking) RenewalInfo(context.Context, provider.Issuer, *x509.Certificate) (provider.RenewalInfo, error) {
	panic("secret of the advice")
}

func (*panicking) Release(context.Context, provider.Request, json.RawMessage) error {
	panic("secret of the release")
}

func (*panicking) Wants(vault.Event) bool { return true }

func (*panicking) Deliver(context.Context, vault.Event) error { panic("secret of the delivery") }

// TestPanicsAreForTheLog: what a provider or a destination panics with may hold
// anything, so no row has it and the log has it once, with the stack, each time.
func TestPanicsAreForTheLog(t *testing.T) {
	t.Parallel()
	p := new(panicking)
	var output bytes.Buffer
	h := newHarness(t, nil)
	h.Vault = openWith(t, h.store, h.clock, func(cfg *vault.Config) {
		cfg.Providers["ca"], cfg.Destinations = p, map[string]vault.Destination{"siem": p}
		cfg.Log = slog.New(slog.NewJSONHandler(&output, nil))
	})
	p.returns(t, newCertifier(t, "Issuing", newCertifier(t, "Root", nil)))
	issues := p.step
	p.step = func(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
		switch req.Certificate {
		case "stuck":
			panic("secret of the step")
		case "held":
			return json.RawMessage(`1`), provider.Pending(h.clock.Now().Add(time.Hour), "on it")
		default:
			return issues(ctx, req, state)
		}
	}
	ctx := t.Context()
	h.mustSetIssuer("ca", "ca")
	version := h.mustIssue("web", vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})}).Version
	h.mustCreate("held", "ca")
	h.mustCreate("stuck", "ca")
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	if err := second(h.DeleteOperation(ctx, name(t, "held"), "")); err != nil {
		t.Fatal(err)
	}
	if err := second(h.Revoke(ctx, name(t, "web"), version, 0)); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	h.clock.Advance(24 * time.Hour) // the CA is asked for advice
	h.mustTick()

	for _, r := range h.store.Contents().Rows {
		if bytes.Contains(r.Doc, []byte("secret")) {
			t.Errorf("row %s: %s", r.Key, r.Doc)
		}
	}
	logged := make(map[string]bool)
	for line := range strings.Lines(output.String()) {
		var record struct{ Msg, Panic, Stack string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.Count(line, "secret") > 1, strings.Contains(line, "secret") && record.Panic == "":
			t.Errorf("it is told elsewhere: %s", line)
		case record.Panic != "":
			logged[record.Panic] = strings.HasSuffix(record.Msg, " panicked") && strings.Contains(record.Stack, "panic_test.go")
		}
	}
	for _, what := range []string{"chain", "revocation", "advice", "release", "delivery", "step"} {
		if !logged["secret of the "+what] {
			t.Errorf("the log lacks the panic of the %s, or its stack", what)
		}
	}
}
