package vault_test

// The story on Azurite.

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/scripts/localcloud/azurite"
)

// storage is a vault in a real Azurite, which several processes would share. Its
// clock runs, and can be moved forward.
type storage struct {
	t       *testing.T
	server  *azurite.Server
	vaultID string
	ca      *authority

	mu    sync.Mutex
	ahead time.Duration // of the real clock
}

func startStorage(t *testing.T) *storage {
	t.Helper()
	// The limit covers an installation from an empty npm cache.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	server, err := azurite.Start(ctx, azurite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &storage{t: t, server: server, vaultID: "t" + strings.ToLower(rand.Text())}
	s.ca = newAuthority(nil)
	store := s.open()
	s.ca.now, s.ca.operation = s.now, func(requestID string) *vault.Operation {
		rows := s.rows(store)
		for _, n := range vault.Names(rows) {
			if st, err := vault.StateOf(rows, n); err == nil && st.Operation != nil && st.Operation.RequestID == requestID {
				return st.Operation
			}
		}
		return nil
	}
	c := s.client(0, "setup")
	for issuer, provider := range providers {
		if _, err := c.SetIssuer(t.Context(), issuerName(t, issuer), vault.IssuerSet{Provider: &provider}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *storage) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

func (s *storage) forward(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

func (s *storage) open() *azstore.Store {
	s.t.Helper()
	store, err := azstore.Open(azstore.Config{ConnectionString: s.server.ConnectionString(), VaultID: s.vaultID, Container: s.vaultID})
	if err != nil {
		s.t.Fatal(err)
	}
	return store
}

// client is what one process serves a certificate with.
func (s *storage) client(worker int, certificate string) *client {
	s.t.Helper()
	store, sealer := s.open(), testSealer(s.t)
	v, err := vault.New(vault.Config{
		Store:      trusted(s.t, store),
		RequestKey: requestKey,
		Seal:       sealer.Seal,
		Open:       sealer.Open,
		Providers: map[string]provider.Provider{
			"self":      selfsigned.New(selfsigned.Config{Now: s.now}),
			"authority": account{s.ca, store},
			"quick":     quickAccount{account{s.ca, store}},
		},
		NewKey: keysOf(worker),
		Now:    s.now,
		Sleep: func(ctx context.Context, d time.Duration) error {
			s.forward(d)
			return ctx.Err()
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return &client{Vault: v, ctx: s.t.Context(), name: name(s.t, certificate), store: store}
}

func (s *storage) rows(st store.Store) []store.Row {
	rows, err := st.Scan(s.t.Context(), store.Range{From: "a", To: "z", Limit: 1000})
	if err != nil {
		s.t.Error(err)
	}
	return rows
}

// check tests the invariants on what is stored.
func (s *storage) check(store store.Store) []store.Row {
	s.t.Helper()
	rows, blobs := s.rows(store), make(map[string][]byte)
	for _, r := range rows {
		if id, ok := strings.CutPrefix(r.Key, "v:"); ok {
			blob := strings.Replace(id, ":", "/", 1) + ".pem"
			data, err := store.GetBlob(s.t.Context(), blob)
			if err != nil {
				s.t.Error(err)
			}
			blobs[blob] = data
		}
	}
	if err := vault.Invariants(rows, blobs); err != nil {
		s.t.Error(err)
	}
	for _, err := range s.ca.faults() {
		s.t.Error(err)
	}
	return rows
}

// flow is what several workers do about one certificate at once.
type flow struct {
	name    string
	issuer  string
	hook    *call // made in the middle of the first step at the CA
	scripts []script
}

// TestOnAzurite runs what concerns several workers where it is to run: on Table
// and Blob Storage as Azurite has them, with a clock that does not stop.
func TestOnAzurite(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	t.Parallel()
	s := startStorage(t)
	const rounds = 5
	for _, f := range []flow{
		{"one completes", quick, nil, []script{{tick, poll}, {tick, poll}, {poll, get}}},
		{"merge or cancel", policy.IssuerUnknown, nil, []script{{merge("start", 0, "A")}, {merge("start", 0, "B")}, {cancel, tick, poll}}},
		{"cancel during a step", issuing, &cancel, []script{{tick}, {tick}, {poll}}},
		{"delete during a step", issuing, &deleteCertificate, []script{{tick}, {tick}, {get}}},
		{"delete the operation during a step", issuing, &deleteOperation, []script{{tick}, {create("next", policy.IssuerUnknown), poll}}},
		{"purge and begin anew", policy.IssuerSelf, nil, []script{{poll, deleteCertificate, purge}, {tick}, {create("next", quick), poll}}},
	} {
		t.Run(f.name, func(t *testing.T) {
			for round := range rounds {
				s.run(t, f, fmt.Sprintf("%s-%d", strings.ReplaceAll(f.name, " ", "-"), round))
			}
		})
	}
}

// run has a flow's workers at a certificate of its own, then ticks, and checks
// what came of it.
func (s *storage) run(t *testing.T, f flow, certificate string) {
	t.Helper()
	w := &world{t: t, name: name(t, certificate)}
	clients := make([]*client, len(f.scripts)+1)
	for i := range clients {
		clients[i] = s.client(i, certificate)
	}
	if a := w.do(clients[0], create("start", f.issuer)); a.Reason != 0 {
		t.Fatalf("create: %+v", a)
	}
	begun := s.state(clients[0])
	s.forward(2 * time.Second)
	var once sync.Once
	s.ca.taken = func() {
		if f.hook != nil {
			once.Do(func() { w.do(clients[0], *f.hook) })
		}
	}
	var workers sync.WaitGroup
	for i, script := range f.scripts {
		workers.Go(func() {
			for _, call := range script {
				w.do(clients[i+1], call)
			}
		})
	}
	workers.Wait()
	for range 2 { // a dead worker's claim, and then its release
		s.forward(2 * time.Minute)
		w.do(clients[0], tick)
	}
	end := s.state(clients[0])
	if err := explain(state{}, w.records, modelState(end)); err != nil {
		t.Error(err)
	}
	if op := end.Operation; op != nil && op.Status == vault.StatusInProgress && !op.Manual() {
		t.Errorf("the operation of %s is still in progress", certificate)
	}
	rows := s.check(clients[0].store)
	if holds(rows, "r:") || holds(rows, "d:0:") {
		t.Error("there is still work to do")
	}
	if f.hook != nil && slices.Contains(s.ca.standing(), begun.Operation.RequestID) {
		t.Errorf("the order of %s was not taken back", certificate)
	}
}

// state is what is stored of a client's certificate.
func (s *storage) state(c *client) vault.State {
	s.t.Helper()
	st, err := vault.StateOf(s.rows(c.store), c.name)
	if err != nil {
		s.t.Error(err)
	}
	return st
}
