package kvhttp

// The URLs of a vault.

import (
	"testing"

	"github.com/certwright/certwright/handler/internal/auth"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestVaultURLs(t *testing.T) {
	t.Parallel()
	urls, err := parseVaultURLs([]string{"https://first.example/", "https://Localhost:8443", "https://plain.example:443", "https://[::1]:8443", "https://*.vault.azure.net", "https://*.dev.test:8443"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"first.example":                     "https://first.example",
		"FIRST.example":                     "https://first.example",
		"first.example:443":                 "https://first.example",
		"first.example:8443":                "https://first.example", // not in the list: the first
		"localhost:8443":                    "https://localhost:8443",
		"localhost":                         "https://first.example",
		"localhost:84430":                   "https://first.example",
		"plain.example":                     "https://plain.example",
		"[::1]:8443":                        "https://[::1]:8443",
		"myvault.vault.azure.net":           "https://myvault.vault.azure.net",
		"MyVault.vault.azure.net:443":       "https://myvault.vault.azure.net",
		"myvault.vault.azure.net:8443":      "https://first.example",
		"a.b.vault.azure.net":               "https://first.example",
		"vault.azure.net":                   "https://first.example",
		".vault.azure.net":                  "https://first.example",
		"-.vault.azure.net":                 "https://first.example",
		"x@evil.example/.vault.azure.net":   "https://first.example",
		"evil.example#.vault.azure.net":     "https://first.example",
		"myvault.vault.azure.net.evil.test": "https://first.example",
		"one.dev.test:8443":                 "https://one.dev.test:8443",
		"one.dev.test":                      "https://first.example",
		"127.0.0.1:40123":                   "https://first.example",
		"":                                  "https://first.example",
	} {
		if got := urls.selectBy(host); got != want {
			t.Errorf("selectBy(%q): got %q, want %q", host, got, want)
		}
	}
}

func TestVaultURLsRefused(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{
		nil,
		{""},
		{"http://a.example"},
		{"a.example"},
		{"https://a.example/kv"},
		{"https://a.example?x"},
		{"https://u@a.example"},
		{"https://:8443"},
		{"https://*.vault.azure.net"}, // none that is exact
		{"https://a.example", "https://a*.vault.azure.net"},
		{"https://a.example", "https://*.*.azure.net"},
		{"https://a.example", "https://*"},
		{"https://a.example", "https://%zz"},
	} {
		if s, err := New(Config{Vault: new(vault.Vault), Auth: new(auth.Validator), VaultURLs: list}); err == nil {
			t.Errorf("New with vault URLs %q: got %v, want an error", list, s)
		}
	}
}
