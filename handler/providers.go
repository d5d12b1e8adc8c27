package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/vault"
)

// providerConfig is one member of the JSON object CERTWRIGHT_PROVIDERS. Its name
// is what issuer objects give as their provider; it has a member for the kind of
// CA, and one for the names that may be certified:
//
//	{"LetsEncrypt": {"acme": {"directory": "https://acme-v02.api.letsencrypt.org/directory",
//	                          "azureZones": ["/subscriptions/…/dnszones/example.com"]},
//	                 "names": {"dns": ["example.com"]}},
//	 "Portal":      {"webhook": {"url": "https://certificates.example.com"}}}
//
// URLs stand here and nowhere else: no caller can make the app dial one.
type providerConfig struct {
	ACME      *acmeConfig      `json:"acme"`
	Webhook   *webhookConfig   `json:"webhook"`
	PrivateCA *privateCAConfig `json:"privateca"`
	VaultPKI  *vaultPKIConfig  `json:"vaultpki"`
	StepCA    *stepCAConfig    `json:"stepca"`
	DigiCert  *digiCertConfig  `json:"digicert"`

	Names *names.Permitted `json:"names"` // nil: all that the CA certifies
}

// reservedProviders are the ones that need no configuration.
var reservedProviders = []string{"self", "unknown", "test"}

// parseProviders reads CERTWRIGHT_PROVIDERS, by lower-case name. An unknown
// member is an error: it is a misspelt one.
func parseProviders(getenv func(string) string) (map[string]providerConfig, error) {
	text := getenv("CERTWRIGHT_PROVIDERS")
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var raw map[string]providerConfig
	if err := decoder.Decode(&raw); err != nil {
		return nil, err
	}
	providers := make(map[string]providerConfig)
	for name, p := range raw {
		key := strings.ToLower(name)
		_, twice := providers[key]
		switch {
		case key == "" || twice:
			return nil, fmt.Errorf("provider %q appears twice or has no name", name)
		case slices.Contains(reservedProviders, key):
			return nil, fmt.Errorf("provider %q is built in", name)
		case p.kinds() != 1:
			return nil, fmt.Errorf("provider %q must have one of acme, webhook, privateca, vaultpki, stepca and digicert", name)
		}
		err := p.readTokens(getenv)
		if err == nil && p.Names != nil {
			err = p.Names.Check()
		}
		if err != nil {
			return nil, fmt.Errorf("provider %q: %w", name, err)
		}
		providers[key] = p
	}
	return providers, nil
}

// kinds is how many kinds of CA a provider says it is.
func (p providerConfig) kinds() int {
	n := 0
	for _, has := range []bool{p.ACME != nil, p.Webhook != nil, p.PrivateCA != nil, p.VaultPKI != nil, p.StepCA != nil, p.DigiCert != nil} {
		if has {
			n++
		}
	}
	return n
}

// needsAzure reports whether the provider uses the app's identity in Azure.
func (p providerConfig) needsAzure() bool {
	return p.ACME != nil && len(p.ACME.AzureZones) > 0 || p.PrivateCA != nil && p.PrivateCA.KeyID != "" ||
		p.Webhook != nil && p.Webhook.Audience != ""
}

// readTokens reads the secrets that the configuration only names.
func (p providerConfig) readTokens(getenv func(string) string) error {
	if p.ACME == nil {
		return nil
	}
	for i, hook := range p.ACME.Hooks {
		if hook.TokenSetting == "" {
			continue
		}
		if p.ACME.Hooks[i].token = getenv(hook.TokenSetting); p.ACME.Hooks[i].token == "" {
			return fmt.Errorf("the setting %s, which a hook names, is not set", hook.TokenSetting)
		}
	}
	return nil
}

// surroundings are what providers are opened with besides their configuration.
type surroundings struct {
	accounts   vault.Accounts
	challenges vault.Challenges
	crls       *azstore.Store
	credential azcore.TokenCredential
	localKEK   bool // sealed data is opened without a network besides storage
	log        *slog.Logger
}

// open makes the provider.
func (p providerConfig) open(s surroundings) (vault.Issuer, error) {
	switch {
	case p.Webhook != nil:
		return p.Webhook.open(s)
	case p.PrivateCA != nil:
		return p.PrivateCA.open(s)
	case p.VaultPKI != nil:
		return p.VaultPKI.open(s)
	case p.StepCA != nil:
		return p.StepCA.open(s)
	case p.DigiCert != nil:
		return p.DigiCert.open(s)
	default:
		return p.ACME.open(s)
	}
}

// readRoots reads a file of certificates; nil, the system's roots, without one.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %q", file)
	}
	return pool, nil
}
