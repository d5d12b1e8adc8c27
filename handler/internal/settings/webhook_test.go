package settings_test

// Webhooks in the settings.

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
)

// scopeToken is a credential whose tokens say for what they are.
type scopeToken struct{}

func (scopeToken) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "for-" + options.Scopes[0]}, nil
}

// TestWebhookFromSettings: an audience has the app's own identity call the
// endpoint, which is told the vault.
func TestWebhookFromSettings(t *testing.T) {
	t.Parallel()
	posts := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer for-api://ca/.default" {
			t.Errorf("authorization %q", got)
		}
		if r.Method == http.MethodPost {
			posts++
			var request struct{ Vault string }
			if err := json.NewDecoder(r.Body).Decode(&request); err != nil || request.Vault != "west" {
				t.Errorf("request %+v, %v", request, err)
			}
		}
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	text, err := json.Marshal(map[string]any{"webhook": map[string]any{
		"url": server.URL, "roots": settingstest.Certificates(t, server.Certificate().Raw), "authentication": "bearer", "audience": "api://ca/", "vault": "west",
	}})
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := openProvider(t, settings.Backend{Credential: scopeToken{}, Log: slog.New(slog.DiscardHandler)}, string(text))
	if err != nil {
		t.Fatal(err)
	}
	issuer.Step(t.Context(), provider.Request{ID: "0123456789abcdef0123456789abcdef"}, nil)
	if posts != 1 {
		t.Errorf("%d POSTs", posts)
	}
	for _, wrong := range []string{
		`{"webhook": {"url": "https://ca.example.com", "authentication": "basic"}}`,
		`{"webhook": {"url": "https://ca.example.com", "authentication": "signature", "audience": "api://ca"}}`,
	} {
		if _, err := openProvider(t, settings.Backend{}, wrong); err == nil {
			t.Errorf("%s: no error", wrong)
		}
	}
}
