package vaulttest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
)

func TestIndependent(t *testing.T) {
	t.Parallel()
	get := func(key string) vaulttest.Call { return vaulttest.Call{Kind: vaulttest.Get, Key: key} }
	scan := func(from, to string) vaulttest.Call {
		return vaulttest.Call{Kind: vaulttest.Scan, Key: from, To: to}
	}
	commit := func(keys ...string) vaulttest.Call {
		c := vaulttest.Call{Kind: vaulttest.Commit, Key: keys[0]}
		for _, key := range keys {
			c.Actions = append(c.Actions, action(vault.Put, key, `1`))
		}
		return c
	}
	blob := func(kind vaulttest.Kind, name string) vaulttest.Call {
		return vaulttest.Call{Kind: kind, Key: name}
	}
	for _, test := range []struct {
		a, b vaulttest.Call
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
		{blob(vaulttest.PutBlob, "a"), blob(vaulttest.PutBlob, "b"), true},
		{blob(vaulttest.PutBlob, "a"), blob(vaulttest.DeleteBlob, "a"), false},
		{blob(vaulttest.PutBlob, "a"), blob(vaulttest.GetBlob, "a"), false},
		{blob(vaulttest.GetBlob, "a"), blob(vaulttest.GetBlob, "a"), true},
		{blob(vaulttest.PutBlob, "a"), commit("a"), true},
	} {
		for _, pair := range [][2]vaulttest.Call{{test.a, test.b}, {test.b, test.a}} {
			if got := vaulttest.Independent(pair[0], pair[1]); got != test.want {
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
		outcomes := func(independent func(a, b vaulttest.Call) bool) (map[string]bool, int) {
			seen := map[string]bool{}
			report, err := vaulttest.Interleave(context.Background(), vaulttest.Search{
				Setup:       func() vaulttest.Scenario { return programsScenario(programs, seen) },
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
		got, m := outcomes(vaulttest.Independent)
		all, fewer = all+n, fewer+m
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("outcomes of all schedules and of the reduced ones (-want +got):\n%s", diff)
		}
	})
	t.Logf("%d schedules instead of %d", fewer, all)
	if fewer*2 > all {
		t.Errorf("%d schedules of %d were enumerated; usually it is a third", fewer, all)
	}
}

// programsScenario has workers that run programs and note what they see; the
// outcome of each schedule goes into seen.
func programsScenario(programs [][]string, seen map[string]bool) vaulttest.Scenario {
	s := vaulttest.Scenario{Store: new(vaulttest.Memory)}
	notes := make([]string, len(programs))
	for i, program := range programs {
		s.Workers = append(s.Workers, vaulttest.Worker{Name: fmt.Sprint(i), Run: func(ctx context.Context, store vault.Store) {
			for n, call := range program {
				doc := fmt.Sprint(10*i + n)
				switch call {
				case "put a", "put b":
					_, _ = store.Commit(ctx, vault.Tx{Actions: []vault.Action{action(vault.Put, call[4:], doc)}})
				case "both":
					_, _ = store.Commit(ctx, vault.Tx{Actions: []vault.Action{action(vault.Put, "a", doc), action(vault.Put, "b", doc)}})
				case "scan":
					rows, _ := store.Scan(ctx, vault.Range{From: "a", To: "c", Limit: 10})
					for _, r := range rows {
						notes[i] += r.Key + string(r.Doc)
					}
				default:
					r, _ := store.Get(ctx, call[4:])
					notes[i] += r.Key + string(r.Doc)
				}
				notes[i] += ";"
			}
		}})
	}
	s.Check = func(m *vaulttest.Memory) error {
		outcome := fmt.Sprint(notes)
		for _, r := range m.Contents().Rows {
			outcome += r.Key + string(r.Doc)
		}
		seen[outcome] = true
		return nil
	}
	return s
}
