package e2e

// Azurite and the Functions host, for tests that run handlers themselves.

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/localcloud/frontdoor"
	"github.com/certwright/certwright/handler/localcloud/identity"
	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/scripts/localcloud/azurite"
	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

// never is a schedule that does not fire while tests run.
const never = "0 0 0 29 2 *"

// backend is what Functions hosts of this process share: storage, the identity,
// and the key-encryption key.
type backend struct {
	app      string
	storage  *azurite.Server
	identity string // URL
	tenant   string
	kek      string // path
	caller   string // object id of who has the token
	token    string
}

// sharedBackend is the one that all tests share; each takes a vault of its own in it.
var sharedBackend = once(func(ctx context.Context) (*backend, error) {
	deployed, err := app()
	if err != nil {
		return nil, err
	}
	dir, err := scratch()
	if err != nil {
		return nil, err
	}
	storage, err := azurite.Start(ctx, azurite.Config{})
	if err != nil {
		return nil, err
	}
	shared.atEnd(storage.Stop)
	state := checkout.Checkout{Root: filepath.Join(dir, "backend")}
	directory, err := identity.Open(state.State())
	if err != nil {
		return nil, err
	}
	listener, err := loopback.Listen(0)
	if err != nil {
		return nil, err
	}
	address := "http://" + loopback.Address(loopback.Port(listener))
	endpoint := identity.New(identity.Config{Directory: directory, Issuer: address, Now: time.Now})
	shared.atEnd(loopback.Serve(listener, endpoint, nil, slog.New(slog.DiscardHandler)).Stop)
	key := make([]byte, 32)
	rand.Read(key)
	if err := state.State().Write("kek", []byte(base64.StdEncoding.EncodeToString(key))); err != nil {
		return nil, err
	}
	token, err := identity.RequestToken(ctx, address+identity.TokenPath, directory.Header(), vaultResource)
	if err != nil {
		return nil, err
	}
	return &backend{
		app: deployed, storage: storage, identity: address, tenant: directory.TenantID(),
		caller: directory.ObjectID(),
		kek:    state.Local("kek"), token: token,
	}, nil
})

// newVaultID is the id of a vault that nobody else uses.
func newVaultID() string { return "e2e" + strings.ToLower(rand.Text()) }

// settings are the app settings of a vault.
func (b *backend) settings(vaultID, schedule string) []string {
	return append(plainEnviron(),
		"FUNCTIONS_WORKER_RUNTIME=custom",
		"AzureWebJobsStorage="+b.storage.ConnectionString(),
		"CERTWRIGHT_STORAGE_CONNECTION_STRING="+b.storage.ConnectionString(),
		"CERTWRIGHT_VAULT_ID="+vaultID,
		"CERTWRIGHT_VAULT_URLS="+vaultURL+",https://*.vault.azure.net",
		"CERTWRIGHT_KEK_FILE="+b.kek,
		"CERTWRIGHT_AUTHORITY=https://localhost/"+b.tenant,
		"CERTWRIGHT_RESOURCE="+vaultResource,
		"CERTWRIGHT_TOKEN_ISSUERS="+b.identity,
		"CERTWRIGHT_TOKEN_KEYS_URL="+b.identity+identity.KeysPath,
		"CERTWRIGHT_TOKEN_AUDIENCES="+vaultResource,
		"CERTWRIGHT_ADVANCE_SCHEDULE="+schedule,
		"CERTWRIGHT_SCRIPTED_ISSUER=true",
		"CERTWRIGHT_RETRY_AFTER=1", // as in the local cloud
	)
}

// hostConfig says how a test's Functions host runs.
type hostConfig struct {
	vaultID  string
	schedule string             // of the timer; never, unless set
	mode     functionshost.Mode // that of host.json, unless set
	address  string             // a free port, unless set
	environ  []string           // further settings
}

// host is a Functions host of this process, with the handler that it runs.
type host struct {
	*functionshost.Host
	api     *api
	handler *handlerLog // what the handler has logged
	log     *transcript // what the host has logged
}

// start starts a host on the backend. It ends with its test at the latest.
func (b *backend) start(t testing.TB, cfg hostConfig) *host {
	t.Helper()
	if cfg.schedule == "" {
		cfg.schedule = never
	}
	if cfg.address == "" {
		cfg.address = loopback.Address(0)
	}
	h := &host{handler: new(handlerLog), log: new(transcript)}
	var err error
	h.Host, err = functionshost.Start(context.WithoutCancel(t.Context()), functionshost.Config{
		Root:          b.app,
		Address:       cfg.address,
		Environ:       append(b.settings(cfg.vaultID, cfg.schedule), cfg.environ...),
		Mode:          cfg.mode,
		HandlerOutput: h.handler,
		Log:           slog.New(slog.NewTextHandler(h.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.end(t) })
	h.api = &api{
		url: h.URL(), host: strings.TrimPrefix(vaultURL, "https://"), token: b.token,
		http: &http.Client{Timeout: requestLimit, CheckRedirect: keepRedirects, Transport: new(http.Transport)},
	}
	return h
}

// end ends the host at once; its handler is killed.
func (h *host) end(t testing.TB) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	// A test that ends does not care what still runs.
	_ = h.Stop(now)
	h.api.http.CloseIdleConnections()
	if t.Failed() && testing.Verbose() {
		t.Logf("the host %s:\n%s\nits handler:\n%s", h.URL(), h.log, h.handler)
	}
}

// trigger asks the host for a run of the timer, which happens after the answer.
func (h *host) trigger(ctx context.Context) error {
	got, err := h.api.do(ctx, http.MethodPost, "/admin/functions/AdvanceIssuance", `{"input":""}`)
	if err == nil && got.status != http.StatusAccepted && got.status != http.StatusTooManyRequests {
		err = fmt.Errorf("asking for a tick: %w", got.refusal())
	}
	return err
}

// frontDoor puts a front door before the host, without TLS, and returns the API of
// a vault there.
func (h *host) frontDoor(t testing.TB, vault string) *api {
	t.Helper()
	listener, err := loopback.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(h.log, nil))
	door := loopback.Serve(listener, frontdoor.New(frontdoor.Config{
		Upstream: strings.TrimPrefix(h.URL(), "http://"), Log: log,
	}), nil, log)
	t.Cleanup(func() {
		if err := door.Stop(); err != nil {
			t.Error(err)
		}
	})
	behind := *h.api
	behind.url, behind.host = "http://"+loopback.Address(loopback.Port(listener)), vault
	return &behind
}
