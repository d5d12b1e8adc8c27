// Command handler is Certwright's custom handler: the process that the Azure
// Functions host starts and sends every request and timer call to. It serves Key
// Vault's certificates API and advances pending operations. With arguments it is
// a tool for operators instead:
//
//	handler ca make|import|show   the private CAs of the settings
//	handler ops COMMAND           what is stuck at CAs, and what to do about it
//
// Its settings are documented in config.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/certwright/certwright/handler/internal/auth"
	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/issuers/scripted"
	"github.com/certwright/certwright/handler/internal/issuers/selfsigned"
	"github.com/certwright/certwright/handler/internal/kvhttp"
	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/ops"
	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/vault"
)

// version is Certwright's own, as clients log it
// (x-ms-keyvault-service-version).
const version = "0.1.0"

func main() {
	// No signal is handled: every write is safe against a kill at any moment,
	// and the Functions host restarts a handler that a signal ended but not one
	// that exited with 0.
	err := run(os.Args[1:], terminal{os.Getenv, os.Stdin, os.Stdout})
	if err != nil {
		fmt.Fprintln(os.Stderr, "handler:", err)
		if _, usage := errors.AsType[ops.UsageError](err); usage {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// terminal is where a command runs: its settings, its input and its output.
type terminal struct {
	getenv func(string) string
	in     io.Reader
	out    io.Writer
}

// commands are what the program does when its first argument says so. The
// Functions host starts it without any: it serves.
var commands = map[string]func(args []string, t terminal) error{
	"ca":  runCA,
	"ops": runOps,
}

// run does what the arguments say.
func run(args []string, t terminal) error {
	if len(args) == 0 {
		return serve(t.getenv)
	}
	command, ok := commands[args[0]]
	if !ok {
		return fmt.Errorf("unknown command %q: there are %s; without one it serves", args[0], strings.Join(slices.Sorted(maps.Keys(commands)), ", "))
	}
	return command(args[1:], t)
}

// serve serves until the listener fails. It touches no network before it listens.
func serve(getenv func(string) string) error {
	cfg, err := parseConfig(getenv)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	// Standard output: the host takes every line of standard error for an error.
	log := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: cfg.LogLevel}))
	handler, err := build(cfg, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port)))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	log.Info("listening", "address", listener.Addr().String(), "development", cfg.development())
	return server.Serve(listener)
}

// backend is where the program keeps its state.
type backend struct {
	store      *azstore.Store
	seal, open sealing
	credential azcore.TokenCredential // of the app; nil where nothing needs it
}

// openBackend makes the backend of the settings. It touches no network.
func openBackend(cfg config, log *slog.Logger) (b backend, err error) {
	if b.credential, err = azureCredential(cfg); err != nil {
		return backend{}, err
	}
	storage := cfg.storage()
	storage.Credential, storage.Log = b.credential, log
	if b.store, err = azstore.Open(storage); err != nil {
		return backend{}, err
	}
	kek, err := keyEncryptionKey(cfg, b.credential)
	if err != nil {
		return backend{}, err
	}
	sealer, err := seal.New(seal.Config{VaultID: cfg.VaultID, KEK: kek})
	if err != nil {
		return backend{}, err
	}
	b.seal, b.open = passing(sealer.Seal), passing(sealer.Open)
	return b, nil
}

// surroundings are what the backend is to providers.
func (b backend) surroundings(cfg config, log *slog.Logger) surroundings {
	return surroundings{
		accounts:   vault.Accounts{Store: b.store, Seal: b.seal, Open: b.open},
		challenges: vault.Challenges{Store: b.store},
		crls:       b.store,
		credential: b.credential,
		localKEK:   cfg.KEKFile != "",
		log:        log,
	}
}

