package settings_test

// ACME in the settings.

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/scripts/localcloud/pebble"
)

// TestACMEFromSettings: what CERTWRIGHT_PROVIDERS says is enough to obtain a
// certificate from an ACME server, with the account's key sealed in storage and
// names proven through a DNS hook.
func TestACMEFromSettings(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	challenges, err := pebble.StartChallenges(ctx, pebble.ChallengesConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer challenges.Stop()
	ca, err := pebble.Start(ctx, pebble.Config{Challenges: challenges})
	if err != nil {
		t.Fatal(err)
	}
	defer ca.Stop()
	const token = "a-token-for-this-test-only"
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var change struct{ Action, FQDN, Value string }
		if err := json.NewDecoder(r.Body).Decode(&change); err != nil || r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("hook was called with %+v, %v", change, err)
		}
		if change.Action == "add" {
			err = challenges.AddTXT(r.Context(), change.FQDN, change.Value)
		} else {
			err = challenges.ClearTXT(r.Context(), change.FQDN)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer hook.Close()
	setting, err := json.Marshal(map[string]any{"Pebble": map[string]any{"acme": map[string]any{
		"directory":   ca.DirectoryURL(),
		"roots":       settingstest.Certificates(t, ca.TLS().Certificate...),
		"nameservers": []string{challenges.DNS()},
		"hooks": []map[string]any{{
			"zones": []string{"example.test"}, "url": hook.URL, "tokenSetting": "HOOK_TOKEN",
			"roots": settingstest.Certificates(t, hook.Certificate().Raw),
		}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	v, store := openVault(t, map[string]string{"CERTWRIGHT_PROVIDERS": string(setting), "HOOK_TOKEN": token})

	provider, issuerName, subject := "pebble", "le", "CN=www.example.test"
	issuer, err := vault.ParseIssuerName(issuerName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.SetIssuer(ctx, issuer, vault.IssuerSet{Provider: &provider}); err != nil {
		t.Fatal(err)
	}
	name, err := vault.ParseName("web")
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Create(ctx, name, vault.CreateParams{Policy: &policy.Params{
		X509: &policy.X509Params{
			Subject: &subject,
			SANs:    &policy.SANs{DNSNames: []string{"www.example.test", "*.www.example.test"}},
		},
		Issuer: &policy.IssuerParams{Name: &issuerName},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Advance(ctx); err != nil { // one tick, from create to certificate
		t.Fatal(err)
	}
	op, err := v.Operation(ctx, name, "")
	if err != nil || op.Status != vault.StatusCompleted {
		t.Fatalf("after a tick the operation is %s, %v, %+v, answer %q", op.Status, err, op.Error, op.Answer)
	}
	for _, r := range store.Contents().Rows {
		if strings.HasPrefix(r.Key, "r:") || strings.HasPrefix(r.Key, "d:0:") { // later classes are of the certificate's life
			t.Errorf("row %s is left", r.Key)
		}
	}
}

// TestStandingRecordsFromSettings: with nothing to publish records with, a CA's
// standing records prove names. The operation says which record to publish; once
// it is there, it proves the name for good.
func TestStandingRecordsFromSettings(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	challenges, err := pebble.StartChallenges(ctx, pebble.ChallengesConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer challenges.Stop()
	ca, err := pebble.Start(ctx, pebble.Config{Challenges: challenges})
	if err != nil {
		t.Fatal(err)
	}
	defer ca.Stop()
	setting, err := json.Marshal(map[string]any{"Pebble": map[string]any{"acme": map[string]any{
		"directory":   ca.DirectoryURL(),
		"roots":       settingstest.Certificates(t, ca.TLS().Certificate...),
		"nameservers": []string{challenges.DNS()},
		"dnsPersist":  true,
		"curves":      []string{"P-521"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	v, _ := openVault(t, map[string]string{"CERTWRIGHT_PROVIDERS": string(setting)})
	issuer, err := vault.ParseIssuerName("le")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.SetIssuer(ctx, issuer, vault.IssuerSet{Provider: new("pebble")}); err != nil {
		t.Fatal(err)
	}
	tick := func(certificate string) vault.Operation {
		name, err := vault.ParseName(certificate)
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Create(ctx, name, vault.CreateParams{Policy: &policy.Params{
			Key:    &policy.KeyParams{Type: new("EC"), Curve: new("P-521")},
			X509:   &policy.X509Params{SANs: &policy.SANs{DNSNames: []string{"*.persist.test"}}},
			Issuer: &policy.IssuerParams{Name: new("le")},
		}})
		if err == nil {
			_, err = v.Advance(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		op, err := v.Operation(ctx, name, "")
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	op := tick("before")
	record, value, ok := strings.Cut(strings.TrimPrefix(op.Answer, "Publish a TXT record once: "), " with the value ")
	value, err = strconv.Unquote(strings.TrimSuffix(value, "."))
	if op.Status != vault.StatusInProgress || !ok || err != nil {
		t.Fatalf("without the record the operation is %s, answer %q", op.Status, op.Answer)
	}
	if err := challenges.AddTXT(ctx, record, value); err != nil {
		t.Fatal(err)
	}
	if op := tick("after"); op.Status != vault.StatusCompleted {
		t.Errorf("with the record the operation is %s, %+v, answer %q", op.Status, op.Error, op.Answer)
	}
}
