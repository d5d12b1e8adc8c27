package vault_test

// Scripts of workers under every interleaving.

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
)

// depth multiplies the number of schedules that the searches of this package
// try. The default is what a test run can wait for;
//
//	go test -run 'Interleavings|Faults|Concurrent' -search=100 ./handler/internal/vault
//
// takes some minutes.
var depth = flag.Int("search", 1, "how many times as many schedules as usual to search")

// script is what one worker does: one call after the other.
type script []call

func (s script) String() string {
	var names []string
	for _, c := range s {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// workerStore is the store of a worker in a search. It notes when a call had its
// first answer, and lets pass, outside the schedule, what cannot meet anything
// that other workers do: the heartbeat and the reading of issuers.
type workerStore struct {
	store.Store
	direct store.Store
	seen   func()
}

func (s *workerStore) Get(ctx context.Context, key string) (store.Row, error) {
	if strings.HasPrefix(key, "i:") {
		return s.direct.Get(ctx, key)
	}
	r, err := s.Store.Get(ctx, key)
	s.seen()
	return r, err
}

func (s *workerStore) Scan(ctx context.Context, r store.Range) ([]store.Row, error) {
	rows, err := s.Store.Scan(ctx, r)
	s.seen()
	return rows, err
}

func (s *workerStore) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	if tx.Actions[0].Row.Key == "s:heartbeat" {
		return s.direct.Commit(ctx, tx)
	}
	return s.Store.Commit(ctx, tx)
}

// scenario makes the scenario of a search: scripts that run at the same time,
// from a state.
func scenario(t testing.TB, from snapshot, scripts []script) func() storetest.Scenario {
	return func() storetest.Scenario {
		w := start(t, from)
		w.ca.scheduled = true
		s := storetest.Scenario{Store: w.store}
		for i, script := range scripts {
			s.Workers = append(s.Workers, storetest.Worker{
				Name: fmt.Sprintf("%d (%s)", i+1, script),
				Run: func(_ context.Context, store store.Store) {
					var r *record
					c := w.open(&workerStore{Store: store, direct: w.store, seen: func() {
						if r.began == 0 {
							r.began = int(w.events.Add(1))
						}
					}}, i+1)
					for _, call := range script {
						r = w.begin(c, call)
						r.began = 0
						r.answer = call.run(c)
						w.end(r)
					}
				},
			})
		}
		s.Check = func(*memory.Store) error { return errors.Join(w.check(), w.settle()) }
		return s
	}
}

// independent: besides storage, workers share the clock, which a tick moves when
// it has found nothing due yet, and the CA, which an account acts on after it has
// read its key, and a release after it has claimed its job.
func independent(a, b storetest.Call) bool {
	both := func(p, q string) bool {
		return strings.HasPrefix(a.Key, p) && strings.HasPrefix(b.Key, q) || strings.HasPrefix(a.Key, q) && strings.HasPrefix(b.Key, p)
	}
	return storetest.Independent(a, b) && !both("d:3:", "c:") && !both(lapseKey, "") && !both(accountKey, accountKey) && !both(accountKey, "r:")
}

// search tries schedules of scripts from a state. Those of two workers it tries
// all, and those in which one of them is killed all if they are not too many;
// of three workers, those with two preemptions. Then it tries some at random.
//
// Under the race detector, which makes a schedule cost ten times as much and has
// little to find where one worker runs at a time, it tries only one at random,
// and only where one worker is a tick, which has goroutines. TestInFull makes up for it.
func search(t testing.TB, from snapshot, scripts ...script) {
	t.Helper()
	try := func(s storetest.Search) bool {
		t.Helper()
		s.Setup = scenario(t, from, scripts)
		s.Limit *= *depth
		s.Samples *= *depth
		r, err := storetest.Interleave(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d crashes, %d preemptions: %s", s.Crashes, s.Preemptions, r)
		return r.Exhaustive
	}
	switch {
	case raceDetector && *depth == 1:
		if slices.ContainsFunc(scripts, func(s script) bool { return s[0].name == tick.name }) {
			try(storetest.Search{Crashes: 1, Samples: 1})
		}
		return
	case len(scripts) > 2:
		try(storetest.Search{Preemptions: 2, Limit: 1000})
	default:
		try(storetest.Search{Independent: independent, Limit: 200})
	}
	if !try(storetest.Search{Crashes: 1, Independent: independent, Limit: 60}) {
		try(storetest.Search{Crashes: 1, Samples: 10})
	}
}

// TestInterleavings searches the schedules of every two calls from every state.
func TestInterleavings(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	t.Parallel()
	calls := []call{
		create("one", issuing), create("two", ""), tick, poll, cancel,
		merge("start", 0, "A"), merge("start", 0, "B"),
		deleteOperation, deleteCertificate, recoverDeleted, purge,
		advance, giveUp, retry("three"),
	}
	states := startingStates(t)
	for _, from := range slices.Sorted(maps.Keys(states)) {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			for i, a := range calls {
				for _, b := range calls[i:] {
					t.Run(a.name+" and "+b.name, func(t *testing.T) {
						search(t, states[from], script{a}, script{b})
					})
				}
			}
		})
	}
}

