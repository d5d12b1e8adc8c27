package settings

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/certwright/certwright/handler/internal/auth"
	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/funchost"
)

// Settings are the app settings, checked. Each field names its setting.
type Settings struct {
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

	// Names of files in the settings may be relative, to CERTWRIGHT_FILES.

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

	// RetryAfter is after how many seconds a client is to ask again for a request
	// that needs no answer of a CA: CERTWRIGHT_RETRY_AFTER, 1 to 10, 2 unless set.
	RetryAfter int

	// PurgeProtection keeps a deleted certificate until its purge date; until then
	// every purge is refused: CERTWRIGHT_PURGE_PROTECTION.
	PurgeProtection bool

	// ScriptedIssuer allows issuer objects of the provider Test, which do what
	// their script says: CERTWRIGHT_SCRIPTED_ISSUER, development only.
	ScriptedIssuer bool

	// Providers are the CAs that issuer objects may name, by lower-case name:
	// CERTWRIGHT_PROVIDERS, a JSON object described at Provider.
	Providers map[string]Provider

	// Destinations are told of events, by name: CERTWRIGHT_EVENTS, a JSON object
	// described at Destination.
	Destinations map[string]Destination

	// LogLevel is CERTWRIGHT_LOG_LEVEL: debug, info, warn or error.
	LogLevel slog.Level

	// LogFormat is CERTWRIGHT_LOG_FORMAT: LogJSON, which it is unless set, or
	// LogText.
	LogFormat string
}

// Formats of the log: for programs, and for people at a terminal.
const (
	LogJSON = "json"
	LogText = "text"
)

// Parse reads all settings and reports everything that is wrong with them at
// once.
func Parse(getenv func(string) string) (Settings, error) {
	r := reader{getenv: getenv}
	s := r.state()
	s.VaultURLs = r.list("CERTWRIGHT_VAULT_URLS")
	s.Authority = r.text("CERTWRIGHT_AUTHORITY", "")
	s.Resource = r.text("CERTWRIGHT_RESOURCE", "")
	s.TokenIssuers = r.list("CERTWRIGHT_TOKEN_ISSUERS")
	s.TokenAudiences = r.list("CERTWRIGHT_TOKEN_AUDIENCES")
	s.TokenKeysURL = r.text("CERTWRIGHT_TOKEN_KEYS_URL", "")
	s.RecoverableDays = r.number("CERTWRIGHT_RECOVERABLE_DAYS", 90)
	s.RetryAfter = r.number("CERTWRIGHT_RETRY_AFTER", 2)
	s.PurgeProtection = r.flag("CERTWRIGHT_PURGE_PROTECTION")
	s.ScriptedIssuer = r.flag("CERTWRIGHT_SCRIPTED_ISSUER")
	var err error
	if s.Port, err = funchost.Port(getenv); err != nil {
		r.wrong(err)
	}
	if s.Grants, err = auth.ParseGrants(getenv("CERTWRIGHT_GRANTS")); err != nil {
		r.wrong(fmt.Errorf("CERTWRIGHT_GRANTS: %w", err))
	}
	if s.Destinations, err = parseDestinations(getenv); err != nil {
		r.wrong(fmt.Errorf("CERTWRIGHT_EVENTS: %w", err))
	}
	if level := getenv("CERTWRIGHT_LOG_LEVEL"); level != "" {
		if err := s.LogLevel.UnmarshalText([]byte(level)); err != nil {
			r.wrong(errors.New("CERTWRIGHT_LOG_LEVEL must be debug, info, warn or error"))
		}
	}
	if s.LogFormat = r.text("CERTWRIGHT_LOG_FORMAT", LogJSON); s.LogFormat != LogJSON && s.LogFormat != LogText {
		r.wrong(errors.New("CERTWRIGHT_LOG_FORMAT must be json or text"))
	}
	for _, required := range []struct {
		name string
		set  bool
	}{
		{"CERTWRIGHT_VAULT_URLS", len(s.VaultURLs) > 0},
		{"CERTWRIGHT_AUTHORITY", s.Authority != ""},
		{"CERTWRIGHT_RESOURCE", s.Resource != ""},
		{"CERTWRIGHT_TOKEN_ISSUERS", len(s.TokenIssuers) > 0},
		{"CERTWRIGHT_TOKEN_AUDIENCES", len(s.TokenAudiences) > 0},
		{"CERTWRIGHT_TOKEN_KEYS_URL", s.TokenKeysURL != ""},
	} {
		if !required.set {
			r.wrong(fmt.Errorf("%s is required", required.name))
		}
	}
	if !s.Development() {
		r.wrong(s.checkProduction())
	}
	return s, errors.Join(r.errs...)
}

// ParseState reads only the settings that say where state is kept and which CAs
// there are: what a command needs that serves nothing.
func ParseState(getenv func(string) string) (Settings, error) {
	r := reader{getenv: getenv}
	s := r.state()
	return s, errors.Join(r.errs...)
}

// state reads what ParseState does.
func (r *reader) state() Settings {
	s := Settings{
		VaultID:                 r.text("CERTWRIGHT_VAULT_ID", "vault"),
		TableEndpoint:           r.text("CERTWRIGHT_TABLE_ENDPOINT", ""),
		BlobEndpoint:            r.text("CERTWRIGHT_BLOB_ENDPOINT", ""),
		StorageConnectionString: r.text("CERTWRIGHT_STORAGE_CONNECTION_STRING", ""),
		KEKFile:                 r.text("CERTWRIGHT_KEK_FILE", ""),
		KEKID:                   r.text("CERTWRIGHT_KEK_ID", ""),
	}
	filesFolder(r.getenv(filesName)).resolve(&s.KEKFile)
	var err error
	if s.Providers, err = parseProviders(r.getenv); err != nil {
		r.wrong(fmt.Errorf("CERTWRIGHT_PROVIDERS: %w", err))
	}
	if (s.StorageConnectionString != "") == (s.TableEndpoint != "" && s.BlobEndpoint != "") {
		r.wrong(errors.New("set either CERTWRIGHT_TABLE_ENDPOINT and CERTWRIGHT_BLOB_ENDPOINT, or CERTWRIGHT_STORAGE_CONNECTION_STRING for Azurite"))
	}
	if (s.KEKFile != "") == (s.KEKID != "") {
		r.wrong(errors.New("set either CERTWRIGHT_KEK_ID, or CERTWRIGHT_KEK_FILE in development"))
	}
	if !s.Development() {
		r.wrong(s.checkProductionState())
	}
	return s
}

// Development holds while all state is on this machine. It is a fact, not a
// setting, so nothing that is for development only can be turned on in Azure by
// a copied setting.
func (s Settings) Development() bool { return s.storage().Loopback() }

// storage is where rows and blobs are.
func (s Settings) storage() azstore.Config {
	return azstore.Config{
		TableEndpoint:    s.TableEndpoint,
		BlobEndpoint:     s.BlobEndpoint,
		ConnectionString: s.StorageConnectionString,
		VaultID:          s.VaultID,
	}
}
