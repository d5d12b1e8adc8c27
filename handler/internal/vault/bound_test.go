package vault_test

import (
	"context"
	"crypto"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestKeysAreMadeInTurn: of many creates at once few make an RSA key, the others
// wait, and those that would wait long are sent away with a reason to come back.
func TestKeysAreMadeInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at, most atomic.Int32
		v := open(t, new(memory.Store), newClock(), nil, func(cfg *vault.Config) {
			cfg.NewKey = func(p policy.KeyProperties) (crypto.Signer, error) {
				if p.Type == policy.KeyRSA {
					most.Store(max(most.Load(), at.Add(1)))
					defer at.Add(-1)
					time.Sleep(4 * time.Second)
				}
				return pooledKey(p)
			}
		})
		create := func(n, kty string) error {
			pol := policyFor("Unknown")
			pol.Key = &policy.KeyParams{Type: &kty}
			_, err := v.Create(t.Context(), name(t, n), vault.CreateParams{Policy: pol})
			return err
		}
		const creates = 60
		var throttled, made atomic.Int32
		var all sync.WaitGroup
		for i := range creates {
			all.Go(func() {
				switch err := create("rsa-"+string(rune('a'+i%26))+string(rune('a'+i/26)), policy.KeyRSA); {
				case err == nil:
					made.Add(1)
				case reason(t, err) == vault.Throttled:
					throttled.Add(1)
				}
			})
		}
		synctest.Wait()
		begun := time.Now()
		if err := create("ec", policy.KeyEC); err != nil || time.Since(begun) > 0 {
			t.Errorf("an EC key waited %s: %v", time.Since(begun), err)
		}
		all.Wait()
		if n := int(most.Load()); n != vault.MaxMakings() {
			t.Errorf("%d keys were made at once, want %d", n, vault.MaxMakings())
		}
		if made.Load() == 0 || throttled.Load() == 0 || made.Load()+throttled.Load() != creates {
			t.Errorf("of %d creates %d were made and %d throttled", creates, made.Load(), throttled.Load())
		}
		if err := create("later", policy.KeyRSA); err != nil {
			t.Errorf("a create afterwards: %v", err)
		}
	})
}

// TestRestoresInTurn: a turn is given back, waited for, and not waited for longer
// than whoever asks does.
func TestRestoresInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := open(t, new(memory.Store), newClock(), nil)
		first, err := v.EnterRestore(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second, err := v.EnterRestore(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := v.EnterRestore(gone); reason(t, err) != vault.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a turn for somebody who has left: %v", err)
		}
		if _, err := v.EnterRestore(t.Context()); reason(t, err) != vault.Throttled {
			t.Errorf("a third at once: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			first()
		}()
		third, err := v.EnterRestore(t.Context())
		if err != nil {
			t.Fatalf("a turn that becomes free: %v", err)
		}
		second()
		third()
	})
}

// TestImportEndsWithItsCaller: reading what was sent ends when nobody waits for the
// answer, and nothing is imported.
func TestImportEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := newExisting(t, ecP256, h.clock.Now())
	if _, err := h.Import(ctx, name(t, "web"), vault.ImportParams{Value: e.pfx(t)}); reason(t, err) != vault.Unavailable {
		t.Errorf("import: %v", err)
	}
	if len(h.store.Contents().Rows) != 0 {
		t.Error("something was stored")
	}
}