// TestInterleavingsOfThree searches where three workers meet: an effect at the
// CA, an end, and a new beginning; and what comes back.
func TestInterleavingsOfThree(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	t.Parallel()
	states := startingStates(t)
	mergeOwn, restore := merge("new", 3, "C"), restore(states["purging"].backup)
	for _, test := range []struct {
		from    string
		scripts []script
	}{
		{"in progress, ca", []script{{tick}, {tick}, {cancel}}},
		{"in progress, ca", []script{{tick}, {tick}, {deleteOperation}}},
		{"in progress, ca", []script{{tick}, {deleteOperation}, {create("new", issuing), tick}}},
		{"in progress, ca", []script{{tick}, {cancel, uncancel}, {poll}}},
		{"in progress, ca", []script{{tick}, {deleteCertificate}, {recoverDeleted}}},
		{"ordered", []script{{tick}, {deleteCertificate, purge}, {create("new", issuing)}}},
		{"claim ended", []script{{tick}, {tick}, {deleteOperation}}},
		{"in progress, ca", []script{{tick}, {advance}, {giveUp}}},
		{"in progress, ca", []script{{advance}, {giveUp}, {retry("new"), tick}}},
		{"ordered", []script{{advance}, {tick}, {cancel}}},
		{"ordered", []script{{tick}, {giveUp, tick}, {lapse}}},
		{"failed", []script{{retry("new"), tick}, {retry("other")}, {merge("start", 0, "A")}}},
		{"in progress, quick", []script{{poll}, {poll}, {lapse}}},
		{"in progress, quick", []script{{poll}, {poll}, {cancel}}},
		{"in progress, quick", []script{{poll}, {deleteOperation}, {create("new", quick), poll}}},
		{"in progress, quick", []script{{poll}, {deleteOperation, tick}, {lapse}}},
		{"ordered", []script{{tick}, {poll, tick}, {lapse}}},
		{"cancellation asked for", []script{{tick}, {uncancel}, {deleteCertificate, recoverDeleted}}},
		{"in progress, Self", []script{{poll}, {poll}, {tick}}},
		{"in progress, Self", []script{{poll}, {cancel}, {deleteOperation, create("new", policy.IssuerSelf)}}},
		{"in progress, Unknown", []script{{merge("start", 0, "A")}, {merge("start", 0, "B")}, {cancel, tick}}},
		{"in progress, Unknown", []script{{merge("start", 0, "A")}, {deleteOperation}, {create("new", policy.IssuerUnknown), mergeOwn}}},
		{"failed", []script{{merge("start", 0, "A")}, {create("one", issuing), tick}, {deleteCertificate}}},
		{"failed", []script{{create("two", "")}, {create("one", policy.IssuerUnknown)}, {deleteOperation}}},
		{"completed", []script{{create("two", "")}, {create("one", policy.IssuerSelf)}, {deleteOperation}}},
		{"completed", []script{{importCertificate(3, "I")}, {create("one", quick), poll}, {deleteCertificate}}},
		{"failed", []script{{importCertificate(3, "I")}, {merge("start", 0, "A")}, {deleteOperation}}},
		{"in progress, quick", []script{{importCertificate(3, "I")}, {poll}, {cancel}}},
		{"completed", []script{{deleteCertificate}, {recoverDeleted}, {purge}}},
		{"deleted", []script{{purge}, {recoverDeleted}, {create("new", issuing)}}},
		{"deleted", []script{{purge}, {purge}, {create("new", policy.IssuerUnknown), mergeOwn}}},
		{"purging", []script{{tick}, {tick}, {create("new", policy.IssuerUnknown), mergeOwn}}},
		{"purging", []script{{tick}, {tick}, {restore}}},
		{"purging", []script{{tick}, {restore}, {create("new", issuing)}}},
		{"purging", []script{{tick}, {restore}, {restore}}},
	} {
		t.Run(fmt.Sprint(test.from, test.scripts), func(t *testing.T) {
			t.Parallel()
			search(t, states[test.from], test.scripts...)
		})
	}
}

// TestInterleavingsOfReleases searches what operators do about a release while
// ticks run it. Nobody is killed: what was given up waits for an operator.
func TestInterleavingsOfReleases(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	t.Parallel()
	from := workStates(t)["release"]
	for _, scripts := range [][]script{
		{{tick}, {advanceRelease}},
		{{advanceRelease}, {advanceRelease}},
		{{tick}, {giveUpRelease, retryRelease}},
		{{advanceRelease}, {giveUpRelease, retryRelease}},
		{{tick}, {giveUpRelease, retryRelease}, {advanceRelease}},
	} {
		t.Run(fmt.Sprint(scripts), func(t *testing.T) {
			t.Parallel()
			r, err := storetest.Interleave(t.Context(), storetest.Search{
				Setup: scenario(t, from, scripts), Preemptions: 2, Limit: 500 * *depth,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r)
		})
	}
}
