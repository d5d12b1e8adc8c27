package settings_test

// All settings: values, refusals, and what is for development only.

import (
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		all         map[string]string
		development bool
	}{
		"development": {settingstest.Development, true},
		"production":  {settingstest.Production, false},
	} {
		c, err := settingstest.Parse(test.all, nil)
		if err != nil || c.Development() != test.development {
			t.Errorf("%s: development %v, %v", name, c.Development(), err)
		}
		if c.RecoverableDays != 90 || c.VaultID != "vault" || c.Port != 9000 {
			t.Errorf("%s: %+v lacks a default", name, c)
		}
	}
}

// TestDevelopmentStaysOnOneMachine: with storage elsewhere, everything that is
// for development only keeps the handler from starting.
func TestDevelopmentStaysOnOneMachine(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string]map[string]string{
		"file KEK":          {"CERTWRIGHT_KEK_FILE": "kek", "CERTWRIGHT_KEK_ID": ""},
		"scripted provider": {"CERTWRIGHT_SCRIPTED_ISSUER": "true"},
		"pattern":           {"CERTWRIGHT_VAULT_URLS": "https://a.example.com,https://*.example.com"},
		"audience":          {"CERTWRIGHT_TOKEN_AUDIENCES": "https://certs.example.com,https://vault.azure.net"},
		"resource":          {"CERTWRIGHT_RESOURCE": "https://vault.azure.net/"},
		"keys without TLS":  {"CERTWRIGHT_TOKEN_KEYS_URL": "http://login.example.com/keys"},
		"keys on loopback":  {"CERTWRIGHT_TOKEN_KEYS_URL": "https://127.0.0.1/keys"},
		"local issuer":      {"CERTWRIGHT_TOKEN_ISSUERS": "http://localhost:9001/tenant"},
		"CA key in a file":  {"CERTWRIGHT_PROVIDERS": `{"CA": {"privateca": {"chain": "ca.pem", "keyFile": "ca.key"}}}`},
		"connection string": {
			"CERTWRIGHT_STORAGE_CONNECTION_STRING": "AccountName=a;AccountKey=bm90IGEga2V5;BlobEndpoint=https://a.blob.core.windows.net;TableEndpoint=https://a.table.core.windows.net",
			"CERTWRIGHT_TABLE_ENDPOINT":            "",
			"CERTWRIGHT_BLOB_ENDPOINT":             "",
		},
	} {
		if _, err := settingstest.Parse(settingstest.Production, changes); err == nil {
			t.Errorf("%s: accepted although storage is not on this machine", name)
		}
	}
}

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := settings.Parse(func(name string) string {
		return map[string]string{
			"CERTWRIGHT_RECOVERABLE_DAYS": "many",
			"CERTWRIGHT_RETRY_AFTER":      "soon",
			"CERTWRIGHT_SCRIPTED_ISSUER":  "perhaps",
			"CERTWRIGHT_LOG_LEVEL":        "loud",
			"CERTWRIGHT_LOG_FORMAT":       "xml",
			"CERTWRIGHT_GRANTS":           "nonsense",
		}[name]
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"CERTWRIGHT_VAULT_URLS", "CERTWRIGHT_AUTHORITY", "CERTWRIGHT_RESOURCE", "CERTWRIGHT_TOKEN_ISSUERS",
		"CERTWRIGHT_TOKEN_AUDIENCES", "CERTWRIGHT_TOKEN_KEYS_URL", "CERTWRIGHT_STORAGE_CONNECTION_STRING",
		"CERTWRIGHT_KEK_ID", "CERTWRIGHT_RECOVERABLE_DAYS", "CERTWRIGHT_RETRY_AFTER", "CERTWRIGHT_SCRIPTED_ISSUER", "CERTWRIGHT_LOG_LEVEL", "CERTWRIGHT_LOG_FORMAT", "CERTWRIGHT_GRANTS",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

func TestProviders(t *testing.T) {
	t.Parallel()
	good := `{"LetsEncrypt": {"acme": {"directory": "https://acme.example.com/directory", "http01": true,
		"hooks": [{"zones": ["example.com"], "url": "https://dns.example.com", "tokenSetting": "HOOK_TOKEN"}]}},
		"Portal": {"webhook": {"url": "https://portal.example.com", "authentication": "bearer"}}}`
	c, err := settingstest.Parse(settingstest.Production, map[string]string{"CERTWRIGHT_PROVIDERS": good, "HOOK_TOKEN": "not-a-real-token"})
	if err != nil {
		t.Fatal(err)
	}
	if got := settings.HookToken(c.Providers["letsencrypt"]); got != "not-a-real-token" {
		t.Errorf("the hook's token is %q", got)
	}
	issuers, err := c.OpenProviders(settings.Backend{})
	if err != nil || issuers["letsencrypt"] == nil || issuers["portal"] == nil || issuers["self"] == nil || issuers["test"] != nil {
		t.Errorf("issuers are %v, %v", issuers, err)
	}
	for why, text := range map[string]string{
		"a misspelt member":          `{"CA": {"acme": {"directroy": "https://acme.example.com"}}}`,
		"two kinds":                  `{"CA": {"acme": {}, "webhook": {}}}`,
		"no kind":                    `{"CA": {}}`,
		"names without a kind":       `{"CA": {"names": {"dns": ["example.com"]}}}`,
		"a misspelt kind of names":   `{"CA": {"webhook": {"url": "https://a.example.com"}, "names": {"dnsNames": ["example.com"]}}}`,
		"a wildcard among names":     `{"CA": {"webhook": {"url": "https://a.example.com"}, "names": {"dns": ["*.example.com"]}}}`,
		"an address for a network":   `{"CA": {"webhook": {"url": "https://a.example.com"}, "names": {"ips": ["10.0.0.1"]}}}`,
		"a built-in name":            `{"Self": {"webhook": {"url": "https://a.example.com"}}}`,
		"one name in two cases":      `{"CA": {"webhook": {"url": "https://a.example.com"}}, "ca": {"webhook": {"url": "https://a.example.com"}}}`,
		"three kinds":                `{"CA": {"acme": {}, "webhook": {}, "privateca": {}}}`,
		"a setting that is not JSON": `LetsEncrypt`,
		"a token that is not set":    `{"CA": {"acme": {"hooks": [{"tokenSetting": "NONE"}]}}}`,
	} {
		if _, err := settingstest.Parse(settingstest.Production, map[string]string{"CERTWRIGHT_PROVIDERS": text}); err == nil {
			t.Errorf("%s: accepted", why)
		}
	}
	for why, text := range map[string]string{
		"a directory without TLS":      `{"CA": {"acme": {"directory": "http://acme.example.com", "http01": true}}}`,
		"no way to prove names":        `{"CA": {"acme": {"directory": "https://acme.example.com"}}}`,
		"a private CA without a key":   `{"CA": {"privateca": {"chain": "ca.pem"}}}`,
		"a private CA without a chain": `{"CA": {"privateca": {"sealed": true}}}`,
		"no key for an absent chain":   `{"CA": {"privateca": {"chain": "none.pem"}}}`,
		"roots that are not there":     `{"CA": {"webhook": {"url": "https://a.example.com", "roots": "none.pem"}}}`,
		"an authentication of no kind": `{"CA": {"webhook": {"url": "https://a.example.com", "authentication": "trust"}}}`,
	} {
		c, err := settingstest.Parse(settingstest.Production, map[string]string{"CERTWRIGHT_PROVIDERS": text})
		if err != nil {
			t.Errorf("%s: %v", why, err)
			continue
		}
		if _, err := c.OpenProviders(settings.Backend{}); err == nil {
			t.Errorf("%s: opened", why)
		}
	}
}
