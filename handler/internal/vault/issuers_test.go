package vault_test

// Issuer objects.

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestScriptReleasesWhatIsHeld(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]vault.Operation{
		"issue":               {Status: vault.StatusCompleted},
		"reject=no such host": {Status: vault.StatusFailed, Error: &vault.OperationError{Code: "Request rejected", Message: "no such host"}},
		"error=out of order":  {Status: vault.StatusFailed, Error: &vault.OperationError{Code: "Certificate issuer error", Message: "out of order"}},
	} {
		h := newHarness(t, nil)
		h.mustScript("ca", "hold")
		h.mustCreate("web", "ca")
		h.mustTick()
		if op := h.mustOperation("web"); op.Status != vault.StatusInProgress {
			t.Fatalf("held operation is %s", op.Status)
		}
		if _, err := h.UpdateIssuer(context.Background(), issuerName(t, "CA"), vault.IssuerSet{Org: &vault.OrgParams{ID: new(script)}}); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(time.Minute)
		h.mustTick()
		op := h.mustOperation("web")
		if op.Status != want.Status || (op.Error == nil) != (want.Error == nil) || op.Error != nil && *op.Error != *want.Error {
			t.Errorf("script %q: operation is %s, error %+v", script, op.Status, op.Error)
		}
	}
}

func TestUnknownIssuerIsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	if _, err := h.Create(ctx, name(t, "web"), vault.CreateParams{Policy: policyFor("nobody")}); reason(t, err) != vault.BadParameter {
		t.Errorf("create with an issuer that does not exist: %v, want BadParameter", err)
	}
	provider := "Nonesuch"
	if _, err := h.SetIssuer(ctx, issuerName(t, "ca"), vault.IssuerSet{Provider: &provider}); reason(t, err) != vault.BadParameter {
		t.Errorf("issuer of an unknown provider: %v, want BadParameter", err)
	}
	if len(h.store.Contents().Rows) != 0 {
		t.Error("refused requests left rows behind")
	}
}

func TestIssuerObjects(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), issuerName(t, "ca")
	ca, account, password := "Test", "account", "hunter2-not-a-real-secret"
	set := vault.IssuerSet{Provider: &ca, AccountID: &account, Password: &password}
	if _, err := h.SetIssuer(ctx, n, set); err != nil {
		t.Fatal(err)
	}
	for _, r := range h.store.Contents().Rows {
		if contains(r.Doc, password) || contains(r.Doc, base64.StdEncoding.EncodeToString([]byte(password))) {
			t.Errorf("row %s holds the password unsealed", r.Key)
		}
	}
	updated, err := h.UpdateIssuer(ctx, n, vault.IssuerSet{Org: &vault.OrgParams{ID: new("issue")}})
	if err != nil || updated.AccountID != account || updated.Org.ID != "issue" || updated.Password != "" {
		t.Errorf("UpdateIssuer = %+v, %v", updated, err)
	}
	got, err := h.Issuer(ctx, n)
	if err != nil || got.Password != "" || got.Provider != ca {
		t.Errorf("Issuer = %+v, %v", got, err)
	}
	list, next, err := h.Issuers(ctx, vault.Page{Max: 25})
	if err != nil || len(list) != 1 || next != "" {
		t.Errorf("Issuers = %v, %q, %v", list, next, err)
	}
	deleted, err := h.DeleteIssuer(ctx, n)
	if err != nil || deleted.Org.ID != "issue" {
		t.Errorf("DeleteIssuer = %+v, %v", deleted, err)
	}
	for what, err := range map[string]error{
		"get":    second(h.Issuer(ctx, n)),
		"update": second(h.UpdateIssuer(ctx, n, vault.IssuerSet{})),
		"delete": second(h.DeleteIssuer(ctx, n)),
	} {
		if reason(t, err) != vault.IssuerNotFound {
			t.Errorf("%s after delete: %v, want IssuerNotFound", what, err)
		}
	}
}

func contains(b []byte, s string) bool { return strings.Contains(string(b), s) }

func TestIssuerReplacedUnderAnOperation(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*harness){
		"deleted": func(h *harness) {
			if _, err := h.DeleteIssuer(context.Background(), issuerName(h.t, "ca")); err != nil {
				h.t.Fatal(err)
			}
		},
		"deleted and set again": func(h *harness) {
			if _, err := h.DeleteIssuer(context.Background(), issuerName(h.t, "ca")); err != nil {
				h.t.Fatal(err)
			}
			h.mustScript("ca", "issue")
		},
	} {
		h := newHarness(t, nil)
		h.mustScript("ca", "hold")
		h.mustCreate("web", "ca")
		change(h)
		h.clock.Advance(time.Minute)
		h.mustTick()
		op := h.mustOperation("web")
		if op.Status != vault.StatusFailed || op.Error == nil || op.Error.Code != provider.CodeIssuerError {
			t.Errorf("issuer %s: operation is %s, error %+v", what, op.Status, op.Error)
		}
	}
}
