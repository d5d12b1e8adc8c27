package settings_test

// Vault's PKI engine in the settings.

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestVaultPKIFromSettings: what CERTWRIGHT_PROVIDERS says is whom requests go
// to, and what they say; the server's refusal reaches the operation.
func TestVaultPKIFromSettings(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Header.Get("X-Vault-Namespace") != "admin/team" {
			t.Errorf("namespace %q", r.Header.Get("X-Vault-Namespace"))
		}
		w.WriteHeader(http.StatusBadRequest)
		switch r.URL.Path {
		case "/v1/auth/team/approle/login":
			if string(body) != `{"role_id":"db02de05","secret_id":"6a174c20"}` {
				t.Errorf("login with %s", body)
			}
			io.WriteString(w, `{"errors":["invalid role or secret ID"]}`)
		default:
			t.Errorf("called %s", r.URL.Path)
		}
	}))
	defer server.Close()
	setting, err := json.Marshal(map[string]any{"Corp": map[string]any{"vaultpki": map[string]any{
		"url": server.URL, "roots": settingstest.Certificates(t, server.Certificate().Raw), "namespace": "admin/team",
		"mount": "corp/pki", "appRoleMount": "team/approle", "role": "web", "roles": []string{"mail"}, "verbatim": true,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	v, _ := openVault(t, map[string]string{"CERTWRIGHT_PROVIDERS": string(setting)})
	issuer, err := vault.ParseIssuerName("ca")
	if err != nil {
		t.Fatal(err)
	}
	set := vault.IssuerSet{Provider: new("corp"), AccountID: new("db02de05"), Password: new("6a174c20")}
	if _, err := v.SetIssuer(t.Context(), issuer, set); err != nil {
		t.Fatal(err)
	}
	name, err := vault.ParseName("web")
	if err != nil {
		t.Fatal(err)
	}
	create := func(cty string) error {
		_, err := v.Create(t.Context(), name, vault.CreateParams{Policy: &policy.Params{
			X509:   &policy.X509Params{Subject: new("CN=www.example.com")},
			Issuer: &policy.IssuerParams{Name: new("ca"), CertificateType: new(cty)},
		}})
		return err
	}
	if err := create("admin"); err == nil || !strings.Contains(err.Error(), "may be chosen: mail, web") {
		t.Errorf("create with a role that is not configured: %v", err)
	}
	if err := create("mail"); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	op, err := v.Operation(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	if op.Status != vault.StatusFailed || !strings.Contains(op.Error.Message, "invalid role or secret ID") {
		t.Errorf("the operation is %s, %+v", op.Status, op.Error)
	}
}

func TestVaultPKISettingsAreChecked(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"vaultpki": {"url": "https://vault.example.com"}}`,
		`{"vaultpki": {"url": "http://vault.example.com", "role": "web"}}`,
		`{"vaultpki": {"url": "https://vault.example.com", "role": "web", "roots": "no-such-file"}}`,
	} {
		if _, err := openProvider(t, settings.Backend{}, text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
