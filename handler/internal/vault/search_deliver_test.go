package vault_test

// Deliveries under interleavings and faults.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// telling is a certificate whose events several workers may be telling, and a
// destination that remembers them.
type telling struct {
	t     testing.TB
	store *memory.Store
	clock *clock
	told  *recorder
	wrong []error
}

func startTelling(t testing.TB, contents memory.Contents, now time.Time) *telling {
	w := &telling{t: t, store: new(memory.Store), clock: &clock{now: now}, told: new(recorder)}
	fill(t, w.store, contents)
	w.store.OnCommit(func(_, after memory.Contents) {
		if err := vault.Invariants(after.Rows, after.Blobs); err != nil {
			w.wrong = append(w.wrong, fmt.Errorf("after a transaction: %w", err))
		}
	})
	return w
}

// open makes the vault of one worker.
func (w *telling) open(store store.Store, worker int) *vault.Vault {
	return openWith(w.t, store, w.clock, func(cfg *vault.Config) {
		repeatable(cfg)
		cfg.Rand = rand.NewChaCha8([32]byte{1: byte(worker)})
		cfg.Destinations = map[string]vault.Destination{"siem": w.told}
	})
}

// settle lets ordinary ticks go on until the claim of a dead worker has ended,
// and checks what they make of it: whatever the head says was told has arrived,
// under one ID, and nothing that is due was left out.
func (w *telling) settle(store store.Store) error {
	v := w.open(store, 15)
	for range 4 {
		if _, err := v.Advance(context.Background()); err != nil {
			return err
		}
		w.clock.Advance(time.Minute)
	}
	errs := w.wrong
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	ids := make(map[string]map[string]int) // deliveries by event and ID
	for _, e := range w.told.events {
		about := string(e.Type) + " " + e.Version
		if ids[about] == nil {
			ids[about] = make(map[string]int)
		}
		ids[about][e.ID]++
	}
	for about, deliveries := range ids {
		if len(deliveries) > 1 {
			wrong("%s was told %d times, under different IDs", about, len(deliveries))
		}
	}
	rows := w.store.Contents().Rows
	state, err := vault.StateOf(rows, name(w.t, "web"))
	if err != nil {
		return err
	}
	if got := len(ids[string(vault.EventNearExpiry)+" "+state.Latest]) > 0; got != state.ToldNearExpiry {
		wrong("that the certificate is near its expiry was told: %v; the head says %v", got, state.ToldNearExpiry)
	}
	for _, r := range rows {
		now := fmt.Sprintf("d:2:%013d", w.clock.Now().UnixMilli())
		if strings.HasPrefix(r.Key, "e:") || strings.HasPrefix(r.Key, "d:2:") && r.Key < now {
			wrong("%s is left", r.Key)
		}
	}
	return errors.Join(errs...)
}

