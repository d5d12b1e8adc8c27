package vault_test

// A process that is killed at any storage call.

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// openWith makes a vault whose configuration edit has changed.
func openWith(t testing.TB, store store.Store, clock *clock, edit func(*vault.Config)) *vault.Vault {
	t.Helper()
	sealer := testSealer(t)
	cfg := vault.Config{
		Store:      trusted(t, store),
		RequestKey: requestKey,
		Seal:       sealer.Seal,
		Open:       sealer.Open,
		Providers:  map[string]provider.Provider{"self": selfsigned.New(selfsigned.Config{Now: clock.Now})},
		NewKey:     pooledKey,
		Now:        clock.Now,
		Sleep:      clock.Sleep,
	}
	edit(&cfg)
	v, err := vault.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// repeatable makes a vault choose the same ids every time, and make one storage
// call at a time.
func repeatable(cfg *vault.Config) {
	cfg.Concurrency = 1
	cfg.Rand = rand.NewChaCha8([32]byte{})
}

// rivalRand is the source of other ids than a repeatable vault's, every time the
// same too.
func rivalRand() io.Reader { return rand.NewChaCha8([32]byte{1}) }

// killAnywhere kills the process of a call before and after each of its storage
// calls, and after that the invariants and check must hold.
func killAnywhere(t *testing.T, call func(context.Context, *vault.Vault) error, check func(*memory.Store, *clock) error) storetest.Report {
	t.Helper()
	report, err := storetest.Interleave(t.Context(), storetest.Search{
		Setup: func() storetest.Scenario {
			st, clock := new(memory.Store), newClock()
			var broken error
			st.OnCommit(func(_, after memory.Contents) {
				if err := vault.Invariants(after.Rows, after.Blobs); err != nil && broken == nil {
					broken = fmt.Errorf("after a transaction: %w", err)
				}
			})
			return storetest.Scenario{
				Store: st,
				Workers: []storetest.Worker{{Name: "call", Run: func(ctx context.Context, store store.Store) {
					if err := call(ctx, openWith(t, store, clock, repeatable)); err != nil {
						t.Errorf("a call that nothing disturbs: %v", err)
					}
				}}},
				Check: func(store *memory.Store) error {
					if broken != nil {
						return broken
					}
					return check(store, clock)
				},
			}
		},
		Crashes: 1,
		Limit:   1000,
	})
	if err != nil || !report.Exhaustive {
		t.Errorf("%v: %v", report, err)
	}
	return report
}
