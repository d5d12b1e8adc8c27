package storetest_test

// The search finds what it must, and runs each schedule once.

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
)

// reader makes n calls.
func reader(name string, n int) storetest.Worker {
	return storetest.Worker{Name: name, Run: func(ctx context.Context, store store.Store) {
		for range n {
			_, _ = store.Get(ctx, "c:"+name)
		}
	}}
}

// binomial is n over k.
func binomial(n, k int) int {
	b := 1
	for i := range k {
		b = b * (n - i) / (i + 1)
	}
	return b
}

func TestEveryScheduleOnce(t *testing.T) {
	t.Parallel()
	for _, calls := range [][]int{{0}, {3}, {0, 2}, {1, 1}, {2, 3}, {4, 5}, {2, 2, 2}} {
		for crashes := range 2 {
			seen := map[string]bool{}
			search := storetest.Search{Crashes: crashes, Limit: 10_000, Setup: func() storetest.Scenario {
				var order []string
				s := storetest.Scenario{Store: new(memory.Store)}
				for i, n := range calls {
					name := strconv.Itoa(i)
					s.Workers = append(s.Workers, storetest.Worker{Name: name, Run: func(ctx context.Context, store store.Store) {
						defer func() { order = append(order, name+"ends") }()
						for range n {
							_, _ = store.Get(ctx, "c:"+name)
							order = append(order, name)
						}
						order = append(order, name+"done")
					}})
				}
				s.Check = func(m *memory.Store) error {
					key := fmt.Sprint(order, m.Calls()[memory.Get])
					if seen[key] {
						return fmt.Errorf("order %s came twice", key)
					}
					seen[key] = true
					return nil
				}
				return s
			}}
			report, err := storetest.Interleave(t.Context(), search)
			if err != nil {
				t.Fatalf("%v calls, %d crashes: %v", calls, crashes, err)
			}
			if want := schedules(calls, crashes); report.Enumerated != want || !report.Exhaustive || len(seen) != want {
				t.Errorf("%v calls, %d crashes: %s, of which %d differ; want all %d", calls, crashes, report, len(seen), want)
			}
		}
	}
}

// schedules is how many there are: the orders of all calls, and, for a worker
// that stops, the orders with as many of its calls as it makes, once for a stop
// before the answer to the last of them, and once for a stop after it, which
// needs a further call that is not made.
func schedules(calls []int, crashes int) int {
	orders, n := 1, 0
	for _, c := range calls {
		n += c
		orders *= binomial(n, c)
	}
	if crashes == 0 {
		return orders
	}
	for i, all := range calls {
		for made := 1; made <= all; made++ {
			fewer := append([]int{}, calls...)
			fewer[i] = made
			orders += schedules(fewer, 0)
			if made < all {
				orders += schedules(fewer, 0)
			}
		}
	}
	return orders
}

func TestPreemptionsAreBounded(t *testing.T) {
	t.Parallel()
	orders := func(preemptions int) map[string]bool {
		seen := map[string]bool{}
		search := storetest.Search{Preemptions: preemptions, Limit: 10_000, Setup: func() storetest.Scenario {
			var order string
			s := storetest.Scenario{Store: new(memory.Store)}
			for _, name := range []string{"a", "b", "c"} {
				s.Workers = append(s.Workers, storetest.Worker{Name: name, Run: func(ctx context.Context, store store.Store) {
					for range 3 {
						_, _ = store.Get(ctx, "c:"+name)
						order += name
					}
				}})
			}
			s.Check = func(*memory.Store) error { seen[order] = true; return nil }
			return s
		}}
		if report, err := storetest.Interleave(t.Context(), search); err != nil || !report.Exhaustive || report.Enumerated != len(seen) {
			t.Errorf("at most %d preemptions: %d orders, %v, %v", preemptions, len(seen), report, err)
		}
		return seen
	}
	all := orders(0)
	for bound := 1; bound <= 4; bound++ {
		want := map[string]bool{}
		for order := range all {
			preemptions := 0
			for i := 1; i < len(order); i++ {
				if order[i] != order[i-1] && strings.IndexByte(order[i:], order[i-1]) >= 0 {
					preemptions++
				}
			}
			if preemptions <= bound {
				want[order] = true
			}
		}
		if diff := cmp.Diff(want, orders(bound)); diff != "" {
			t.Errorf("orders with at most %d preemptions (-want +got):\n%s", bound, diff)
		}
	}
}

// increment adds one to the counter c:n; safely is with If-Match.
func increment(name string, safely bool) storetest.Worker {
	return storetest.Worker{Name: name, Run: func(ctx context.Context, st store.Store) {
		for {
			row, err := st.Get(ctx, "c:n")
			if err != nil {
				return
			}
			n, _ := strconv.Atoi(string(row.Doc))
			row.Doc = strconv.AppendInt(nil, int64(n+1), 10)
			verb := store.Put
			if safely {
				verb = store.Replace
			}
			if _, err := st.Commit(ctx, store.Tx{Actions: []store.Action{{Verb: verb, Row: row}}}); err == nil {
				return
			}
		}
	}}
}

