package vault_test

// Restores that are killed, fail, race or are taken back.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// backupOf makes a backup of a certificate with some history, as seen.
func backupOf(t testing.TB, imports int) ([]byte, seen) {
	t.Helper()
	h := uncheckedHarness(t)
	h.history("web", imports)
	return h.mustBackup("web"), h.see("web")
}

// checkRestored checks that there is a whole certificate, or that the name is
// free once the time of a restore that was broken off is over. It reports which.
func checkRestored(t testing.TB, store *memory.Store, clock *clock, want seen) bool {
	t.Helper()
	h := &harness{t: t, store: store, clock: clock, Vault: open(t, store, clock, nil)}
	ctx := context.Background()
	n := name(t, "web")
	if _, err := h.Certificate(ctx, n); err == nil {
		want.sameAs(t, h.see("web"))
		return true
	} else if reason(t, err) != vault.CertificateNotFound {
		t.Error(err)
	}
	clock.Advance(5 * time.Minute)
	h.mustTick()
	for _, r := range store.Contents().Rows {
		if r.Key != "s:heartbeat" {
			t.Errorf("row %s is left", r.Key)
		}
	}
	if _, err := h.Create(ctx, n, vault.CreateParams{Policy: policyFor("Self")}); err != nil {
		t.Errorf("create under the name: %v", err)
	}
	return false
}

// TestRestoreKilled: wherever a restore is killed, nobody sees a part of the
// certificate, and a tick takes away what was written.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	blob, want := backupOf(t, 1)
	restored := 0
	report := killAnywhere(t, func(ctx context.Context, v *vault.Vault) error {
		return second(v.Restore(ctx, blob))
	}, func(store *memory.Store, clock *clock) error {
		if checkRestored(t, store, clock, want) {
			restored++
		}
		if len(store.Contents().Blobs) > 2 {
			return fmt.Errorf("%d blobs", len(store.Contents().Blobs))
		}
		return nil
	})
	// head, transaction, two chains, head, transaction
	if report.MaxCalls != 6 || restored < 2 || restored == report.Enumerated {
		t.Errorf("%v, and %d saw the certificate", report, restored)
	}
}

// TestRestoreFaults: a storage call that fails, whatever became of it, leads to
// a whole certificate or to none.
func TestRestoreFaults(t *testing.T) {
	t.Parallel()
	blob, want := backupOf(t, 1)
	for _, fault := range []storetest.Fault{storetest.Lost, storetest.AppliedButFailed, storetest.Late(1), storetest.Late(3), storetest.Late(0)} {
		for number, calls := 1, 1; number <= calls; number++ {
			h := newHarness(t, nil)
			faulty := storetest.NewFaulty(h.store, storetest.Nth(number, fault))
			_, err := openWith(t, faulty, h.clock, repeatable).Restore(t.Context(), blob)
			calls = faulty.Calls()
			faulty.Release()
			if there := checkRestored(t, h.store, h.clock, want); there != (err == nil) {
				t.Errorf("call %d %s: there is a certificate: %v, the restore says %v", number, fault, there, err)
			}
		}
	}
}

// TestRestoreTakesBack: a restore that fails leaves nothing behind, without
// waiting for a tick.
func TestRestoreTakesBack(t *testing.T) {
	t.Parallel()
	blob, want := backupOf(t, 1)
	h := newHarness(t, nil)
	broken := storetest.NewFaulty(h.store, func(c storetest.Call) storetest.Fault {
		if c.Kind == memory.PutBlob {
			return storetest.AppliedButFailed
		}
		return storetest.None
	})
	if _, err := open(t, broken, h.clock, nil).Restore(t.Context(), blob); reason(t, err) != vault.Unavailable {
		t.Errorf("without blobs: %v, want Unavailable", err)
	}
	if c := h.store.Contents(); len(c.Rows) != 0 || len(c.Blobs) != 0 {
		t.Errorf("%d rows and %d blobs are left", len(c.Rows), len(c.Blobs))
	}
	if _, err := h.Restore(t.Context(), blob); err != nil {
		t.Fatal(err)
	}
	want.sameAs(t, h.see("web"))
}

