package storetest

import (
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/store"
)

// rangeTests are about Scan.
var rangeTests = []contractTest{
	{"RangeBounds", func(s *subject) {
		s.mustCommit(add("a", `1`), add("c", `1`), add("c:", `1`), add("c:a", `1`), add("c:b", `1`), add("c;", `1`), add("d", `1`))
		for _, test := range []struct {
			from, to string
			limit    int
			want     []string
		}{
			{"c:", "c;", 9, []string{"c:", "c:a", "c:b"}},
			{"c:a", "c;", 9, []string{"c:a", "c:b"}},
			{"c:a ", "c;", 9, []string{"c:b"}},
			{"c:", "c:b", 9, []string{"c:", "c:a"}},
			{"c:", "c;", 3, []string{"c:", "c:a", "c:b"}},
			{"c:", "c;", 2, []string{"c:", "c:a"}},
			{" ", "~", 1, []string{"a"}},
			{" ", "~", 9, []string{"a", "c", "c:", "c:a", "c:b", "c;", "d"}},
			{"e", "f", 9, []string{}},
			{"c:a", "c:a", 9, []string{}},
			{"d", "a", 9, []string{}},
		} {
			rows := s.mustScan(store.Range{From: test.from, To: test.to, Limit: test.limit})
			if diff := cmp.Diff(test.want, keysOf(rows)); diff != "" {
				s.Errorf("scanning %q to %q, limit %d (-want +got):\n%s", test.from, test.to, test.limit, diff)
			}
		}
	}},

	// Bytes order keys, not any language.
	{"Order", func(s *subject) {
		keys := []string{"a:b", "a-b", "a.b", "ab", "aB", "AB", "a0", "a~", "a", "a!", "a_b", "a:", "b", "Z", "a:10", "a:9", "a b"}
		var actions []store.Action
		for _, key := range keys {
			actions = append(actions, add(key, `1`))
		}
		s.mustCommit(actions...)
		slices.Sort(keys)
		if diff := cmp.Diff(keys, keysOf(s.mustScan(everything(99)))); diff != "" {
			s.Errorf("order of keys (-want +got):\n%s", diff)
		}
	}},

	{"Labels", func(s *subject) {
		var actions []store.Action
		for i, label := range []string{"", "ca1", "ca2", "ca1", "CA1", "a&b=c+d \"e\""} {
			row := store.Row{Key: fmt.Sprintf("d:%d", i), Label: label, Doc: []byte(`1`)}
			actions = append(actions, store.Action{Verb: store.Add, Row: row})
		}
		s.mustCommit(actions...)
		for _, test := range []struct {
			labels []string
			limit  int
			want   []string
		}{
			{nil, 9, []string{"d:0", "d:1", "d:2", "d:3", "d:4", "d:5"}},
			{[]string{}, 2, []string{"d:0", "d:1"}},
			{[]string{""}, 9, []string{"d:0"}},
			{[]string{"ca1"}, 9, []string{"d:1", "d:3"}},
			{[]string{"ca1"}, 1, []string{"d:1"}},
			{[]string{"ca2", "ca1"}, 9, []string{"d:1", "d:2", "d:3"}},
			{[]string{"ca2", "ca1"}, 2, []string{"d:1", "d:2"}},
			{[]string{"a&b=c+d \"e\"", ""}, 9, []string{"d:0", "d:5"}},
			{[]string{"ca3"}, 9, []string{}},
			{[]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "CA1"}, 9, []string{"d:4"}},
		} {
			rows := s.mustScan(store.Range{From: "d:", To: "d;", Labels: test.labels, Limit: test.limit})
			if diff := cmp.Diff(test.want, keysOf(rows)); diff != "" {
				s.Errorf("labels %q, limit %d (-want +got):\n%s", test.labels, test.limit, diff)
			}
		}
		for _, row := range s.mustScan(store.Range{From: "d:", To: "d;", Labels: []string{"ca2"}, Limit: 9}) {
			if row.Label != "ca2" || string(row.Doc) != `1` || row.ETag == "" {
				s.Errorf("a scan by label returned %+v", row)
			}
		}
	}},

	{"LongRange", func(s *subject) {
		const rows = 2_100
		for i := range rows / store.MaxActions {
			s.mustCommit(many(fmt.Sprintf("c:%02d:", i), store.MaxActions, `1`)...)
		}
		all := keysOf(s.mustScan(everything(rows + 1)))
		if len(all) != rows || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != rows {
			s.Fatalf("a scan of %d rows returned %d, sorted: %t", rows, len(all), slices.IsSorted(all))
		}
		for _, limit := range []int{1, 999, 1_000, 1_001, 2_000, 2_099, rows} {
			if diff := cmp.Diff(all[:limit], keysOf(s.mustScan(everything(limit)))); diff != "" {
				s.Errorf("scan with limit %d (-want +got):\n%s", limit, diff)
			}
		}
	}},

	{"ImpossibleRanges", func(s *subject) {
		labels := make([]string, store.MaxLabels+1)
		for _, r := range []store.Range{
			{From: "a", To: "b"},
			{From: "a", To: "b", Limit: -1},
			{From: "", To: "b", Limit: 1},
			{From: "a", To: "", Limit: 1},
			{From: "a' or RowKey gt 'a", To: "b", Limit: 1},
			{From: "a", To: "b\x00", Limit: 1},
			{From: "a", To: "b", Limit: 1, Labels: []string{"' or '' eq '"}},
			{From: "a", To: "b", Limit: 1, Labels: labels},
		} {
			_, err := s.Scan(s.Context(), r)
			s.wantRefusal(fmt.Sprintf("scanning %+v", r), err)
		}
	}},
}
