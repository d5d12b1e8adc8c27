// Package app is what a process of Certwright serves: the vault's API, the files
// that CAs and their clients ask for, and the work that a timer has done. It
// listens on nothing and has no timer of its own: a program gives it requests
// ([App.ServeHTTP]) and ticks ([App.Tick]), as the custom handler does for the
// Functions host.
//
// app.go makes the parts from the settings and has the routes, wellknown.go the
// files below /.well-known/, tick.go the work of a tick, discard.go what becomes of
// bodies that nobody reads.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/auth"
	"github.com/certwright/certwright/handler/internal/kvhttp"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/root"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/vault"
)

// App is one instance; any number of them may share their storage.
type App struct {
	vault      *vault.Vault
	root       *root.Keeper
	api        http.Handler
	challenges *acme.Lookup // nil: no provider proves names by HTTP-01
	issuers    map[string]provider.Provider
	log        *slog.Logger
	discards   chan struct{} // holds one for each body that is being discarded
}

// New makes an App of settings that settings.Parse has checked. version is what
// clients are told is the service's. New reads the files that the settings name
// and touches no network.
func New(s settings.Settings, version string, log *slog.Logger) (*App, error) {
	b, err := s.OpenBackend(log)
	if err != nil {
		return nil, err
	}
	issuers, err := s.OpenProviders(b)
	if err != nil {
		return nil, err
	}
	v, err := openVault(s, b, issuers)
	if err != nil {
		return nil, err
	}
	validator, err := auth.New(auth.Config{
		Authority:  s.Authority,
		Resource:   s.Resource,
		Issuers:    s.TokenIssuers,
		Audiences:  s.TokenAudiences,
		KeysURL:    s.TokenKeysURL,
		Grants:     s.Grants,
		HTTPClient: settings.DirectClient(),
		Log:        log,
	})
	if err != nil {
		return nil, err
	}
	api, err := kvhttp.New(kvhttp.Config{
		Vault:      v,
		Auth:       validator,
		VaultURLs:  s.VaultURLs,
		RetryAfter: time.Duration(s.RetryAfter) * time.Second,
		Version:    version,
		Log:        log,
	})
	if err != nil {
		return nil, err
	}
	a := &App{
		vault: v, root: b.Root, api: api, issuers: issuers, log: log,
		discards: make(chan struct{}, discardsAtOnce),
	}
	if s.HTTP01() {
		a.challenges = acme.NewLookup(b.Challenges())
	}
	return a, nil
}

// Open opens what the keys of the vault are derived of: it is to be called once the
// program listens, and may take a while. Whoever comes meanwhile, and needs them,
// waits or is told to come again; where it fails, they try again.
func (a *App) Open(ctx context.Context) {
	if err := a.root.Open(ctx); err != nil {
		a.log.Error("not ready", "error", err)
	}
}

// openVault makes the vault.
func openVault(s settings.Settings, b settings.Backend, issuers map[string]provider.Provider) (*vault.Vault, error) {
	var v *vault.Vault // its contacts are written to, once it is there
	contacts := func(ctx context.Context) ([]vault.Contact, error) { return v.Contacts(ctx) }
	destinations, err := s.OpenDestinations(contacts, b.Log)
	if err != nil {
		return nil, err
	}
	v, err = vault.New(vault.Config{
		Store:           b.Store,
		Seal:            b.Seal,
		RequestKey:      b.RequestKey,
		Migrated:        b.Root.EndAdoption,
		Root:            currentRoot(b.Root),
		RootsOf:         root.RootsOf,
		Open:            b.Open,
		Providers:       issuers,
		NameConstraints: s.NameConstraints(),
		Destinations:    destinations,
		RecoverableDays: s.RecoverableDays,
		PurgeProtection: s.PurgeProtection,
		Log:             b.Log,
	})
	return v, err
}

// currentRoot tells the id of the current root.
func currentRoot(k *root.Keeper) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		keys, err := k.Keys(ctx)
		if err != nil {
			return "", err
		}
		return keys.Current(), nil
	}
}

// ServeHTTP answers clients, CAs, and questions whether the process is up.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := discarder{next: http.HandlerFunc(a.route), limit: discardLimit, time: discardTime, slots: a.discards}
	d.ServeHTTP(w, r)
}

func (a *App) route(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.EscapedPath(); {
	case path == "/":
		w.WriteHeader(http.StatusOK) // the host asks whether the process is ready
	case path == "/health":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, `{"status":"ok"}`)
	case strings.HasPrefix(path, "/.well-known/"):
		a.wellKnown(w, r, strings.TrimPrefix(path, "/.well-known/"))
	default:
		a.api.ServeHTTP(w, r)
	}
}
