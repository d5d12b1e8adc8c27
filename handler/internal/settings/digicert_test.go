package settings_test

// DigiCert in the settings.

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

// TestDigiCertFromSettings: what CERTWRIGHT_PROVIDERS says is whom orders go to, and
// for what; the refusal of one reaches the operation.
func TestDigiCertFromSettings(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key := r.Header.Get("X-DC-DEVKEY"); key != "the-api-key" {
			t.Errorf("API key %q", key)
		}
		switch r.Method + " " + r.URL.Path {
		case "GET /eu/services/v2/order/certificate":
			io.WriteString(w, `{"orders":[],"page":{"total":0}}`)
		case "POST /eu/services/v2/order/certificate/ssl_ev_plus":
			body, err := io.ReadAll(r.Body)
			if err != nil || !strings.Contains(string(body), `"skip_approval":false`) {
				t.Errorf("ordered %s, %v", body, err)
			}
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"errors":[{"code":"invalid_organization","message":"The organization is not validated for EV"}]}`)
		default:
			t.Errorf("called %s %s", r.Method, r.URL)
		}
	}))
	defer server.Close()
	setting, err := json.Marshal(map[string]any{"DigiCert": map[string]any{"digicert": map[string]any{
		"url": server.URL + "/eu/services/v2", "roots": settingstest.Certificates(t, server.Certificate().Raw),
		"products": map[string]string{"EV-SSL": "ssl_ev_plus"}, "approval": true,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	v, _ := openVault(t, map[string]string{"CERTWRIGHT_PROVIDERS": string(setting)})
	issuer, err := vault.ParseIssuerName("ca")
	if err != nil {
		t.Fatal(err)
	}
	set := vault.IssuerSet{Provider: new("DigiCert"), AccountID: new("98765"), Password: new("the-api-key")}
	if _, err := v.SetIssuer(t.Context(), issuer, set); err == nil || !strings.Contains(err.Error(), "Id in organization details is not set") {
		t.Errorf("an issuer without organization: %v", err)
	}
	set.Org = &vault.OrgParams{ID: new("112233")}
	if _, err := v.SetIssuer(t.Context(), issuer, set); err != nil {
		t.Fatal(err)
	}
	name, err := vault.ParseName("web")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Create(t.Context(), name, vault.CreateParams{Policy: &policy.Params{
		X509:   &policy.X509Params{Subject: new("CN=www.example.com")},
		Issuer: &policy.IssuerParams{Name: new("ca"), CertificateType: new("EV-SSL")},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	op, err := v.Operation(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	if op.Status != vault.StatusFailed || !strings.Contains(op.Error.Message, "The organization is not validated for EV") {
		t.Errorf("the operation is %s, %+v", op.Status, op.Error)
	}
}

// No setting is needed, and wrong ones are found at the start.
func TestDigiCertSettingsAreChecked(t *testing.T) {
	t.Parallel()
	if _, err := openProvider(t, settings.Backend{}, `{"digicert": {}}`); err != nil {
		t.Error(err)
	}
	for _, text := range []string{
		`{"digicert": {"url": "http://www.digicert.com/services/v2"}}`,
		`{"digicert": {"products": {"DV-SSL": "ssl_dv_geotrust"}}}`,
		`{"digicert": {"roots": "no-such-file"}}`,
	} {
		if _, err := openProvider(t, settings.Backend{}, text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