// nearExpiryDue is a vault that is to tell that a certificate is near its expiry;
// with fails, one in which that event waits, because its first delivery failed.
func nearExpiryDue(t *testing.T, fails bool) (memory.Contents, time.Time) {
	t.Helper()
	w := startTelling(t, memory.Contents{}, newClock().now)
	v := w.open(w.store, 0)
	if _, err := v.Import(t.Context(), name(t, "web"), vault.ImportParams{Value: living(t, w.clock.Now(), w.clock.Now().Add(100*day))}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(70 * day) // the new version is told on the way
	if _, err := v.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(10 * day)
	if fails {
		w.told.fails = down
		if _, err := v.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(5 * time.Minute)
	}
	return w.store.Contents(), w.clock.Now()
}

// tellers are what workers do at the same time.
func tellers(t *testing.T, eventID string) map[string]func(context.Context, *vault.Vault) error {
	web := name(t, "web")
	return map[string]func(context.Context, *vault.Vault) error{
		"tick": func(ctx context.Context, v *vault.Vault) error { return second(v.Advance(ctx)) },
		"delete and recover": func(ctx context.Context, v *vault.Vault) error {
			return errors.Join(second(v.Delete(ctx, web)), second(v.Recover(ctx, web)))
		},
		"policy": func(ctx context.Context, v *vault.Vault) error {
			return second(v.UpdatePolicy(ctx, web, policy.Params{
				LifetimeActions: []policy.LifetimeAction{{Percentage: 10, Action: policy.ActionEmailContacts}}}))
		},
		"retry": func(ctx context.Context, v *vault.Vault) error {
			if _, err := v.RetryEvent(ctx, vault.Delivery{EventID: eventID, Destination: "siem"}); reason(t, err) != vault.EventNotFound {
				return err
			}
			return nil
		},
	}
}

// TestTellingInterleaved searches the schedules of a tick and of somebody else
// who changes what it tells of, and of either with one of them killed anywhere:
// before and after each write, and between a delivery and its record.
func TestTellingInterleaved(t *testing.T) {
	t.Parallel()
	for _, waiting := range []bool{false, true} {
		contents, now := nearExpiryDue(t, waiting)
		var eventID string
		for _, r := range contents.Rows {
			if rest, ok := strings.CutPrefix(r.Key, "e:"); ok {
				eventID, _, _ = strings.Cut(rest, ":")
			}
		}
		all := tellers(t, eventID)
		for other, run := range all {
			t.Run(fmt.Sprintf("tick and %s, event waiting: %v", other, waiting), func(t *testing.T) {
				t.Parallel()
				for crashes := range 2 {
					s := storetest.Search{Crashes: crashes, Independent: independent, Limit: 400 * *depth, Samples: 30 * *depth}
					if raceDetector {
						s.Limit, s.Samples = 1, 2
					}
					s.Setup = func() storetest.Scenario {
						w := startTelling(t, contents, now)
						worker := func(i int, run func(context.Context, *vault.Vault) error) storetest.Worker {
							return storetest.Worker{Name: fmt.Sprint(i), Run: func(ctx context.Context, store store.Store) {
								if err := run(ctx, w.open(store, i)); err != nil {
									w.wrong = append(w.wrong, err)
								}
							}}
						}
						return storetest.Scenario{
							Store:   w.store,
							Workers: []storetest.Worker{worker(1, all["tick"]), worker(2, run)},
							Check: func(*memory.Store) error {
								if n := len(w.told.events); crashes == 0 && other == "tick" && n != 1 {
									return fmt.Errorf("two ticks delivered %d times", n)
								}
								return w.settle(w.store)
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
}

// TestTellingFaults: each storage call of a tick that tells and delivers is lost,
// applied but reported as failed, or late, and the process goes on or is killed
// there.
func TestTellingFaults(t *testing.T) {
	t.Parallel()
	for _, waiting := range []bool{false, true} {
		contents, now := nearExpiryDue(t, waiting)
		calls := 1
		for n := 1; n <= calls; n++ {
			for _, fault := range faults {
				for _, killed := range []bool{false, true} {
					w := startTelling(t, contents, now)
					last := 0
					st := storetest.NewFaulty(w.store, func(call storetest.Call) storetest.Fault {
						last = call.Number
						if call.Number == n {
							return fault
						}
						return storetest.None
					})
					first := store.Store(st)
					if killed {
						first = &mortal{Store: st, calls: n}
					}
					ended := make(chan struct{})
					go func() { // which a killed process does not leave
						defer close(ended)
						_, _ = w.open(first, 1).Advance(t.Context())
					}()
					<-ended
					if fault == storetest.None && !killed {
						calls = last
					}
					err := w.settle(st)
					st.Release()
					if err = errors.Join(err, w.settle(w.store)); err != nil {
						t.Errorf("call %d, %s, killed %v, event waiting %v: %v", n, fault, killed, waiting, err)
					}
				}
			}
		}
		if calls < 8 {
			t.Errorf("a tick that tells makes %d calls", calls)
		}
	}
}
