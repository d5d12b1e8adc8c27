package settings

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/certwright/certwright/handler/internal/azstore"
)

// inProduction refuses what a setting, or a part of one, says.
func inProduction(setting, why string) error {
	return fmt.Errorf("%s: %s is for development, and storage is not on this machine", setting, why)
}

func (s Settings) checkProductionState() error {
	var errs []error
	if s.StorageConnectionString != "" {
		errs = append(errs, inProduction("CERTWRIGHT_STORAGE_CONNECTION_STRING", "a connection string"))
	}
	if s.KEKFile != "" {
		errs = append(errs, inProduction("CERTWRIGHT_KEK_FILE", "a key-encryption key in a file"))
	}
	for name, p := range s.Providers {
		if p.PrivateCA != nil && p.PrivateCA.KeyFile != "" {
			errs = append(errs, inProduction("CERTWRIGHT_PROVIDERS "+name, "a CA's key in a file"))
		}
	}
	return errors.Join(errs...)
}

func (s Settings) checkProduction() error {
	var errs []error
	if s.ScriptedIssuer {
		errs = append(errs, inProduction("CERTWRIGHT_SCRIPTED_ISSUER", "the scripted provider"))
	}
	for name, d := range s.Destinations {
		if d.loopback() {
			errs = append(errs, inProduction("CERTWRIGHT_EVENTS "+name, "a destination on this machine"))
		}
	}
	for _, u := range s.VaultURLs {
		if strings.Contains(u, "*") {
			errs = append(errs, inProduction("CERTWRIGHT_VAULT_URLS", "a pattern"))
		}
	}
	for _, u := range append([]string{s.TokenKeysURL, s.Authority}, s.TokenIssuers...) {
		if parsed, err := url.Parse(u); err != nil || parsed.Scheme != "https" || azstore.Loopback(u) {
			errs = append(errs, inProduction(u, "a token issuer on this machine or without TLS"))
		}
	}
	const realVaults = "https://vault.azure.net"
	for _, a := range append([]string{s.Resource}, s.TokenAudiences...) {
		if strings.TrimSuffix(a, "/") == realVaults {
			errs = append(errs, fmt.Errorf("%s must not be a resource or audience: tokens for it open real key vaults", realVaults))
		}
	}
	return errors.Join(errs...)
}
