package storetest

import (
	"fmt"
	"strings"

	"github.com/certwright/certwright/handler/internal/store"
)

// transactionTests are about several actions together.
var transactionTests = []contractTest{
	{"AllVerbsTogether", func(s *subject) {
		s.mustCommit(add("c:a", `1`), add("d:1", `1`), add("d:2", `1`), add("v:a", `1`))
		etag := s.mustCommit(
			replace("c:a", s.mustGet("c:a").ETag, `2`),
			del("d:1", s.mustGet("d:1").ETag),
			remove("d:2"),
			put("v:a", `2`),
			put("v:b", `2`),
			add("d:3", `2`),
		)
		if etag != "" {
			s.Errorf("a transaction of six actions returned ETag %q, want none", etag)
		}
		for _, key := range []string{"c:a", "v:a", "v:b", "d:3"} {
			s.wantRow(key, "", `2`)
		}
		s.wantNoRow("d:1")
		s.wantNoRow("d:2")
	}},

	{"NewETagsAfterTransaction", func(s *subject) {
		s.mustCommit(add("c:a", `1`), add("c:b", `1`))
		before := s.mustGet("c:a").ETag
		s.mustCommit(replace("c:a", before, `1`), put("c:c", `1`))
		if s.mustGet("c:a").ETag == before {
			s.Error("a transaction that replaced a row left its ETag")
		}
		s.wantConflict("c:a", replace("c:a", before, `2`), put("c:c", `2`))
	}},

	{"NothingOfAFailedTransaction", func(s *subject) {
		s.mustCommit(add("c:a", `1`), add("c:b", `1`), add("c:gone", `1`))
		stale := s.mustGet("c:b").ETag
		gone := s.mustGet("c:gone").ETag
		s.mustCommit(replace("c:b", stale, `2`), remove("c:gone"))
		current := s.mustGet("c:a").ETag

		failing := map[string]store.Action{
			"add of a taken row":      add("c:b", `9`),
			"replace of a stale row":  replace("c:b", stale, `9`),
			"replace of a gone row":   replace("c:gone", gone, `9`),
			"delete of a stale row":   del("c:b", stale),
			"delete of a gone row":    del("c:gone", gone),
			"removal of a gone row":   remove("c:gone"),
			"removal of a row unseen": remove("c:never"),
		}
		for name, bad := range failing {
			good := []store.Action{replace("c:a", current, `9`), add("c:new", `9`), put("c:put", `9`)}
			for at := range len(good) + 1 {
				actions := append(append(append([]store.Action{}, good[:at]...), bad), good[at:]...)
				s.wantConflict(bad.Row.Key, actions...)
			}
			if got := s.mustGet("c:a").ETag; got != current {
				s.Fatalf("%s: the transaction failed and changed another row", name)
			}
			s.wantRow("c:b", "", `2`)
			s.wantNoRow("c:new")
			s.wantNoRow("c:put")
			s.wantNoRow("c:gone")
		}
	}},

	{"RowTwice", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		s.wantRefused(put("c:a", `2`), put("c:a", `3`))
		s.wantRefused(remove("c:a"), add("c:a", `2`))
		s.wantRow("c:a", "", `1`)
	}},

	{"NumberOfActions", func(s *subject) {
		s.wantRefused()
		s.wantRefused(many("c:", store.MaxActions+1, `1`)...)
		s.wantEmpty()
		s.mustCommit(many("c:", store.MaxActions, `1`)...)
		if got := len(s.mustScan(everything(store.MaxActions + 1))); got != store.MaxActions {
			s.Errorf("a transaction of %d actions left %d rows", store.MaxActions, got)
		}
	}},

	{"SizeOfTransaction", func(s *subject) {
		large := `"` + strings.Repeat("x", store.MaxDoc-2) + `"`
		s.wantRefused(many("c:", store.MaxTxBytes/store.MaxDoc, large)...)
		s.wantEmpty()
		s.mustCommit(many("c:", store.MaxTxBytes/store.MaxDoc-1, large)...)
		for i := range store.MaxTxBytes/store.MaxDoc - 1 {
			s.wantRow(fmt.Sprintf("c:%04d", i), "", large)
		}
	}},

	// In the body of a transaction a quote takes two bytes and a '<' six.
	{"SizeOfEscapedTransaction", func(s *subject) {
		quotes := `["` + strings.Repeat(`","`, store.MaxDoc/3-2) + `"]`
		s.wantRefused(many("c:", 12, quotes)...)
		angles := `"` + strings.Repeat("<", store.MaxDoc-2) + `"`
		s.wantRefused(many("c:", 3, angles)...)
		s.wantEmpty()
		s.mustCommit(many("c:", 2, angles)...)
		s.wantRow("c:0001", "", angles)
	}},

	// Rows that are deleted add nothing to the size, whatever they held.
	{"SizeOfDeletion", func(s *subject) {
		large := `"` + strings.Repeat("x", store.MaxDoc-2) + `"`
		s.mustCommit(many("c:0", 10, large)...)
		s.mustCommit(many("c:1", 10, large)...)
		var removals []store.Action
		for _, row := range s.mustScan(everything(20)) {
			removals = append(removals, store.Action{Verb: store.Remove, Row: row})
		}
		s.mustCommit(removals...)
		s.wantEmpty()
	}},
}

// many adds n rows.
func many(prefix string, n int, doc string) []store.Action {
	actions := make([]store.Action, n)
	for i := range actions {
		actions[i] = add(fmt.Sprintf("%s%04d", prefix, i), doc)
	}
	return actions
}
