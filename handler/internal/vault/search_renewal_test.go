package vault_test

// Renewals under interleavings.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// renewalWorld is a certificate that is due for its renewal, at a CA that
// advises, and workers who meet there.
type renewalWorld struct {
	t     testing.TB
	store *memory.Store
	ca    *renewing
	wrong []error
}

func startRenewal(t testing.TB, contents memory.Contents, now time.Time) *renewalWorld {
	clock := &clock{now: now}
	w := &renewalWorld{t: t, store: new(memory.Store), ca: &renewing{t: t, clock: clock, life: 90 * day}}
	w.ca.info = &provider.RenewalInfo{Start: clock.now.Add(-day), End: clock.now.Add(-time.Hour)}
	fill(t, w.store, contents)
	w.store.OnCommit(func(_, after memory.Contents) {
		if err := vault.Invariants(after.Rows, after.Blobs); err != nil {
			w.wrong = append(w.wrong, fmt.Errorf("after a transaction: %w", err))
		}
	})
	return w
}

// open makes the vault of one worker.
func (w *renewalWorld) open(store store.Store, worker int) *vault.Vault {
	return openWith(w.t, store, w.ca.clock, func(cfg *vault.Config) {
		repeatable(cfg)
		cfg.Rand = rand.NewChaCha8([32]byte{1: byte(worker)})
		cfg.Providers["ca"] = w.ca
	})
}

// settle lets ordinary ticks go on for an hour. In the end the certificate has
// been renewed once, or a person took care of it or wanted none.
func (w *renewalWorld) settle(first string, renewed bool) error {
	v := w.open(w.store, 15)
	for range 6 {
		if _, err := v.Advance(context.Background()); err != nil {
			return err
		}
		w.ca.clock.Advance(10 * time.Minute)
	}
	c, err := v.Certificate(context.Background(), name(w.t, "web"))
	if err != nil && (renewed || reason(w.t, err) != vault.CertificateNotFound) { // a killed worker may have deleted it
		return err
	}
	if renewed && c.Version == first {
		w.wrong = append(w.wrong, errors.New("the certificate was not renewed"))
	}
	if renewed && c.Previous != first {
		w.wrong = append(w.wrong, fmt.Errorf("the certificate was renewed to %s, which follows %s and not %s", c.Version, c.Previous, first))
	}
	ids := make(map[string]bool)
	for _, r := range w.ca.reqs {
		ids[r.ID] = true
	}
	if len(ids) > 1 {
		w.wrong = append(w.wrong, fmt.Errorf("%d operations went to the CA", len(ids)))
	}
	return errors.Join(w.wrong...)
}

// TestRenewalInterleaved searches the schedules of a tick that asks for advice
// and renews, and of somebody else who changes the certificate meanwhile, and of
// either with one of them killed anywhere.
func TestRenewalInterleaved(t *testing.T) {
	t.Parallel()
	web := name(t, "web")
	w := startRenewal(t, memory.Contents{}, newClock().now)
	v := w.open(w.store, 0)
	provider := "ca"
	if _, err := v.SetIssuer(t.Context(), issuerName(t, "ca"), vault.IssuerSet{Provider: &provider}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Create(t.Context(), web, vault.CreateParams{Policy: renewed("ca", policy.LifetimeAction{Percentage: 80})}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, err := v.Certificate(t.Context(), web)
	if err != nil {
		t.Fatal(err)
	}
	contents, now := w.store.Contents(), w.ca.clock.Now().Add(74*day)

	tolerant := func(err error, reasons ...vault.Reason) error {
		for _, r := range reasons {
			if reason(t, err) == r {
				return nil
			}
		}
		return err
	}
	for other, test := range map[string]struct {
		run     func(context.Context, *vault.Vault) error
		renewed bool
	}{
		"tick": {func(ctx context.Context, v *vault.Vault) error { return second(v.Advance(ctx)) }, true},
		"delete and recover": {func(ctx context.Context, v *vault.Vault) error {
			return errors.Join(second(v.Delete(ctx, web)), second(v.Recover(ctx, web)))
		}, false}, // a renewal that the deletion cancelled is tried again an hour later
		"create": {func(ctx context.Context, v *vault.Vault) error {
			return tolerant(second(v.Create(ctx, web, vault.CreateParams{Policy: policyFor("Unknown")})), vault.OperationInProgress)
		}, false},
		"no AutoRenew": {func(ctx context.Context, v *vault.Vault) error {
			return second(v.UpdatePolicy(ctx, web, policy.Params{
				LifetimeActions: []policy.LifetimeAction{{Percentage: 10, Action: policy.ActionEmailContacts}}}))
		}, false},
		"delete the operation": {func(ctx context.Context, v *vault.Vault) error {
			return tolerant(second(v.DeleteOperation(ctx, web, "")), vault.OperationNotFound)
		}, false},
		"tags": {func(ctx context.Context, v *vault.Vault) error {
			return second(v.UpdateVersion(ctx, web, "", vault.UpdateParams{Tags: map[string]string{"a": "b"}}))
		}, true},
	} {
		t.Run(other, func(t *testing.T) {
			t.Parallel()
			for crashes := range 2 {
				s := storetest.Search{Crashes: crashes, Independent: independent, Limit: 200 * *depth, Samples: 30 * *depth}
				if raceDetector {
					s.Limit, s.Samples = 1, 2
				}
				s.Setup = func() storetest.Scenario {
					w := startRenewal(t, contents, now)
					worker := func(i int, run func(context.Context, *vault.Vault) error) storetest.Worker {
						return storetest.Worker{Name: fmt.Sprint(i), Run: func(ctx context.Context, store store.Store) {
							if err := run(ctx, w.open(store, i)); err != nil {
								w.wrong = append(w.wrong, err)
							}
						}}
					}
					tick := func(ctx context.Context, v *vault.Vault) error { return second(v.Advance(ctx)) }
					return storetest.Scenario{
						Store:   w.store,
						Workers: []storetest.Worker{worker(1, tick), worker(2, test.run)},
						Check:   func(*memory.Store) error { return w.settle(first.Version, test.renewed) },
					}
				}
				report, err := storetest.Interleave(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d crashes: %s", crashes, report)
			}
		})
	}
}