// TestRestoreIsHidden: until the end nobody sees the certificate or takes its
// name.
func TestRestoreIsHidden(t *testing.T) {
	t.Parallel()
	blob, _ := backupOf(t, 60) // two transactions
	h := newHarness(t, nil)
	ctx := context.Background()
	n := name(t, "web")
	e := newExisting(t, ecP256, h.clock.Now())
	value := e.pfx(t)
	looks := 0
	watched := storetest.NewFaulty(h.store, func(c storetest.Call) storetest.Fault {
		rows := h.store.Contents().Rows
		if len(rows) == 0 || c.Kind == memory.PutBlob && c.Number%10 != 0 {
			return storetest.None
		}
		looks++
		version := strings.Repeat("0", 32)
		for _, r := range rows {
			if id, ok := strings.CutPrefix(r.Key, "v:web:"); ok {
				version = id
			}
		}
		if list, _, err := h.Versions(ctx, n, vault.Page{Max: 25}); err != nil || len(list) != 0 {
			t.Errorf("versions during a restore: %v, %v; want none", list, err)
		}
		for what, err := range map[string]error{
			"get":            second(h.Certificate(ctx, n)),
			"get version":    second(h.CertificateVersion(ctx, n, version)),
			"update":         second(h.UpdateVersion(ctx, n, version, vault.UpdateParams{})),
			"update policy":  second(h.UpdatePolicy(ctx, n, policy.Params{})),
			"delete":         second(h.Delete(ctx, n)),
			"backup":         second(h.Backup(ctx, n)),
			"secret":         second(h.Secret(ctx, n, "", nil)),
			"secret version": second(h.Secret(ctx, n, version, nil)),
			"key":            second(h.Key(ctx, n, version)),
			"operation":      second(h.Operation(ctx, n, "")),
			"merge":          second(h.Merge(ctx, n, vault.MergeParams{X5C: []string{value}})),
			"get deleted":    second(h.Deleted(ctx, n)),
			"recover":        second(h.Recover(ctx, n)),
			"purge":          h.Purge(ctx, n),
		} {
			if what == "merge" && errors.As(err, new(*field.Error)) {
				continue
			}
			var e *vault.Error
			if !errors.As(err, &e) {
				t.Errorf("%s during a restore: %v", what, err)
				continue
			}
			if got := e.Reason; got != vault.CertificateNotFound && got != vault.SecretNotFound && got != vault.KeyNotFound &&
				got != vault.OperationNotFound && got != vault.DeletedNotFound && what != "merge" {
				t.Errorf("%s during a restore: %v", what, err)
			}
		}
		for what, err := range map[string]error{
			"create":  second(h.Create(ctx, n, vault.CreateParams{Policy: policyFor("Self")})),
			"import":  second(h.Import(ctx, n, vault.ImportParams{Value: value})),
			"restore": second(h.Restore(ctx, blob)),
		} {
			if reason(t, err) != vault.RestoreConflict {
				t.Errorf("%s during a restore: %v, want RestoreConflict", what, err)
			}
		}
		for what, list := range map[string]func(context.Context, vault.Page, bool) ([]vault.Certificate, string, error){
			"certificates": h.Certificates, "deleted certificates": h.DeletedCertificates,
		} {
			if found, _, err := list(ctx, vault.Page{Max: 25}, true); len(found) != 0 || err != nil {
				t.Errorf("%s during a restore: %d, %v", what, len(found), err)
			}
		}
		h.mustTick() // too early to give the restore up
		return storetest.None
	})
	if _, err := open(t, watched, h.clock, nil).Restore(ctx, blob); err != nil {
		t.Fatal(err)
	}
	if looks < 10 {
		t.Errorf("looked %d times", looks)
	}
	h.mustCertificate("web")
}

// TestRestoreRaces: of two restores one succeeds, and one that is so slow that a
// tick gives it up does not.
func TestRestoreRaces(t *testing.T) {
	t.Parallel()
	blob, want := backupOf(t, 0)
	for what, rival := range map[string]func(ctx context.Context, v *vault.Vault, store store.Store, clock *clock) error{
		"restore": func(ctx context.Context, v *vault.Vault, _ store.Store, _ *clock) error {
			return second(v.Restore(ctx, blob))
		},
		"create": func(ctx context.Context, v *vault.Vault, _ store.Store, _ *clock) error {
			return second(v.Create(ctx, name(t, "web"), vault.CreateParams{Policy: policyFor("Unknown")}))
		},
		"tick": func(ctx context.Context, v *vault.Vault, store store.Store, clock *clock) error {
			store.Get(ctx, "c:web") // any call, to wait for its turn
			clock.Advance(5 * time.Minute)
			_, err := v.Advance(ctx)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			outcomes := map[[2]bool]int{}
			report, err := storetest.Interleave(t.Context(), storetest.Search{
				Setup: func() storetest.Scenario {
					st, clock := new(memory.Store), newClock()
					var restored, rivalled error
					return storetest.Scenario{
						Store: st,
						Workers: []storetest.Worker{
							{Name: "restore", Run: func(ctx context.Context, s store.Store) {
								restored = second(openWith(t, s, clock, repeatable).Restore(ctx, blob))
							}},
							{Name: "rival", Run: func(ctx context.Context, s store.Store) {
								rivalled = rival(ctx, openWith(t, s, clock, func(cfg *vault.Config) {
									repeatable(cfg)
									cfg.Rand = rivalRand()
								}), s, clock)
							}},
						},
						Check: func(store *memory.Store) error {
							outcomes[[2]bool{restored == nil, rivalled == nil}]++
							c := store.Contents()
							if err := vault.Invariants(c.Rows, c.Blobs); err != nil {
								return err
							}
							v := open(t, store, clock, nil)
							got, err := v.Certificate(t.Context(), name(t, "web"))
							switch whole := err == nil && got.Leaf != nil; {
							case what == "restore" && ((restored == nil) == (rivalled == nil) || !whole):
								return fmt.Errorf("restored: %v and %v; there: %v", restored, rivalled, err)
							case what == "create" && (restored != nil && rivalled != nil || whole != (restored == nil)):
								return fmt.Errorf("restored: %v, created: %v; there: %v", restored, rivalled, err)
							case what == "tick" && whole != (restored == nil):
								return fmt.Errorf("restored: %v; there: %v", restored, err)
							case whole && got.Version != want.Latest.Version:
								return fmt.Errorf("there is version %s", got.Version)
							}
							return nil
						},
					}
				},
				Preemptions: 3,
				Limit:       20000,
			})
			if err != nil || !report.Exhaustive {
				t.Errorf("%v: %v", report, err)
			}
			if len(outcomes) < 2 {
				t.Errorf("only these outcomes: %v", outcomes)
			}
			t.Log(report, outcomes)
		})
	}
}
