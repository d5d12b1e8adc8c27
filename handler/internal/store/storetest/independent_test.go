package storetest_test

// Which calls commute, and that their orders are run once.

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
)

func TestIndependent(t *testing.T) {
	t.Parallel()
	get := func(key string) storetest.Call { return storetest.Call{Kind: memory.Get, Key: key} }
	scan := func(from, to string) storetest.Call {
		return storetest.Call{Kind: memory.Scan, Key: from, To: to}
	}
	commit := func(keys ...string) storetest.Call {
		c := storetest.Call{Kind: memory.Commit, Key: keys[0]}
		for _, key := range keys {
			c.Actions = append(c.Actions, storetest.Action(store.Put, key, `1`))
		}
		return c
	}
	blob := func(kind memory.Kind, name string) storetest.Call {
		return storetest.Call{Kind: kind, Key: name}
	}
	for _, test := range []struct {
		a, b storetest.Call
		want bool
	}{
		{get("c:a"), get("c:a"), true},
		{get("c:a"), scan("c:", "c;"), true},
		{get("c:a"), commit("c:b"), true},
		{get("c:a"), commit("c:b", "c:a"), false},
		{scan("c:", "c;"), commit("d:a", "c:a"), false},
		{scan("c:b", "c;"), commit("c:a"), true},
		{scan("c:", "c:b"), commit("c:b"), true},
		{commit("c:a", "d:a"), commit("d:b", "d:a"), false},
		{commit("c:a"), commit("c:b"), true},
		{blob(memory.PutBlob, "a"), blob(memory.PutBlob, "b"), true},
		{blob(memory.PutBlob, "a"), blob(memory.DeleteBlob, "a"), false},
		{blob(memory.PutBlob, "a"), blob(memory.GetBlob, "a"), false},
		{blob(memory.GetBlob, "a"), blob(memory.GetBlob, "a"), true},
		{blob(memory.PutBlob, "a"), commit("a"), true},
	} {
		for _, pair := range [][2]storetest.Call{{test.a, test.b}, {test.b, test.a}} {
			if got := storetest.Independent(pair[0], pair[1]); got != test.want {
				t.Errorf("%s and %s: got independent %t, want %t", pair[0], pair[1], got, test.want)
			}
		}
	}
}

// TestOrdersOfIndependentCallsAreOne: leaving out what only swaps independent
// calls leaves out nothing that can come of a scenario.
func TestOrdersOfIndependentCallsAreOne(t *testing.T) {
	t.Parallel()
	var all, fewer int
	rapid.Check(t, func(t *rapid.T) {
		calls := rapid.SliceOfN(rapid.SampledFrom([]string{"get a", "get b", "put a", "put b", "scan", "both"}), 1, 3)
		programs := rapid.SliceOfN(calls, 2, 3).Draw(t, "programs")
		crashes := rapid.IntRange(0, 1).Draw(t, "crashes")
		outcomes := func(independent func(a, b storetest.Call) bool) (map[string]bool, int) {
			seen := map[string]bool{}
			report, err := storetest.Interleave(context.Background(), storetest.Search{
				Setup:       func() storetest.Scenario { return programsScenario(programs, seen) },
				Crashes:     crashes,
				Independent: independent,
				Limit:       1_000_000,
			})
			if err != nil || !report.Exhaustive {
				t.Fatal(report, err)
			}
			return seen, report.Enumerated
		}
		want, n := outcomes(nil)
		got, m := outcomes(storetest.Independent)
		all, fewer = all+n, fewer+m
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("outcomes of all schedules and of the reduced ones (-want +got):\n%s", diff)
		}
	})
	t.Logf("%d schedules instead of %d", fewer, all)
	if fewer*2 > all && !testing.Short() { // rapid then draws a fifth, too few for an average
		t.Errorf("%d schedules of %d were enumerated; usually it is a third", fewer, all)
	}
}

// programsScenario has workers that run programs and note what they see; the
// outcome of each schedule goes into seen.
func programsScenario(programs [][]string, seen map[string]bool) storetest.Scenario {
	s := storetest.Scenario{Store: new(memory.Store)}
	notes := make([]string, len(programs))
	for i, program := range programs {
		s.Workers = append(s.Workers, storetest.Worker{Name: fmt.Sprint(i), Run: func(ctx context.Context, st store.Store) {
			for n, call := range program {
				doc := fmt.Sprint(10*i + n)
				switch call {
				case "put a", "put b":
					_, _ = st.Commit(ctx, store.Tx{Actions: []store.Action{storetest.Action(store.Put, call[4:], doc)}})
				case "both":
					_, _ = st.Commit(ctx, store.Tx{Actions: []store.Action{storetest.Action(store.Put, "a", doc), storetest.Action(store.Put, "b", doc)}})
				case "scan":
					rows, _ := st.Scan(ctx, store.Range{From: "a", To: "c", Limit: 10})
					for _, r := range rows {
						notes[i] += r.Key + string(r.Doc)
					}
				default:
					r, _ := st.Get(ctx, call[4:])
					notes[i] += r.Key + string(r.Doc)
				}
				notes[i] += ";"
			}
		}})
	}
	s.Check = func(m *memory.Store) error {
		outcome := fmt.Sprint(notes)
		for _, r := range m.Contents().Rows {
			outcome += r.Key + string(r.Doc)
		}
		seen[outcome] = true
		return nil
	}
	return s
}
