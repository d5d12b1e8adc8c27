package settings_test

// Destinations of events in the settings.

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// secrets are the settings that others name.
var secrets = map[string]string{
	"SIEM_KEY": "a key of thirty-two bytes or more", "SIEM_URL": "https://siem.example.com/hook?code=s3cret", "SMTP_PASSWORD": "not-a-real-password", "SHORT": "s3cret",
}

func parseEvents(all map[string]string, text string) (settings.Settings, error) {
	changes := map[string]string{"CERTWRIGHT_EVENTS": text}
	for name, value := range secrets {
		changes[name] = value
	}
	return settingstest.Parse(all, changes)
}

func TestDestinations(t *testing.T) {
	t.Parallel()
	c, err := parseEvents(settingstest.Production, `{
		"siem": {"https": {"url": "https://siem.example.com/hook", "keySetting": "SIEM_KEY", "types": ["Microsoft.KeyVault.CertificateExpired"]}},
		"logic-app": {"https": {"urlSetting": "SIEM_URL", "keySetting": "SIEM_KEY"}},
		"mail": {"smtp": {"server": "smtp.example.com:2525", "from": "Vault <vault@example.com>", "username": "u", "passwordSetting": "SMTP_PASSWORD"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	destinations, err := c.OpenDestinations(nobody, slog.New(slog.DiscardHandler))
	if err != nil || len(destinations) != 3 {
		t.Fatalf("%v, %v", destinations, err)
	}
	for name, wants := range map[string]map[vault.EventType]bool{
		"siem":      {vault.EventExpired: true, vault.EventNewVersion: false},
		"logic-app": {vault.EventExpired: true, vault.EventNewVersion: true},
		"mail":      {vault.EventExpired: true, vault.EventNewVersion: false},
	} {
		for typ, want := range wants {
			if got := destinations[name].Wants(vault.Event{Type: typ, Contacts: true}); got != want {
				t.Errorf("%s wants %s: %v", name, typ, got)
			}
		}
	}
	if c, err := parseEvents(settingstest.Production, " "); err != nil || len(c.Destinations) > 0 {
		t.Errorf("without the setting: %v, %v", c.Destinations, err)
	}
}

// TestDestinationsThatAreWrong: each is refused at start with what is wrong, and
// without a secret.
func TestDestinationsThatAreWrong(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct{ text, says string }{
		"no JSON":                  {`siem`, "CERTWRIGHT_EVENTS"},
		"two objects":              {`{} {}`, "more follows"},
		"a misspelt member":        {`{"siem": {"https": {"url": "https://siem.example.com", "keySeting": "SIEM_KEY"}}}`, "keySeting"},
		"no kind":                  {`{"siem": {}}`, "one of https and smtp"},
		"two kinds":                {`{"siem": {"https": {}, "smtp": {}}}`, "one of https and smtp"},
		"no URL":                   {`{"siem": {"https": {"keySetting": "SIEM_KEY"}}}`, "one of url and urlSetting"},
		"two URLs":                 {`{"siem": {"https": {"url": "https://a.example.com", "urlSetting": "SIEM_URL", "keySetting": "SIEM_KEY"}}}`, "one of url and urlSetting"},
		"no key":                   {`{"siem": {"https": {"url": "https://siem.example.com"}}}`, "must have a keySetting"},
		"a key that is not set":    {`{"siem": {"https": {"url": "https://siem.example.com", "keySetting": "NONE"}}}`, "NONE"},
		"a URL that is not set":    {`{"siem": {"https": {"urlSetting": "NONE", "keySetting": "SIEM_KEY"}}}`, "NONE"},
		"a short key":              {`{"siem": {"https": {"url": "https://siem.example.com", "keySetting": "SHORT"}}}`, "at least 32"},
		"no TLS":                   {`{"siem": {"https": {"url": "http://siem.example.com", "keySetting": "SIEM_KEY"}}}`, "https://HOST/PATH"},
		"an unknown type":          {`{"siem": {"https": {"url": "https://siem.example.com", "keySetting": "SIEM_KEY", "types": ["Expired"]}}}`, `"Expired"`},
		"no types":                 {`{"siem": {"https": {"url": "https://siem.example.com", "keySetting": "SIEM_KEY", "types": []}}}`, "no types"},
		"roots that are not there": {`{"siem": {"https": {"url": "https://siem.example.com", "keySetting": "SIEM_KEY", "roots": "none.pem"}}}`, "none.pem"},
		"a name with a dot":        {`{"siem.eu": {"https": {"url": "https://siem.example.com", "keySetting": "SIEM_KEY"}}}`, "a name of at most 32"},
		"a password not set":       {`{"mail": {"smtp": {"server": "smtp.example.com", "from": "a@example.com", "username": "u", "passwordSetting": "NONE"}}}`, "NONE"},
		"a user without password":  {`{"mail": {"smtp": {"server": "smtp.example.com", "from": "a@example.com", "username": "u"}}}`, "needs a password"},
		"a server with a scheme":   {`{"mail": {"smtp": {"server": "smtp://smtp.example.com", "from": "a@example.com"}}}`, "host or host:port"},
		"a sender that is none":    {`{"mail": {"smtp": {"server": "smtp.example.com", "from": "vault"}}}`, "is not a mailbox"},
	} {
		c, err := parseEvents(settingstest.Production, test.text)
		if err == nil {
			err = openVaultWith(c)
		}
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestDestinationsOnThisMachine are for development.
func TestDestinationsOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"siem": {"https": {"url": "https://127.0.0.1:8443/hook", "keySetting": "SIEM_KEY"}}}`,
		`{"siem": {"https": {"url": "https://localhost", "keySetting": "SIEM_KEY"}}}`,
		`{"siem": {"https": {"url": "https://[::1]", "keySetting": "SIEM_KEY"}}}`,
		`{"mail": {"smtp": {"server": "127.0.0.1:1025", "from": "a@example.com"}}}`,
		`{"mail": {"smtp": {"server": "localhost", "from": "a@example.com"}}}`,
		`{"mail": {"smtp": {"server": "::1", "from": "a@example.com"}}}`,
		`{"mail": {"smtp": {"server": "[::1]:1025", "from": "a@example.com"}}}`,
	} {
		if _, err := parseEvents(settingstest.Production, text); err == nil || !strings.Contains(err.Error(), "a destination on this machine") {
			t.Errorf("in production %s: %v", text, err)
		}
		c, err := parseEvents(settingstest.Development, text)
		if err == nil {
			_, err = c.OpenDestinations(nobody, slog.New(slog.DiscardHandler))
		}
		if err != nil {
			t.Errorf("in development %s: %v", text, err)
		}
	}
}

// nobody are not contacts.
func nobody(context.Context) ([]vault.Contact, error) { return nil, nil }

// openVaultWith opens a vault that tells the destinations of settings, which are
// otherwise those of production.
func openVaultWith(s settings.Settings) error {
	b, err := s.OpenBackend(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	destinations, err := s.OpenDestinations(nobody, b.Log)
	if err != nil {
		return err
	}
	issuers, err := s.OpenProviders(b)
	if err != nil {
		return err
	}
	_, err = vault.New(vault.Config{Store: b.Store, Seal: b.Seal, Open: b.Open, Providers: issuers, Destinations: destinations})
	return err
}
