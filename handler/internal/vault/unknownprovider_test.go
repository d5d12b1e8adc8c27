package vault_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// holding is a provider whose orders wait for people, and are taken back.
func holding(h **harness, released *[]string) *releasing {
	return &releasing{stepping{
		step: func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
			return json.RawMessage(`"order 4711"`), provider.Pending((*h).clock.Now().Add(time.Hour), "people decide")
		},
		release: func(_ provider.Request, state json.RawMessage) error {
			*released = append(*released, string(state))
			return nil
		},
	}}
}

// TestUnknownProviderPasses: an instance without a provider, in the middle of an
// update or with a setting that is missing, ends nothing, pauses no issuer and
// forgets no order.
func TestUnknownProviderPasses(t *testing.T) {
	t.Parallel()
	var h *harness
	var released []string
	h = newHarness(t, map[string]provider.Provider{"ca": holding(&h, &released)})
	lacking := open(t, h.store, h.clock, nil)
	h.mustSetIssuer("ca", "ca")
	const n = 4 // more than pause an issuer
	for i := range n {
		h.mustCreate(fmt.Sprintf("web%d", i), "ca")
	}
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	h.clock.Advance(2 * time.Hour)
	if _, err := lacking.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if op := h.mustOperation(fmt.Sprintf("web%d", i)); op.Status != vault.StatusInProgress || op.Failures == 0 {
			t.Errorf("after a tick without the provider web%d is %s, %v", i, op.Status, op.Error)
		}
	}
	if issuer, err := h.Issuer(t.Context(), issuerName(t, "ca")); err != nil || issuer.Pause != nil {
		t.Errorf("the issuer is paused: %+v, %v", issuer.Pause, err)
	}
	// What it ends itself is released by one that knows how.
	if _, err := lacking.DeleteOperation(t.Context(), name(t, "web0"), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := lacking.GiveUpOperation(t.Context(), name(t, "web1"), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := lacking.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(released) > 0 {
		t.Errorf("released %q without the provider", released)
	}
	h.clock.Advance(time.Hour)
	h.mustTick()
	if want := []string{`"order 4711"`, `"order 4711"`}; !slices.Equal(released, want) {
		t.Errorf("released %q, want %q", released, want)
	}
}

// TestUnknownProviderOfARevocation: nor is a revocation given up.
func TestUnknownProviderOfARevocation(t *testing.T) {
	t.Parallel()
	h, p, version := newRevoking(t)
	revoked := 0
	p.revoke = func(provider.Issuer, *x509.Certificate, int) error { revoked++; return nil }
	lacking := open(t, h.store, h.clock, nil)
	if _, err := h.Revoke(t.Context(), name(t, "web"), version, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := lacking.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := h.revocation(version); r.Status != vault.StatusInProgress || r.Failures == 0 {
		t.Errorf("after a tick without the provider: %+v", r)
	}
	h.clock.Advance(time.Hour)
	h.mustTick()
	if r := h.revocation(version); r.Status != vault.StatusCompleted || revoked != 1 {
		t.Errorf("with the provider again: %+v, %d times", r, revoked)
	}
}

// TestStorageDoesNotPauseAnIssuer: a CA is not to blame for what the vault's own
// storage does, neither before a provider's step nor in it.
func TestStorageDoesNotPauseAnIssuer(t *testing.T) {
	t.Parallel()
	for what, failure := range map[string]error{
		"unavailable": fmt.Errorf("loading the account key: %w", &vault.Error{Reason: vault.Unavailable}),
		"throttled":   fmt.Errorf("putting a token: %w", &vault.Error{Reason: vault.Throttled}),
		"the CA":      errors.New("503 Service Unavailable"),
	} {
		p := &stepping{step: func(context.Context, provider.Request, json.RawMessage) (json.RawMessage, provider.Outcome) {
			return nil, provider.Retry(time.Time{}, failure)
		}}
		h := newHarness(t, map[string]provider.Provider{"ca": p})
		h.mustSetIssuer("ca", "ca")
		for i := range 6 {
			h.mustCreate(fmt.Sprintf("web%d", i), "ca")
		}
		h.mustTick()
		issuer, err := h.Issuer(t.Context(), issuerName(t, "ca"))
		if err != nil || (issuer.Pause != nil) != (what == "the CA") {
			t.Errorf("%s: the pause is %+v, %v", what, issuer.Pause, err)
		}
	}
}

// TestCancelWithoutACA: a cancellation that asks no CA needs no issuer that works.
func TestCancelWithoutACA(t *testing.T) {
	t.Parallel()
	var h *harness
	var released []string
	h = newHarness(t, map[string]provider.Provider{"ca": holding(&h, &released)})
	h.mustSetIssuer("ca", "ca")
	h.mustCreate("web", "ca")
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	if _, err := h.UpdateIssuer(t.Context(), issuerName(t, "ca"), vault.IssuerSet{Enabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Cancel(t.Context(), name(t, "web"), "", true); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if op := h.mustOperation("web"); op.Status != vault.StatusCancelled {
		t.Errorf("while the issuer is disabled the operation is %s: %s", op.Status, op.Answer)
	}
}
