package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/auth"
	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/funchost"
)

// config is the handler's settings. Each field names its app setting.
type config struct {
	// Port to listen on, on 127.0.0.1: FUNCTIONS_CUSTOMHANDLER_PORT, set by the
	// Functions host.
	Port int

	// VaultID is part of every row's key and every sealed value, so it must
	// never change: CERTWRIGHT_VAULT_ID, "vault" unless set.
	VaultID string

	// VaultURLs are the URLs under which clients reach the vault:
	// CERTWRIGHT_VAULT_URLS, separated by commas. In development one may be a
	// pattern such as https://*.vault.azure.net.
	VaultURLs []string

	// TableEndpoint and BlobEndpoint of the storage account, opened with the
	// app's managed identity: CERTWRIGHT_TABLE_ENDPOINT and
	// CERTWRIGHT_BLOB_ENDPOINT.
	TableEndpoint, BlobEndpoint string

	// StorageConnectionString instead of the two, for Azurite only:
	// CERTWRIGHT_STORAGE_CONNECTION_STRING.
	StorageConnectionString string

	// KEKFile holds the key-encryption key in development: CERTWRIGHT_KEK_FILE.
	KEKFile string

	// KEKID is the Key Vault key that wraps every other key:
	// CERTWRIGHT_KEK_ID, https://VAULT/keys/NAME.
	KEKID string

	// Authority is where clients get tokens: CERTWRIGHT_AUTHORITY,
	// https://login.microsoftonline.com/TENANT.
	Authority string

	// Resource is what they ask a token for: CERTWRIGHT_RESOURCE, the parent
	// domain of the vault's URL as a URL.
	Resource string

	// TokenIssuers and TokenAudiences are accepted in tokens, separated by
	// commas: CERTWRIGHT_TOKEN_ISSUERS and CERTWRIGHT_TOKEN_AUDIENCES.
	TokenIssuers, TokenAudiences []string

	// TokenKeysURL publishes the keys that sign tokens:
	// CERTWRIGHT_TOKEN_KEYS_URL.
	TokenKeysURL string

	// Grants give permissions to single identities besides their app roles:
	// CERTWRIGHT_GRANTS, oid=permission+permission;oid=...
	Grants auth.Grants

	// RecoverableDays is how long a deleted certificate can be recovered:
	// CERTWRIGHT_RECOVERABLE_DAYS, 7 to 90, 90 unless set.
	RecoverableDays int

	// PurgeProtection keeps a deleted certificate until its purge date, whoever
	// asks: CERTWRIGHT_PURGE_PROTECTION.
	PurgeProtection bool

	// ScriptedIssuer allows issuer objects of the provider Test, which do what
	// their script says: CERTWRIGHT_SCRIPTED_ISSUER, development only.
	ScriptedIssuer bool

	// Providers are the CAs that issuer objects may name, by lower-case name:
	// CERTWRIGHT_PROVIDERS, a JSON object described in providers.go.
	Providers map[string]providerConfig

	// Destinations are told of events, by name: CERTWRIGHT_EVENTS, a JSON object
	// described in destinations.go.
	Destinations map[string]destinationConfig

	// LogLevel is CERTWRIGHT_LOG_LEVEL: debug, info, warn or error.
	LogLevel slog.Level
}

// parseConfig reads all settings and reports everything that is wrong with them
// at once.
func parseConfig(getenv func(string) string) (config, error) {
	s := settings{getenv: getenv}
	c := s.state()
	c.VaultURLs = s.list("CERTWRIGHT_VAULT_URLS")
	c.Authority = s.text("CERTWRIGHT_AUTHORITY", "")
	c.Resource = s.text("CERTWRIGHT_RESOURCE", "")
	c.TokenIssuers = s.list("CERTWRIGHT_TOKEN_ISSUERS")
	c.TokenAudiences = s.list("CERTWRIGHT_TOKEN_AUDIENCES")
	c.TokenKeysURL = s.text("CERTWRIGHT_TOKEN_KEYS_URL", "")
	c.RecoverableDays = s.number("CERTWRIGHT_RECOVERABLE_DAYS", 90)
	c.PurgeProtection = s.flag("CERTWRIGHT_PURGE_PROTECTION")
	c.ScriptedIssuer = s.flag("CERTWRIGHT_SCRIPTED_ISSUER")
	var err error
	if c.Port, err = funchost.Port(getenv); err != nil {
		s.wrong(err)
	}
	if c.Grants, err = auth.ParseGrants(getenv("CERTWRIGHT_GRANTS")); err != nil {
		s.wrong(fmt.Errorf("CERTWRIGHT_GRANTS: %w", err))
	}
	if c.Destinations, err = parseDestinations(getenv); err != nil {
		s.wrong(fmt.Errorf("CERTWRIGHT_EVENTS: %w", err))
	}
	if level := getenv("CERTWRIGHT_LOG_LEVEL"); level != "" {
		if err := c.LogLevel.UnmarshalText([]byte(level)); err != nil {
			s.wrong(errors.New("CERTWRIGHT_LOG_LEVEL must be debug, info, warn or error"))
		}
	}
	for _, required := range []struct {
		name string
		set  bool
	}{
		{"CERTWRIGHT_VAULT_URLS", len(c.VaultURLs) > 0},
		{"CERTWRIGHT_AUTHORITY", c.Authority != ""},
		{"CERTWRIGHT_RESOURCE", c.Resource != ""},
		{"CERTWRIGHT_TOKEN_ISSUERS", len(c.TokenIssuers) > 0},
		{"CERTWRIGHT_TOKEN_AUDIENCES", len(c.TokenAudiences) > 0},
		{"CERTWRIGHT_TOKEN_KEYS_URL", c.TokenKeysURL != ""},
	} {
		if !required.set {
			s.wrong(fmt.Errorf("%s is required", required.name))
		}
	}
	if !c.development() {
		s.wrong(c.checkProduction())
	}
	return c, errors.Join(s.errs...)
}

