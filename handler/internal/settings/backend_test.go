package settings_test

// Which settings need the app's identity.

import (
	"log/slog"
	"testing"

	"github.com/certwright/certwright/handler/internal/settings/settingstest"
)

// TestWhoNeedsTheAppsIdentity: on one machine the app has an identity in Azure
// only if a provider acts as it.
func TestWhoNeedsTheAppsIdentity(t *testing.T) {
	t.Parallel()
	for text, needed := range map[string]bool{
		`{"webhook": {"url": "https://ca.example.com"}}`:                                                                                                                      false,
		`{"webhook": {"url": "https://ca.example.com", "authentication": "bearer", "audience": "api://ca/"}}`:                                                                 true,
		`{"acme": {"directory": "https://acme.example.com/directory", "http01": true}}`:                                                                                       false,
		`{"acme": {"directory": "https://acme.example.com/directory", "azureZones": ["/subscriptions/1/resourceGroups/a/providers/Microsoft.Network/dnszones/example.com"]}}`: true,
		`{"privateca": {"chain": "ca.pem", "keyFile": "ca.key"}}`:                                                                                                             false,
		`{"privateca": {"chain": "ca.pem", "keyId": "https://kv.example.com/keys/ca/0123456789abcdef0123456789abcdef"}}`:                                                      true,
	} {
		s, err := settingstest.Parse(settingstest.Development, map[string]string{
			"CERTWRIGHT_KEK_FILE": settingstest.KEK(t), "CERTWRIGHT_PROVIDERS": `{"CA": ` + text + `}`,
		})
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.OpenBackend(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if (b.Credential != nil) != needed {
			t.Errorf("%s: credential %T", text, b.Credential)
		}
	}
}
