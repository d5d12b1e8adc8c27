package vault_test

// Revocations.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// revoking is a provider that issues at once, and revokes as a function says.
type revoking struct {
	stepping
	revoke func(issuer provider.Issuer, certificate *x509.Certificate, reason int) error
}

func (p *revoking) Revoke(_ context.Context, issuer provider.Issuer, certificate *x509.Certificate, reason int) error {
	return p.revoke(issuer, certificate, reason)
}

// newRevoking is a vault with a version that its issuer can revoke, and that is
// valid for three months.
func newRevoking(t *testing.T) (*harness, *revoking, string) {
	t.Helper()
	p := new(revoking)
	p.step = func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
		return nil, issue(t, req)
	}
	h := newHarness(t, map[string]provider.Provider{"ca": p})
	h.mustSetIssuer("ca", "CA")
	h.mustCreate("Web", "ca")
	h.mustTick()
	c, err := h.Certificate(t.Context(), name(t, "web"))
	if err != nil {
		t.Fatal(err)
	}
	return h, p, c.Version
}

func (h *harness) revocation(version string) vault.Revocation {
	h.t.Helper()
	r, err := h.Revocation(h.t.Context(), name(h.t, "web"), version)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	h, p, version := newRevoking(t)
	ctx, n := t.Context(), name(t, "web")
	var calls []string
	p.revoke = func(issuer provider.Issuer, certificate *x509.Certificate, reason int) error {
		calls = append(calls, fmt.Sprintf("%s %s %d", issuer.Name, certificate.SerialNumber, reason))
		if len(calls) < 3 {
			return errors.New("connection refused")
		}
		return nil
	}
	cert, err := h.Certificate(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Revocation(ctx, n, version); reason(t, err) != vault.RevocationNotFound {
		t.Errorf("before it is asked for: %v", err)
	}
	asked, err := h.Revoke(ctx, n, version, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := vault.Revocation{
		Schema: store.Schema, Name: "Web", Version: version, Leaf: cert.Leaf, Issuer: "ca", Provider: "ca", Reason: 1,
		Status: vault.StatusInProgress, Requested: h.clock.Now(), Expires: *cert.Attributes.Expires, Due: h.clock.Now(),
	}
	if diff := cmp.Diff(want, asked, cmpopts.IgnoreFields(vault.Revocation{}, "IssuerID")); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if len(calls) != 0 {
		t.Errorf("the CA was called: %v", calls)
	}
	// Asked for again, it is the same.
	if again, err := h.Revoke(ctx, n, version, 1); err != nil || !cmp.Equal(asked, again) {
		t.Errorf("asked for again: %+v, %v", again, err)
	}
	if got := lines(h.all(25, vault.BoardFilter{})); !cmp.Equal(got, []string{"revocation Web ca inProgress"}) {
		t.Errorf("on the board: %v", got)
	}
	// The certificate may go meanwhile.
	if _, err := h.Delete(ctx, n); err != nil {
		t.Fatal(err)
	}
	if err := h.Purge(ctx, n); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if got := h.revocation(version); got.Status != vault.StatusCompleted || got.Attempts != 3 || got.Failures != 0 || got.Answer != "" || got.Completed.IsZero() {
		t.Errorf("after a tick: %+v", got)
	}
	leaf, err := x509.ParseCertificate(cert.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	call := fmt.Sprintf("ca %s 1", leaf.SerialNumber)
	if diff := cmp.Diff([]string{call, call, call}, calls); diff != "" {
		t.Errorf("the CA was called (-want +got):\n%s", diff)
	}
	if got := h.all(25, vault.BoardFilter{}); len(got) != 0 {
		t.Errorf("done, it is on the board: %v", got)
	}
	h.clock.Advance(leaf.NotAfter.Sub(h.clock.Now()))
	h.mustTick()
	if _, err := h.Revocation(ctx, n, version); reason(t, err) != vault.RevocationNotFound {
		t.Errorf("after the version has expired: %v", err)
	}
	if len(calls) != 3 {
		t.Errorf("the CA was called again: %v", calls)
	}
}

// TestRevocationIsGivenUp when another attempt cannot succeed, and after a week. It
// stays on the board, and can be asked for again.
func TestRevocationIsGivenUp(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		err   error
		after time.Duration
	}{
		"not supported": {fmt.Errorf("revoking: %w", errors.ErrUnsupported), time.Minute},
		"down":          {errors.New("connection refused"), 7*24*time.Hour + 2*time.Hour},
		"panic":         {nil, 7*24*time.Hour + 2*time.Hour},
		"expired":       {nil, 93 * 24 * time.Hour},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h, p, version := newRevoking(t)
			p.revoke = func(provider.Issuer, *x509.Certificate, int) error {
				if test.err == nil {
					panic(what)
				}
				return test.err
			}
			ctx, n := t.Context(), name(t, "web")
			if _, err := h.Revoke(ctx, n, version, 0); err != nil {
				t.Fatal(err)
			}
			if what == "expired" {
				h.clock.Advance(test.after)
				h.mustTick()
				if _, err := h.Revocation(ctx, n, version); reason(t, err) != vault.RevocationNotFound {
					t.Errorf("after the version has expired: %v", err)
				}
				return
			}
			for end := h.clock.Now().Add(test.after); h.clock.Now().Before(end); h.clock.Advance(time.Hour) {
				h.mustTick()
			}
			got := h.revocation(version)
			if got.Status != vault.StatusFailed || got.Answer == "" {
				t.Fatalf("after %s: %+v", test.after, got)
			}
			if got := lines(h.all(25, vault.BoardFilter{Status: vault.StatusFailed})); !cmp.Equal(got, []string{"revocation Web ca failed"}) {
				t.Errorf("on the board: %v", got)
			}
			p.revoke = func(provider.Issuer, *x509.Certificate, int) error { return nil }
			h.mustTick()
			if again := h.revocation(version); !cmp.Equal(got, again) {
				t.Errorf("given up, it was tried: %+v", again)
			}
			if _, err := h.Revoke(ctx, n, version, 0); err != nil {
				t.Fatal(err)
			}
			h.mustTick()
			if got := h.revocation(version); got.Status != vault.StatusCompleted {
				t.Errorf("asked for again: %+v", got)
			}
		})
	}
}