func counters(t *testing.T, safely bool) storetest.Search {
	return storetest.Search{Limit: 1000, Setup: func() storetest.Scenario {
		m := new(memory.Store)
		storetest.MustCommit(t, m, storetest.Action(store.Add, "c:n", `0`))
		return storetest.Scenario{
			Store:   m,
			Workers: []storetest.Worker{increment("one", safely), increment("two", safely)},
			Check: func(m *memory.Store) error {
				if got := string(m.Contents().Rows[0].Doc); got != "2" {
					return fmt.Errorf("the counter is %s, want 2", got)
				}
				return nil
			},
		}
	}}
}

func TestFindsTheLostUpdate(t *testing.T) {
	t.Parallel()
	_, err := storetest.Interleave(t.Context(), counters(t, false))
	var found *storetest.Counterexample
	if !errors.As(err, &found) {
		t.Fatalf("got %v, want a counterexample", err)
	}
	want := `the counter is 1, want 2, after this schedule:
  1  one: get c:n
  2  two: get c:n
  3  one: commit: put c:n
  4  two: commit: put c:n`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("counterexample (-want +got):\n%s", diff)
	}
}

func TestFindsNothingWhereAllIsWell(t *testing.T) {
	t.Parallel()
	report, err := storetest.Interleave(t.Context(), counters(t, true))
	// one after the other: 2; both read before the first writes: 4, of 6 calls.
	if want := (storetest.Report{Enumerated: 6, Exhaustive: true, MaxCalls: 6}); err != nil || report != want {
		t.Errorf("got %v, %v; want %v", report, err, want)
	}
}

func TestSamplesBeyondTheLimit(t *testing.T) {
	t.Parallel()
	search := func(seed uint64, found *[]string) storetest.Search {
		return storetest.Search{Limit: 50, Samples: 300, Seed: seed, Crashes: 1, Setup: func() storetest.Scenario {
			var order string
			record := func(name string) storetest.Worker {
				return storetest.Worker{Name: name, Run: func(ctx context.Context, store store.Store) {
					for range 8 {
						_, _ = store.Get(ctx, "c:"+name)
						order += name
					}
				}}
			}
			return storetest.Scenario{
				Store:   new(memory.Store),
				Workers: []storetest.Worker{record("a"), record("b")},
				Check:   func(*memory.Store) error { *found = append(*found, order); return nil },
			}
		}}
	}
	var first, again, other []string
	report, err := storetest.Interleave(t.Context(), search(1, &first))
	if want := (storetest.Report{Enumerated: 50, Sampled: 300, MaxCalls: 16}); err != nil || report != want {
		t.Fatalf("got %v, %v; want %v", report, err, want)
	}
	_, _ = storetest.Interleave(t.Context(), search(1, &again))
	_, _ = storetest.Interleave(t.Context(), search(2, &other))
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the same seed made other schedules (-first +again):\n%s", diff)
	}
	if cmp.Equal(first, other) {
		t.Error("another seed made the same schedules")
	}
	differ, whole := map[string]bool{}, 0
	for _, order := range first[50:] {
		differ[order] = true
		if len(order) == 16 {
			whole++
		}
	}
	if len(differ) < 200 || whole < 30 || whole > 150 {
		t.Errorf("of 300 random schedules %d differ and in %d nobody stopped", len(differ), whole)
	}
}

// twoSteps writes a row and then another, with an effect between them that is
// no storage call.
func twoSteps(t *testing.T, check func(rows, effects int) error) func() storetest.Scenario {
	return func() storetest.Scenario {
		effects := 0
		return storetest.Scenario{
			Store: new(memory.Store),
			Workers: []storetest.Worker{{Name: "w", Run: func(ctx context.Context, st store.Store) {
				defer func() {
					_, _ = st.Commit(ctx, store.Tx{Actions: []store.Action{storetest.Action(store.Put, "c:deferred", `1`)}})
				}()
				storetest.MustCommit(t, st, storetest.Action(store.Add, "c:1", `1`))
				effects++
				storetest.MustCommit(t, st, storetest.Action(store.Add, "c:2", `1`))
			}}},
			Check: func(m *memory.Store) error { return check(len(m.Contents().Rows), effects) },
		}
	}
}