// parseState reads only the settings that say where state is kept and which CAs
// there are: what a command needs that serves nothing.
func parseState(getenv func(string) string) (config, error) {
	s := settings{getenv: getenv}
	c := s.state()
	return c, errors.Join(s.errs...)
}

func (s *settings) state() config {
	c := config{
		VaultID:                 s.text("CERTWRIGHT_VAULT_ID", "vault"),
		TableEndpoint:           s.text("CERTWRIGHT_TABLE_ENDPOINT", ""),
		BlobEndpoint:            s.text("CERTWRIGHT_BLOB_ENDPOINT", ""),
		StorageConnectionString: s.text("CERTWRIGHT_STORAGE_CONNECTION_STRING", ""),
		KEKFile:                 s.text("CERTWRIGHT_KEK_FILE", ""),
		KEKID:                   s.text("CERTWRIGHT_KEK_ID", ""),
	}
	var err error
	if c.Providers, err = parseProviders(s.getenv); err != nil {
		s.wrong(fmt.Errorf("CERTWRIGHT_PROVIDERS: %w", err))
	}
	if (c.StorageConnectionString != "") == (c.TableEndpoint != "" && c.BlobEndpoint != "") {
		s.wrong(errors.New("set either CERTWRIGHT_TABLE_ENDPOINT and CERTWRIGHT_BLOB_ENDPOINT, or CERTWRIGHT_STORAGE_CONNECTION_STRING for Azurite"))
	}
	if (c.KEKFile != "") == (c.KEKID != "") {
		s.wrong(errors.New("set either CERTWRIGHT_KEK_ID, or CERTWRIGHT_KEK_FILE in development"))
	}
	if !c.development() {
		s.wrong(c.checkProductionState())
	}
	return c
}

// development holds while all state is on this machine. It is a fact, not a
// setting, so nothing that is for development only can be turned on in Azure by
// a copied setting.
func (c config) development() bool { return c.storage().Loopback() }

// storage is where rows and blobs are.
func (c config) storage() azstore.Config {
	return azstore.Config{
		TableEndpoint:    c.TableEndpoint,
		BlobEndpoint:     c.BlobEndpoint,
		ConnectionString: c.StorageConnectionString,
		VaultID:          c.VaultID,
	}
}

// inProduction refuses what a setting, or a part of one, says.
func inProduction(setting, why string) error {
	return fmt.Errorf("%s: %s is for development, and storage is not on this machine", setting, why)
}

func (c config) checkProductionState() error {
	var errs []error
	if c.StorageConnectionString != "" {
		errs = append(errs, inProduction("CERTWRIGHT_STORAGE_CONNECTION_STRING", "a connection string"))
	}
	if c.KEKFile != "" {
		errs = append(errs, inProduction("CERTWRIGHT_KEK_FILE", "a key-encryption key in a file"))
	}
	for name, p := range c.Providers {
		if p.PrivateCA != nil && p.PrivateCA.KeyFile != "" {
			errs = append(errs, inProduction("CERTWRIGHT_PROVIDERS "+name, "a CA's key in a file"))
		}
	}
	return errors.Join(errs...)
}

func (c config) checkProduction() error {
	var errs []error
	if c.ScriptedIssuer {
		errs = append(errs, inProduction("CERTWRIGHT_SCRIPTED_ISSUER", "the scripted provider"))
	}
	for name, d := range c.Destinations {
		if d.loopback() {
			errs = append(errs, inProduction("CERTWRIGHT_EVENTS "+name, "a destination on this machine"))
		}
	}
	for _, u := range c.VaultURLs {
		if strings.Contains(u, "*") {
			errs = append(errs, inProduction("CERTWRIGHT_VAULT_URLS", "a pattern"))
		}
	}
	for _, u := range append([]string{c.TokenKeysURL, c.Authority}, c.TokenIssuers...) {
		if parsed, err := url.Parse(u); err != nil || parsed.Scheme != "https" || azstore.Loopback(u) {
			errs = append(errs, inProduction(u, "a token issuer on this machine or without TLS"))
		}
	}
	const realVaults = "https://vault.azure.net"
	for _, a := range append([]string{c.Resource}, c.TokenAudiences...) {
		if strings.TrimSuffix(a, "/") == realVaults {
			errs = append(errs, fmt.Errorf("%s must not be a resource or audience: tokens for it open real key vaults", realVaults))
		}
	}
	return errors.Join(errs...)
}

// settings reads app settings and collects what is wrong with them.
type settings struct {
	getenv func(string) string
	errs   []error
}

func (s *settings) wrong(err error) {
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

func (s *settings) text(name, otherwise string) string {
	if v := strings.TrimSpace(s.getenv(name)); v != "" {
		return v
	}
	return otherwise
}

func (s *settings) list(name string) []string {
	var list []string
	for item := range strings.SplitSeq(s.getenv(name), ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

func (s *settings) number(name string, otherwise int) int {
	v := s.text(name, "")
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		s.wrong(fmt.Errorf("%s must be a number", name))
	}
	return n
}

func (s *settings) flag(name string) bool {
	v := s.text(name, "false")
	b, err := strconv.ParseBool(v)
	if err != nil {
		s.wrong(fmt.Errorf("%s must be true or false", name))
	}
	return b
}

// Times of the HTTP server. The Functions host keeps idle connections for a
// minute and ends a call after two (functionTimeout in host.json).
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 60 * time.Second
	writeTimeout      = 150 * time.Second
	idleTimeout       = 3 * time.Minute
)
