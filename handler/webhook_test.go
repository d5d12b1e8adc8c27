package main

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

	"github.com/certwright/certwright/handler/internal/vault"
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
	cfg := webhookConfig{URL: server.URL, Roots: writePEM(t, server.Certificate().Raw), Authentication: "bearer", Audience: "api://ca/", Vault: "west"}
	issuer, err := cfg.open(surroundings{credential: scopeToken{}, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	issuer.Step(t.Context(), vault.Request{ID: "0123456789abcdef0123456789abcdef"}, nil)
	if posts != 1 {
		t.Errorf("%d POSTs", posts)
	}
	if !(providerConfig{Webhook: &cfg}).needsAzure() || (providerConfig{Webhook: &webhookConfig{}}).needsAzure() {
		t.Error("who needs the app's identity")
	}
	for _, wrong := range []webhookConfig{
		{URL: server.URL, Authentication: "basic"},
		{URL: server.URL, Authentication: "signature", Audience: "api://ca"},
	} {
		if _, err := wrong.open(surroundings{}); err == nil {
			t.Errorf("%+v: no error", wrong)
		}
	}
}
