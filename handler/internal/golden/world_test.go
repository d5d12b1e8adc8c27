package golden_test

// A vault with every provider that runs without a network, and what it talks to.

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/keyring"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/provider/digicert"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
	"github.com/certwright/certwright/handler/internal/provider/scripted"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/provider/webhook"
	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/rootkey/rootkeytest"
	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/signed"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// start is when the data set begins; its clock is only moved by the test.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// away is where nothing listens: a provider there fails at once.
const away = "https://127.0.0.1:1"

// world is a vault, its store, and what its providers talk to.
type world struct {
	*vault.Vault
	t        *testing.T
	store    *memoryStore
	clock    *clock
	sealer   *recorder
	accounts keyring.Ring
	ca       *webhookCA
	orders   *certCentral
	corp     *privateca.Provider
	crls     *crls
	keyAway  bool // the key of the private CA cannot be opened
	tellable bool // the destinations are there
}

// newWorld makes a world over a store. random is the seed of its identifiers.
// root is the certificate of the private CA, made now when nil.
func newWorld(t *testing.T, s *memoryStore, now time.Time, random byte, root *x509.Certificate) *world {
	t.Helper()
	return newWorldUnder(t, installation{keys: adopting(t), kek: goldenKEK(t)}, s, &clock{now: now}, random, root)
}

// installation is whose keys a world has. All but the keys and the key-encryption key
// may be missing.
type installation struct {
	keys, refresh func(context.Context) (*rootkey.Keys, error)
	kek           seal.KEK
	migrated      func(context.Context) error
	root          func(context.Context) (string, error)
	rootsOf       func(store.Row) []string
}

