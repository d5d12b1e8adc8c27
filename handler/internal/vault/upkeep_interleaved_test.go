package vault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestUpkeepInterleaved: while one worker migrates and sweeps what an older program
// stored, due rows of it missing, another changes it; either may be killed anywhere.
// What was acknowledged holds, and everything comes to be as this program has it.
func TestUpkeepInterleaved(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustIssue("web", vault.CreateParams{Policy: renewed("Self", policy.LifetimeAction{Percentage: 80})})
	h.mustCreate("merged", "Unknown")
	for _, key := range []string{"c:web", "c:merged"} {
		h.mustAge(key, "told", "renewal")
	}
	version := h.mustCertificate("web").Version
	h.mustAge("v:web:"+version, "chainSum")
	h.mustLose("d:1:")
	contents, now := h.store.Contents(), h.clock.Now()
	web := name(t, "web")
	for other, test := range map[string]struct {
		run  func(context.Context, *vault.Vault) error
		held func(context.Context, *vault.Vault) error // after run has succeeded
	}{
		"maintain": {func(ctx context.Context, v *vault.Vault) error { return v.Maintain(ctx) }, nil},
		"tick":     {func(ctx context.Context, v *vault.Vault) error { return second(v.Advance(ctx)) }, nil},
		"update": {
			func(ctx context.Context, v *vault.Vault) error {
				return second(v.UpdateVersion(ctx, web, "", vault.UpdateParams{Tags: map[string]string{"a": "b"}}))
			},
			func(ctx context.Context, v *vault.Vault) error {
				c, err := v.CertificateVersion(ctx, web, version)
				if err == nil && c.Tags["a"] != "b" {
					err = errors.New("the tags are lost")
				}
				return err
			},
		},
		"create": {
			func(ctx context.Context, v *vault.Vault) error {
				return second(v.Create(ctx, web, vault.CreateParams{Policy: policyFor("Unknown")}))
			},
			func(ctx context.Context, v *vault.Vault) error { return second(v.OperationEntry(ctx, web, "")) },
		},
		"delete": {
			func(ctx context.Context, v *vault.Vault) error { return second(v.Delete(ctx, web)) },
			func(ctx context.Context, v *vault.Vault) error { return second(v.Deleted(ctx, web)) },
		},
		"delete and purge": {
			func(ctx context.Context, v *vault.Vault) error {
				if err := second(v.Delete(ctx, web)); err != nil {
					return err
				}
				return v.Purge(ctx, web)
			},
			nil,
		},
	} {
		t.Run(other, func(t *testing.T) {
			t.Parallel()
			for crashes := range 2 {
				s := storetest.Search{Crashes: crashes, Independent: independent, Limit: 100 * *depth, Samples: 20 * *depth}
				if raceDetector {
					s.Limit, s.Samples = 1, 2
				}
				s.Setup = func() storetest.Scenario {
					st, clock := new(memory.Store), &clock{now: now}
					fill(t, st, contents)
					succeeded := false
					worker := func(i int, run func(context.Context, *vault.Vault) error) storetest.Worker {
						return storetest.Worker{Name: fmt.Sprint(i), Run: func(ctx context.Context, rows store.Store) {
							v := openWith(t, rows, clock, repeatable)
							if err := run(ctx, v); err != nil && reason(t, err) != vault.ConcurrentChange && reason(t, err) != vault.Unavailable {
								t.Errorf("worker %d: %v", i, err)
							} else if i == 2 {
								succeeded = err == nil
							}
						}}
					}
					maintain := func(ctx context.Context, v *vault.Vault) error { return v.Maintain(ctx) }
					return storetest.Scenario{
						Store:   st,
						Workers: []storetest.Worker{worker(1, maintain), worker(2, test.run)},
						Check: func(st *memory.Store) error {
							ctx := context.Background()
							var errs []error
							v := openWith(t, st, clock, repeatable)
							if succeeded && test.held != nil {
								errs = append(errs, test.held(ctx, v))
							}
							for i := range 12 { // every kind of row is a page of the sweep
								clock.Advance(6 * time.Minute)
								if i == 8 {
									clock.Advance(400 * day) // what the older program left is due, and goes
								}
								errs = append(errs, second(v.Advance(ctx)), v.Maintain(ctx))
							}
							after := st.Contents()
							return errors.Join(append(errs, vault.Invariants(after.Rows, after.Blobs))...)
						},
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