func TestRevokeRefuses(t *testing.T) {
	t.Parallel()
	h, p, version := newRevoking(t)
	p.revoke = func(provider.Issuer, *x509.Certificate, int) error { return nil }
	ctx, n := t.Context(), name(t, "web")
	latest := func(n string) string {
		t.Helper()
		c, err := h.Certificate(ctx, name(t, n))
		if err != nil {
			t.Fatal(err)
		}
		return c.Version
	}
	h.mustCreate("self", "Self")
	h.mustCreate("shell", "Unknown")
	h.mustTick()
	imported := vault.ImportParams{Value: newExisting(t, ecP256, h.clock.Now()).pfx(t)}
	if _, err := h.Import(ctx, name(t, "imported"), imported); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, version string
		reason        vault.Reason
		detail        string
	}{
		{"web", strings.Repeat("0", 32), vault.CertificateNotFound, ""},
		{"other", version, vault.CertificateNotFound, ""},
		{"shell", latest("shell"), vault.CertificateNotFound, ""},
		{"self", latest("self"), vault.ActionRefused, "provider self of the issuer Self does not revoke"},
		{"imported", latest("imported"), vault.ActionRefused, "No issuer of this vault obtained"},
	} {
		_, err := h.Revoke(ctx, name(t, test.name), test.version, 0)
		if reason(t, err) != test.reason || !strings.Contains(err.Error(), test.detail) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, err := h.DeleteIssuer(ctx, issuerName(t, "ca")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Revoke(ctx, n, version, 0); reason(t, err) != vault.ActionRefused || !strings.Contains(err.Error(), "ca was deleted") {
		t.Errorf("without its issuer: %v", err)
	}
	h.mustScript("ca", "issue")
	if _, err := h.Revoke(ctx, n, version, 0); reason(t, err) != vault.ActionRefused || !strings.Contains(err.Error(), "provider Test now") {
		t.Errorf("with another provider: %v", err)
	}
	h.mustSetIssuer("ca", "CA")
	if _, err := h.Revoke(ctx, n, version, 0); err != nil {
		t.Errorf("with an issuer of its name and provider: %v", err)
	}
	// It is lost when the issuer goes once more.
	if _, err := h.DeleteIssuer(ctx, issuerName(t, "ca")); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if r := h.revocation(version); r.Status != vault.StatusFailed || !strings.Contains(r.Answer, "deleted") || r.Attempts != 1 {
		t.Errorf("without its issuer: %+v", r)
	}
	h.clock.Advance(100 * 24 * time.Hour)
	h.mustSetIssuer("ca", "CA")
	if _, err := h.Revoke(ctx, n, version, 0); reason(t, err) != vault.ActionRefused || !strings.Contains(err.Error(), "expired") {
		t.Errorf("after it has expired: %v", err)
	}
}

// TestRevocationOfALongLife: rows fall due before the year 2286 only.
func TestRevocationOfALongLife(t *testing.T) {
	t.Parallel()
	r := vault.Revocation{Status: vault.StatusCompleted, Expires: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}
	if key := vault.DueKey(r); len(strings.Split(key, ":")[2]) != 13 {
		t.Errorf("the due row is %s", key)
	}
}

// TestRevokeForAnotherReason: an operator's new reason takes the place of the old
// one while the CA has not revoked the certificate.
func TestRevokeForAnotherReason(t *testing.T) {
	t.Parallel()
	h, p, version := newRevoking(t)
	var reasons []int
	p.revoke = func(_ provider.Issuer, _ *x509.Certificate, reason int) error {
		if reasons = append(reasons, reason); reason == 1 {
			return errors.New("not for that reason")
		}
		return nil
	}
	revoke := func(reason int) vault.Revocation {
		t.Helper()
		r, err := h.Revoke(t.Context(), name(t, "web"), version, reason)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	requested := revoke(1).Requested
	h.mustTick()
	if r := revoke(1); r.Due.Equal(h.clock.Now()) {
		t.Error("the same reason again is tried at once")
	}
	h.clock.Advance(time.Second)
	if r := revoke(4); r.Reason != 4 || !r.Requested.Equal(requested) {
		t.Errorf("%+v", r)
	}
	h.mustTick()
	if r := h.revocation(version); r.Status != vault.StatusCompleted || r.Reason != 4 || reasons[len(reasons)-1] != 4 {
		t.Errorf("%+v after the reasons %v", r, reasons)
	}
	if r := revoke(1); r.Reason != 4 {
		t.Errorf("what is revoked has the reason %d", r.Reason)
	}
}

// TestRevocationIsClaimed: while one worker revokes, no other does, until the claim of
// one that died has ended.
func TestRevocationIsClaimed(t *testing.T) {
	t.Parallel()
	h, p, version := newRevoking(t)
	other := open(t, h.store, h.clock, map[string]provider.Provider{"ca": p})
	calls := 0
	p.revoke = func(provider.Issuer, *x509.Certificate, int) error {
		if calls++; calls > 1 {
			return nil
		}
		if _, err := other.Advance(t.Context()); err != nil {
			t.Error(err)
		}
		if calls != 1 {
			t.Errorf("%d workers revoke at once", calls)
		}
		h.clock.Advance(2 * time.Minute) // for so long that the claim ends
		if _, err := other.Advance(t.Context()); err != nil {
			t.Error(err)
		}
		return errors.New("connection refused")
	}
	if _, err := h.Revoke(t.Context(), name(t, "web"), version, 1); err != nil {
		t.Fatal(err)
	}
	h.mustTick()
	if r := h.revocation(version); calls != 2 || r.Status != vault.StatusCompleted || r.Attempts != 2 {
		t.Errorf("after %d calls: %+v", calls, r)
	}
}
