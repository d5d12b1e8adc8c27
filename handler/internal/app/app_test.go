package app

// Settings that are refused when the program starts.

import (
	"log/slog"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/settings/settingstest"
)

// start runs the app with the settings of development and these.
func start(t *testing.T, changes map[string]string) (*App, *httptest.Server) {
	t.Helper()
	s, err := settingstest.Parse(settingstest.Development, changes)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(s, "0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return a, server
}

// TestWrongSettingsAreFoundAtStart: what only the parts can know to be wrong with
// settings keeps an app from being made.
func TestWrongSettingsAreFoundAtStart(t *testing.T) {
	t.Parallel()
	for says, changes := range map[string]map[string]string{
		"a name of at most 32":  {"CERTWRIGHT_EVENTS": `{"siem.eu": {"https": {"url": "https://siem.example.com", "keySetting": "SIEM_KEY"}}}`},
		"at least 32":           {"CERTWRIGHT_EVENTS": `{"siem": {"https": {"url": "https://siem.example.com", "keySetting": "SHORT"}}}`},
		"none.pem":              {"CERTWRIGHT_PROVIDERS": `{"CA": {"webhook": {"url": "https://ca.example.com", "roots": "none.pem"}}}`},
		"none.kek":              {"CERTWRIGHT_KEK_FILE": "none.kek"},
		"90":                    {"CERTWRIGHT_RECOVERABLE_DAYS": "91"},
		"1 to 10 whole seconds": {"CERTWRIGHT_RETRY_AFTER": "11"},
		"URL":                   {"CERTWRIGHT_VAULT_URLS": "vault.example.com"},
		"keys":                  {"CERTWRIGHT_TOKEN_KEYS_URL": "keys"},
	} {
		all := map[string]string{"CERTWRIGHT_KEK_FILE": settingstest.KEK(t), "SIEM_KEY": "a key of thirty-two bytes or more", "SHORT": "s3cret"}
		maps.Copy(all, changes)
		s, err := settingstest.Parse(settingstest.Development, all)
		if err != nil {
			t.Fatalf("%v: %v", changes, err)
		}
		if _, err := New(s, "0", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v: %v, want an error with %q", changes, err, says)
		}
	}
}