// newWorldUnder is newWorld for an installation, and a clock that others have too.
func newWorldUnder(t *testing.T, in installation, s *memoryStore, c *clock, random byte, root *x509.Certificate) *world {
	t.Helper()
	w := &world{t: t, store: s, clock: c, crls: &crls{blobs: make(map[string][]byte)}}
	w.sealer = newRecorder(t, in, c)
	signing, err := signed.New(signed.Config{Store: s, Partition: "golden", Keys: in.keys, Refresh: in.refresh, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.accounts = keyring.Ring{Store: signing, Seal: w.sealer.Seal, Open: w.sealer.Open}
	if root == nil {
		root = w.makeRoot()
	}
	w.ca = newWebhookCA(t, w.clock)
	w.orders = newCertCentral(t, w.clock)
	roots := x509.NewCertPool()
	serve := func(h http.Handler) string {
		server := httptest.NewTLSServer(h)
		t.Cleanup(server.Close)
		roots.AddCert(server.Certificate())
		return server.URL
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	corpKey := privateca.SoftwareKey{Load: func(ctx context.Context) ([]byte, error) {
		if w.keyAway {
			return nil, errors.New("the key is away")
		}
		return w.accounts.Load(ctx, accountOf(t, root.PublicKey))
	}}
	w.corp, err = privateca.New(privateca.Config{
		Chain: []*x509.Certificate{root}, Key: corpKey.Signer, Now: w.clock.Now, LoadCRL: w.crls.load, SaveCRL: w.crls.save,
	})
	must(err)
	hook, err := webhook.New(webhook.Config{URL: serve(w.ca), Roots: roots, Now: w.clock.Now})
	must(err)
	challenges := acme.Challenges{Store: signing}
	acmeCA, err := acme.New(acme.Config{
		Directory:   acme.Directory{URL: away + "/directory"},
		Tokens:      acme.Tokens{Put: challenges.Put, Remove: challenges.Remove},
		LoadAccount: w.accounts.Load, SaveAccount: w.accounts.Save, Now: w.clock.Now,
	})
	must(err)
	orders, err := digicert.New(digicert.Config{URL: serve(w.orders), Roots: roots, Now: w.clock.Now})
	must(err)
	test := scripted.New(scripted.Config{Now: w.clock.Now})
	w.Vault, err = vault.New(vault.Config{
		Store: signing, Seal: w.sealer.Seal, Open: w.sealer.Open,
		Providers: map[string]provider.Provider{
			"self":     selfsigned.New(selfsigned.Config{Now: w.clock.Now}),
			"test":     test,
			"advised":  adviser{test, w.clock},
			"corp":     w.corp,
			"webhook":  hook,
			"acme":     acmeCA,
			"digicert": orders,
		},
		Destinations: map[string]vault.Destination{
			"strict": destination{w, func(e vault.Event) bool { return e.Type == vault.EventOperationFailed },
				&vault.DeliveryError{Refused: true, Err: errors.New("not for me")}},
			"distant": destination{w, func(e vault.Event) bool { return e.Certificate == "pem" || e.Certificate == "renewing" },
				errors.New("nobody answers")},
		},
		Migrated:    in.migrated,
		Root:        in.root,
		RootsOf:     in.rootsOf,
		Concurrency: 1, IssuerLimit: 1, // so that a tick works in one order
		Now: w.clock.Now, Sleep: w.clock.Sleep,
		Rand: &identifiers{source: rand.NewChaCha8([32]byte{random})},
	})
	must(err)
	return w
}

// makeRoot makes the private CA and keeps its key as the program does.
func (w *world) makeRoot() *x509.Certificate {
	w.t.Helper()
	key, err := policy.GenerateKey(policy.KeyProperties{Type: policy.KeyEC, Curve: "P-256"})
	if err != nil {
		w.t.Fatal(err)
	}
	subject := authority("Corp Root")
	root, err := privateca.Root{Subject: subject, Years: 10}.Certify(key, start, &identifiers{source: rand.NewChaCha8([32]byte{'r'})})
	if err != nil {
		w.t.Fatal(err)
	}
	keep := privateca.SoftwareKey{Save: func(ctx context.Context, der []byte) error {
		_, err := w.accounts.Save(ctx, accountOf(w.t, key.Public()), der)
		return err
	}}
	if err := keep.Store(w.t.Context(), key); err != nil {
		w.t.Fatal(err)
	}
	return root
}

// accountOf is the id under which the key of a private CA is kept: the beginning
// of its key identifier.
func accountOf(t *testing.T, public crypto.PublicKey) string {
	t.Helper()
	id, err := policy.KeyID(public)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(id)[:32]
}

// clock moves when it is told to, and while somebody sleeps.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Sleep passes at once.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.advance(d)
	return ctx.Err()
}

// identifiers are random bytes that are the same in every run.
type identifiers struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

func (r *identifiers) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Read(b)
}

// memoryStore is a store in memory that can break down in the middle of a purge, of a
// restore or of any work.
type memoryStore struct {
	memory.Store
	mu       sync.Mutex
	noDelete bool // blobs cannot be deleted
	noPut    bool // the next blob cannot be written, and nothing can after it
	down     bool // nothing can be written

	// life is at which call from now on the process that uses the store is killed, 0
	// when it is not. lastApplies says whether that call comes to pass all the same.
	life        int
	lastApplies bool
}

var errDown = errors.New("the storage account is away")

func (s *memoryStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// live counts a call of a process that may be killed.
func (s *memoryStore) live(call func()) error {
	applies := true
	var err error
	s.set(func() {
		switch s.life {
		case 0:
		case 1:
			s.life, applies, err = -1, s.lastApplies, errDown
		case -1:
			applies, err = false, errDown
		default:
			s.life--
		}
	})
	if applies {
		call()
	}
	return err
}

func (s *memoryStore) Get(ctx context.Context, key string) (r store.Row, err error) {
	killed := s.live(func() { r, err = s.Store.Get(ctx, key) })
	return r, cmp.Or(killed, err)
}

func (s *memoryStore) Scan(ctx context.Context, r store.Range) (rows []store.Row, err error) {
	killed := s.live(func() { rows, err = s.Store.Scan(ctx, r) })
	return rows, cmp.Or(killed, err)
}

func (s *memoryStore) GetBlob(ctx context.Context, name string) (data []byte, err error) {
	killed := s.live(func() { data, err = s.Store.GetBlob(ctx, name) })
	return data, cmp.Or(killed, err)
}

func (s *memoryStore) Commit(ctx context.Context, tx store.Tx) (etag store.ETag, err error) {
	var down bool
	s.set(func() { down = s.down })
	if down {
		return "", errDown
	}
	killed := s.live(func() { etag, err = s.Store.Commit(ctx, tx) })
	return etag, cmp.Or(killed, err)
}

func (s *memoryStore) PutBlob(ctx context.Context, name string, data []byte) error {
	var down bool
	s.set(func() { s.down = s.down || s.noPut; down = s.down })
	if down {
		return errDown
	}
	return s.Store.PutBlob(ctx, name, data)
}

func (s *memoryStore) DeleteBlob(ctx context.Context, name string) error {
	var down bool
	s.set(func() { down = s.down || s.noDelete })
	if down {
		return errDown
	}
	return s.Store.DeleteBlob(ctx, name)
}

// recorder seals and opens, and remembers under what.
type recorder struct {
	sealer *seal.Sealer
	mu     sync.Mutex
	sealed map[string]bool // "kind|name|id", identifiers left out
	opened map[string]bool
}

// adopting are the keys of an installation that adopts what 0.1.0 wrote.
func adopting(t *testing.T) func(context.Context) (*rootkey.Keys, error) {
	return rootkeytest.Fixed(t, "golden", func(cfg *rootkey.Config) { cfg.UnsignedUntil = time.Now().AddDate(100, 0, 0) })
}

func newRecorder(t *testing.T, in installation, c *clock) *recorder {
	t.Helper()
	sealer, err := seal.New(seal.Config{VaultID: "golden", KEK: in.kek, Keys: in.keys, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{sealer: sealer, sealed: make(map[string]bool), opened: make(map[string]bool)}
}

// goldenKEK is the key-encryption key under which 0.1.0 sealed.
func goldenKEK(t *testing.T) seal.KEK {
	t.Helper()
	// The fixture holds the key as text: a file in version control is not 0600,
	// and its value protects nothing.
	text, err := os.ReadFile("testdata/0.1.0/kek.txt")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kek")
	key := base64.StdEncoding.EncodeToString([]byte(strings.TrimSpace(string(text))))
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	kek, err := seal.NewFileKEK(file)
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

var identifier = regexp.MustCompile(`[0-9a-f]{32}`)

func sealing(kind, name, id string) string {
	return kind + "|" + identifier.ReplaceAllString(name+"|"+id, "<id>")
}

func (r *recorder) Seal(ctx context.Context, kind, name, id string, data []byte) ([]byte, error) {
	r.mu.Lock()
	r.sealed[sealing(kind, name, id)] = true
	r.mu.Unlock()
	return r.sealer.Seal(ctx, kind, name, id, data)
}

func (r *recorder) Open(ctx context.Context, kind, name, id string, data []byte) ([]byte, error) {
	r.mu.Lock()
	r.opened[sealing(kind, name, id)] = true
	r.mu.Unlock()
	return r.sealer.Open(ctx, kind, name, id, data)
}

// destination takes nothing unless the world says that it does.
type destination struct {
	w      *world
	wants  func(vault.Event) bool
	answer error
}

func (d destination) Wants(e vault.Event) bool { return d.wants(e) }

func (d destination) Deliver(context.Context, vault.Event) error {
	if d.w.tellable {
		return nil
	}
	return d.answer
}

// adviser is a CA that wants its certificates renewed after 200 days.
type adviser struct {
	*scripted.Provider
	clock *clock
}

func (a adviser) RenewalInfo(_ context.Context, _ provider.Issuer, c *x509.Certificate) (provider.RenewalInfo, error) {
	at := c.NotBefore.Add(200 * day)
	return provider.RenewalInfo{Start: at, End: at.Add(day), Explanation: "https://ca.example/why", Again: 6 * time.Hour}, nil
}

// crls are where private CAs publish.
type crls struct {
	mu    sync.Mutex
	blobs map[string][]byte
}

func (c *crls) load(context.Context) ([]byte, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	crl := c.blobs["corp.crl"]
	if crl == nil {
		return nil, "", nil
	}
	return crl, "published", nil
}

func (c *crls) save(_ context.Context, crl []byte, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blobs["corp.crl"] = crl
	return nil
}
