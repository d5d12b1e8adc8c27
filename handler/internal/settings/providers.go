package settings

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/scripted"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
)

// A Provider is one member of the JSON object CERTWRIGHT_PROVIDERS. Its name
// is what issuer objects give as their provider; it has a member for the kind of
// CA, and one for the names that may be certified:
//
//	{"LetsEncrypt": {"acme": {"directory": "https://acme-v02.api.letsencrypt.org/directory",
//	                          "azureZones": ["/subscriptions/…/dnszones/example.com"]},
//	                 "names": {"dns": ["example.com"]}},
//	 "Portal":      {"webhook": {"url": "https://certificates.example.com"}}}
//
// URLs stand here and nowhere else: no caller can make the app dial one.
type Provider struct {
	ACME      *acmeConfig     `json:"acme"`
	Webhook   *webhookConfig  `json:"webhook"`
	PrivateCA *PrivateCA      `json:"privateca"`
	VaultPKI  *vaultPKIConfig `json:"vaultpki"`
	StepCA    *stepCAConfig   `json:"stepca"`
	DigiCert  *digiCertConfig `json:"digicert"`

	NameConstraints *names.Permitted `json:"names"` // nil: all that the CA certifies
}

// reservedProviders are the ones that need no configuration.
var reservedProviders = []string{"self", "unknown", "test"}

// parseProviders reads CERTWRIGHT_PROVIDERS, by lower-case name. An unknown
// member is an error: it is a misspelt one.
func parseProviders(getenv func(string) string) (map[string]Provider, error) {
	text := getenv("CERTWRIGHT_PROVIDERS")
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var raw map[string]Provider
	if err := decoder.Decode(&raw); err != nil {
		return nil, err
	}
	providers, folder := make(map[string]Provider), filesFolder(getenv(filesName))
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
		folder.resolve(p.files()...)
		err := p.readTokens(getenv)
		if err == nil && p.NameConstraints != nil {
			err = p.NameConstraints.Check()
		}
		if err != nil {
			return nil, fmt.Errorf("provider %q: %w", name, err)
		}
		providers[key] = p
	}
	return providers, nil
}

// kinds is how many kinds of CA a provider says it is.
func (p Provider) kinds() int {
	n := 0
	for _, has := range []bool{p.ACME != nil, p.Webhook != nil, p.PrivateCA != nil, p.VaultPKI != nil, p.StepCA != nil, p.DigiCert != nil} {
		if has {
			n++
		}
	}
	return n
}

// needsAzure reports whether the provider uses the app's identity in Azure.
func (p Provider) needsAzure() bool {
	return p.ACME != nil && len(p.ACME.AzureZones) > 0 || p.PrivateCA != nil && p.PrivateCA.KeyID != "" ||
		p.Webhook != nil && p.Webhook.Audience != ""
}

// readTokens reads the secrets that the configuration only names.
func (p Provider) readTokens(getenv func(string) string) error {
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

// OpenProviders makes the providers, by lower-case name: those that are built in,
// and those of the settings.
func (s Settings) OpenProviders(b Backend) (map[string]provider.Provider, error) {
	issuers := map[string]provider.Provider{"self": selfsigned.New(selfsigned.Config{})}
	if s.ScriptedIssuer {
		issuers["test"] = scripted.New(scripted.Config{})
	}
	for name, p := range s.Providers {
		issuer, err := p.open(b)
		if err != nil {
			return nil, fmt.Errorf("provider %q: %w", name, err)
		}
		if ca, ok := issuer.(*AwaitedCA); ok {
			b.Log.Warn("a private CA is not there yet: make it with handler ca make, or bring it with handler ca import", "provider", name, "chain", ca.cfg.Chain)
		}
		issuers[name] = issuer
	}
	return issuers, nil
}

// NameConstraints are what may be certified through the providers that are limited.
func (s Settings) NameConstraints() map[string]*names.Permitted {
	permitted := make(map[string]*names.Permitted)
	for name, p := range s.Providers {
		if p.NameConstraints != nil {
			permitted[name] = p.NameConstraints
		}
	}
	return permitted
}

// open makes the provider.
func (p Provider) open(b Backend) (provider.Provider, error) {
	switch {
	case p.Webhook != nil:
		return p.Webhook.open(b)
	case p.PrivateCA != nil:
		return p.PrivateCA.open(b)
	case p.VaultPKI != nil:
		return p.VaultPKI.open(b)
	case p.StepCA != nil:
		return p.StepCA.open(b)
	case p.DigiCert != nil:
		return p.DigiCert.open(b)
	default:
		return p.ACME.open(b)
	}
}