// build wires the program together.
func build(cfg config, log *slog.Logger) (http.Handler, error) {
	b, err := openBackend(cfg, log)
	if err != nil {
		return nil, err
	}
	around := b.surroundings(cfg, log)
	issuers, err := openIssuers(cfg, around)
	if err != nil {
		return nil, err
	}
	var v *vault.Vault // its contacts are written to, once it is there
	contacts := func(ctx context.Context) ([]vault.Contact, error) { return v.Contacts(ctx) }
	destinations, err := openDestinations(cfg, contacts, log)
	if err != nil {
		return nil, err
	}
	v, err = vault.New(vault.Config{
		Store:           b.store,
		Seal:            b.seal,
		Open:            b.open,
		Issuers:         issuers,
		Names:           permittedNames(cfg),
		Destinations:    destinations,
		RecoverableDays: cfg.RecoverableDays,
		PurgeProtection: cfg.PurgeProtection,
		Log:             log,
	})
	if err != nil {
		return nil, err
	}
	validator, err := auth.New(auth.Config{
		Authority:  cfg.Authority,
		Resource:   cfg.Resource,
		Issuers:    cfg.TokenIssuers,
		Audiences:  cfg.TokenAudiences,
		KeysURL:    cfg.TokenKeysURL,
		Grants:     cfg.Grants,
		HTTPClient: directClient(),
		Log:        log,
	})
	if err != nil {
		return nil, err
	}
	api, err := kvhttp.New(kvhttp.Config{Vault: v, Auth: validator, VaultURLs: cfg.VaultURLs, Version: version, Log: log})
	if err != nil {
		return nil, err
	}
	return &functions{vault: v, api: api, challenges: around.challenges, cas: privateCAs(issuers), log: log}, nil
}

// openIssuers makes the providers: those that are built in, and those of the
// settings.
func openIssuers(cfg config, s surroundings) (map[string]vault.Issuer, error) {
	issuers := map[string]vault.Issuer{"self": selfsigned.New(selfsigned.Config{})}
	if cfg.ScriptedIssuer {
		issuers["test"] = scripted.New(scripted.Config{})
	}
	for name, p := range cfg.Providers {
		issuer, err := p.open(s)
		if err != nil {
			return nil, fmt.Errorf("provider %q: %w", name, err)
		}
		issuers[name] = issuer
	}
	return issuers, nil
}

// permittedNames are the limits of the providers that have one.
func permittedNames(cfg config) map[string]*names.Permitted {
	permitted := make(map[string]*names.Permitted)
	for name, p := range cfg.Providers {
		if p.Names != nil {
			permitted[name] = p.Names
		}
	}
	return permitted
}

// azureCredential is the app's identity in Azure; nil where nothing needs it, as
// on one machine.
func azureCredential(cfg config) (azcore.TokenCredential, error) {
	needed := cfg.StorageConnectionString == "" || cfg.KEKFile == ""
	for _, p := range cfg.Providers {
		needed = needed || p.needsAzure()
	}
	if !needed {
		return nil, nil
	}
	return azidentity.NewDefaultAzureCredential(nil)
}

// sealing is the form of Seal and Open.
type sealing func(ctx context.Context, kind, name, id string, data []byte) ([]byte, error)

// passing tells the vault which failures may pass.
func passing(f sealing) sealing {
	return func(ctx context.Context, kind, name, id string, data []byte) ([]byte, error) {
		out, err := f(ctx, kind, name, id, data)
		if errors.Is(err, seal.ErrUnavailable) {
			err = &vault.Error{Reason: vault.Unavailable, Err: err}
		}
		return out, err
	}
}

func keyEncryptionKey(cfg config, credential azcore.TokenCredential) (seal.KEK, error) {
	if cfg.KEKFile != "" {
		return seal.NewFileKEK(cfg.KEKFile)
	}
	return seal.NewKeyVaultKEK(seal.KeyVaultConfig{KeyID: cfg.KEKID, Credential: credential, HTTPClient: directClient()})
}

// directClient is an HTTP client that takes no proxy from the environment: in a
// developer's shell that proxy leads back to this program.
func directClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	return &http.Client{Transport: transport}
}
