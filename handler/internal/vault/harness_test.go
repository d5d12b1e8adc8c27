package vault_test

// A vault in memory with a clock, and what tests ask of it.

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/scripted"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/rootkey/rootkeytest"
	"github.com/certwright/certwright/handler/internal/seal"
	signing "github.com/certwright/certwright/handler/internal/signed"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// harness is a vault on a store in memory, with real sealing and providers, and
// a clock that only the test moves.
type harness struct {
	*vault.Vault
	t     testing.TB
	store *memory.Store
	clock *clock
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// requestKey is the same for all instances of a vault, as it must be.
func requestKey(context.Context) ([]byte, error) {
	return []byte("the key of requests in all tests"), nil
}

// Sleep passes at once.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.Advance(d)
	return ctx.Err()
}

// open makes a vault on store; issuers are added to Self and Test.
func open(t testing.TB, rows store.Store, clock *clock, issuers map[string]provider.Provider, configure ...func(*vault.Config)) *vault.Vault {
	t.Helper()
	sealer := testSealer(t)
	all := map[string]provider.Provider{
		"self": selfsigned.New(selfsigned.Config{Now: clock.Now}),
		"test": scripted.New(scripted.Config{Now: clock.Now}),
	}
	for provider, issuer := range issuers {
		all[provider] = issuer
	}
	cfg := vault.Config{
		Store:      trusted(t, rows),
		RequestKey: requestKey,
		Seal:       sealer.Seal,
		Open:       sealer.Open,
		Providers:  all,
		NewKey:     pooledKey,
		Now:        clock.Now,
		Sleep:      clock.Sleep,
	}
	for _, f := range configure {
		f(&cfg)
	}
	v, err := vault.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// newHarness checks the invariants of the store at every transaction.
func newHarness(t testing.TB, issuers map[string]provider.Provider) *harness {
	t.Helper()
	return newHarnessWith(t, newClock(), issuers)
}

// newHarnessWith is newHarness for issuers that need its clock.
func newHarnessWith(t testing.TB, clock *clock, issuers map[string]provider.Provider) *harness {
	t.Helper()
	h := &harness{t: t, store: new(memory.Store), clock: clock}
	h.store.OnCommit(func(_, after memory.Contents) {
		if err := vault.Invariants(after.Rows, after.Blobs); err != nil {
			t.Errorf("after a transaction: %v", err)
		}
	})
	h.Vault = open(t, h.store, h.clock, issuers)
	return h
}

// trusted is a store as a vault has it: it signs and verifies the rows of another.
func trusted(t testing.TB, rows store.Store) store.Store {
	t.Helper()
	s, err := signing.New(signing.Config{Store: rows, Partition: "test", Keys: testKeys(t)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testKeys are the keys under which everything is signed and sealed.
func testKeys(t testing.TB) func(context.Context) (*rootkey.Keys, error) {
	t.Helper()
	return rootkeytest.Fixed(t, "test", nil)
}

var testSealer = func() func(testing.TB) *seal.Sealer {
	var once sync.Once
	var sealer *seal.Sealer
	return func(t testing.TB) *seal.Sealer {
		once.Do(func() {
			key := make([]byte, 32)
			rand.Read(key)
			dir, err := os.MkdirTemp("", "vault-test")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			file := filepath.Join(dir, "kek")
			if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
				t.Fatal(err)
			}
			kek, err := seal.NewFileKEK(file)
			if err != nil {
				t.Fatal(err)
			}
			if sealer, err = seal.New(seal.Config{VaultID: "test", KEK: kek, Keys: testKeys(t)}); err != nil {
				t.Fatal(err)
			}
		})
		return sealer
	}
}()

// pooledKey hands out few keys many times: making an RSA key takes longer than
// most tests.
func pooledKey(p policy.KeyProperties) (crypto.Signer, error) {
	if p.Type != policy.KeyRSA || p.Size != 2048 {
		return policy.GenerateKey(p)
	}
	keys := rsaKeys()
	return keys[int(keyCounter.Add(1))%len(keys)], nil
}

var keyCounter atomic.Int64

var rsaKeys = sync.OnceValue(func() []crypto.Signer {
	keys := make([]crypto.Signer, 3)
	for i := range keys {
		key, err := policy.GenerateKey(policy.KeyProperties{Type: policy.KeyRSA, Size: 2048})
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

func name(t testing.TB, s string) vault.Name {
	t.Helper()
	n, err := vault.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func issuerName(t testing.TB, s string) vault.Name {
	t.Helper()
	n, err := vault.ParseIssuerName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// policyFor is a minimal policy: a subject and an issuer.
func policyFor(issuer string) *policy.Params {
	subject := "CN=example.com"
	return &policy.Params{
		X509:   &policy.X509Params{Subject: &subject},
		Issuer: &policy.IssuerParams{Name: &issuer},
	}
}

// mustCreate starts an operation.
func (h *harness) mustCreate(n, issuer string) vault.Operation {
	h.t.Helper()
	op, err := h.Create(context.Background(), name(h.t, n), vault.CreateParams{Policy: policyFor(issuer)})
	if err != nil {
		h.t.Fatal(err)
	}
	return op
}

// mustScript sets an issuer object with a script.
func (h *harness) mustScript(issuer, script string) {
	h.t.Helper()
	ca := "Test"
	_, err := h.SetIssuer(context.Background(), issuerName(h.t, issuer), vault.IssuerSet{
		Provider: &ca,
		Org:      &vault.OrgParams{ID: new(script)},
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// mustTick runs one tick.
func (h *harness) mustTick() vault.Tick {
	h.t.Helper()
	report, err := h.Advance(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return report
}

func (h *harness) mustOperation(n string) vault.Operation {
	h.t.Helper()
	op, err := h.Operation(context.Background(), name(h.t, n), "")
	if err != nil {
		h.t.Fatal(err)
	}
	return op
}

// detail is what a refusal says, for comparisons.
func detail(err error) string {
	if e, ok := err.(*field.Error); ok {
		return e.Detail
	}
	return err.(*vault.Error).Detail
}

// reason of an error, for comparisons.
func reason(t testing.TB, err error) vault.Reason {
	t.Helper()
	if _, ok := err.(*field.Error); ok {
		return vault.BadParameter
	}
	e, ok := err.(*vault.Error)
	if err != nil && !ok {
		t.Fatalf("error %v is not a *vault.Error", err)
	}
	if e == nil {
		return 0
	}
	return e.Reason
}