func TestStopsAWorkerEverywhere(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	setup := twoSteps(t, func(rows, effects int) error {
		seen[fmt.Sprintf("%d rows, %d effects", rows, effects)]++
		return nil
	})
	if report, err := storetest.Interleave(t.Context(), storetest.Search{Crashes: 1, Limit: 100, Setup: setup}); err != nil || !report.Exhaustive {
		t.Fatalf("got %v, %v", report, err)
	}
	want := map[string]int{
		"1 rows, 0 effects": 1, // unanswered
		"1 rows, 1 effects": 1, // answered, then killed
		"2 rows, 1 effects": 2,
		"3 rows, 1 effects": 2, // the deferred call: answered or not, at the end
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("states found (-want +got):\n%s", diff)
	}
}

func TestTraceShowsTheStop(t *testing.T) {
	t.Parallel()
	for effects, want := range []string{
		"half of it is there, after this schedule:\n  1  w: commit: add c:1  (it stops before it learns this)",
		"half of it is there, after this schedule:\n  1  w: commit: add c:1  (it stops before its next call)",
	} {
		setup := twoSteps(t, func(rows, seen int) error {
			if rows == 1 && seen == effects {
				return errors.New("half of it is there")
			}
			return nil
		})
		_, err := storetest.Interleave(t.Context(), storetest.Search{Crashes: 1, Limit: 100, Setup: setup})
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %v", err, want)
		}
		if _, err := storetest.Interleave(t.Context(), storetest.Search{Limit: 100, Setup: setup}); err != nil {
			t.Errorf("without crashes: %v", err)
		}
	}
}

func TestAnswersAreSeen(t *testing.T) {
	t.Parallel()
	setup := func() storetest.Scenario {
		return storetest.Scenario{
			Store: new(memory.Store),
			Workers: []storetest.Worker{{Name: "w", Run: func(ctx context.Context, st store.Store) {
				if _, err := st.Get(ctx, "c:none"); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("the worker got %v, want ErrNotFound", err)
				}
				storetest.MustCommit(t, st, storetest.Action(store.Add, "c:a", `1`))
				if row, err := st.Get(ctx, "c:a"); err != nil || string(row.Doc) != `1` {
					t.Errorf("the worker got %+v, %v", row, err)
				}
			}}},
			Check: func(*memory.Store) error { return errors.New("show me") },
		}
	}
	_, err := storetest.Interleave(t.Context(), storetest.Search{Limit: 1, Setup: setup})
	if want := `  1  w: get c:none: row "c:none": not found`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want a trace with %q", err, want)
	}
}

func TestWorkersThatMisbehave(t *testing.T) {
	t.Parallel()
	runs := 0
	for name, test := range map[string]struct {
		worker func(m *memory.Store) func(context.Context, store.Store)
		want   string
	}{
		"panic": {func(*memory.Store) func(context.Context, store.Store) {
			return func(ctx context.Context, store store.Store) {
				_, _ = store.Get(ctx, "c:a")
				panic("out of paper")
			}
		}, "worker w panicked: out of paper"},
		"panic before the first call": {func(*memory.Store) func(context.Context, store.Store) {
			return func(context.Context, store.Store) { panic("no paper") }
		}, "worker w panicked: no paper"},
		"two calls at once": {func(m *memory.Store) func(context.Context, store.Store) {
			return func(ctx context.Context, st store.Store) {
				m.OnCommit(func(_, _ memory.Contents) { _, _ = st.Get(ctx, "c:b") })
				storetest.MustCommit(t, st, storetest.Action(store.Put, "c:a", `1`))
			}
		}, "worker w made two storage calls at once"},
		"another number of calls": {func(*memory.Store) func(context.Context, store.Store) {
			runs++
			n := max(0, 5-runs)
			return func(ctx context.Context, store store.Store) {
				for range n {
					_, _ = store.Get(ctx, "c:a")
				}
			}
		}, "something outside its scenario"},
		"another call": {func(*memory.Store) func(context.Context, store.Store) {
			runs++
			key := strconv.Itoa(runs)
			return func(ctx context.Context, store store.Store) {
				for range 3 {
					_, _ = store.Get(ctx, key)
				}
			}
		}, "something outside its scenario"},
	} {
		_, err := storetest.Interleave(t.Context(), storetest.Search{Limit: 100, Setup: func() storetest.Scenario {
			m := new(memory.Store)
			return storetest.Scenario{Store: m, Workers: []storetest.Worker{{Name: "w", Run: test.worker(m)}, reader("r", 2)}}
		}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
}

func TestSearchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	search := storetest.Search{Limit: 100, Setup: func() storetest.Scenario {
		return storetest.Scenario{Store: new(memory.Store), Workers: []storetest.Worker{reader("r", 1)}}
	}}
	if _, err := storetest.Interleave(ctx, search); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func BenchmarkInterleave(b *testing.B) {
	search := storetest.Search{Crashes: 1, Limit: b.N, Setup: func() storetest.Scenario {
		return storetest.Scenario{Store: new(memory.Store), Workers: []storetest.Worker{reader("one", 10), reader("two", 10)}}
	}}
	if _, err := storetest.Interleave(b.Context(), search); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "schedules/s")
}
