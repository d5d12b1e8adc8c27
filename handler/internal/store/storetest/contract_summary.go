package storetest

import (
	"errors"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/store"
)

// signed is a row with all that a row can have. Stores do not look whether its MACs
// are right.
func signed(key string) store.Row {
	return store.Row{
		Key: key, Label: "ca1", Doc: []byte(`{"n":1}`),
		Mac: "1:" + strings.Repeat("a", 32) + ":AbC-_=", Summary: []byte("{\"ü\":\"\U0001F600\"}"), SummaryMac: "1:b:x",
	}
}

// macTests are about a row's MACs, which come back byte for byte.
var macTests = []contractTest{
	{"MACsAsWritten", func(s *subject) {
		s.mustCommit(store.Action{Verb: store.Add, Row: signed("c:a")})
		s.mustCommit(store.Action{Verb: store.Add, Row: signed("c:b")}, add("c:c", `1`))
		want := []store.Row{signed("c:a"), signed("c:b"), {Key: "c:c", Doc: []byte(`1`)}}
		scanned := s.mustScan(everything(3))
		if len(scanned) != len(want) {
			s.Fatalf("a scan returns %q, want 3 rows", keysOf(scanned))
		}
		for i, row := range want {
			row.ETag = scanned[i].ETag
			if diff := cmp.Diff([]store.Row{row, row}, []store.Row{s.mustGet(row.Key), scanned[i]}); diff != "" {
				s.Errorf("row %q as read and as scanned (-want +got):\n%s", row.Key, diff)
			}
		}
	}},

	// What is written is the whole row: the MAC of a document must not stay with
	// another.
	{"MACsAreReplacedWithTheirRow", func(s *subject) {
		for _, verb := range []store.Verb{store.Replace, store.Put} {
			s.mustCommit(store.Action{Verb: store.Put, Row: signed("c:a")})
			s.mustCommit(write(verb, "c:a", s.mustGet("c:a").ETag, `2`))
			s.mustCommit(store.Action{Verb: store.Put, Row: signed("c:b")})
			s.mustCommit(write(verb, "c:b", s.mustGet("c:b").ETag, `2`), put("c:c", `1`))
			for _, key := range []string{"c:a", "c:b"} {
				if row := s.mustGet(key); row.Mac != "" || row.Summary != nil || row.SummaryMac != "" {
					s.Errorf("row %q kept of its predecessor: %q, %q, %q", key, row.Mac, row.Summary, row.SummaryMac)
				}
			}
		}
	}},

	{"LargestMAC", func(s *subject) {
		row := signed("c:a")
		row.Mac, row.SummaryMac = strings.Repeat("m", store.MaxMac), strings.Repeat("n", store.MaxMac)
		s.mustCommit(store.Action{Verb: store.Add, Row: row})
		if got := s.mustGet("c:a"); got.Mac != row.Mac || got.SummaryMac != row.SummaryMac {
			s.Errorf("MACs of %d bytes came back with %d and %d", store.MaxMac, len(got.Mac), len(got.SummaryMac))
		}
	}},

	{"ImpossibleMACs", func(s *subject) {
		for what, change := range map[string]func(*store.Row){
			"too long": func(r *store.Row) { r.Mac = strings.Repeat("m", store.MaxMac+1) },
			"controls": func(r *store.Row) { r.SummaryMac = "1:\n" },
		} {
			row := signed("c:a")
			change(&row)
			_, err := s.Commit(s.Context(), store.Tx{Actions: []store.Action{{Verb: store.Add, Row: row}}})
			s.wantRefusal("adding a row with a MAC: "+what, err)
		}
		s.wantEmpty()
	}},
}

// summaryTests are about a row's summary. It comes back byte for byte, and a row
// that has none is read as it was written.
var summaryTests = []contractTest{
	{"SummaryAsWritten", func(s *subject) {
		for _, summary := range []string{"", `{}`, "{\"a\" : 1.0,\n\"b\":\"<ü \u2028 \U0001F600>\"}", `"` + strings.Repeat("x", store.MaxSummary-2) + `"`} {
			row := store.Row{Key: "c:a", Doc: []byte(`1`), Summary: []byte(summary)}
			s.mustCommit(store.Action{Verb: store.Put, Row: row})
			got, scanned := s.mustGet("c:a"), s.mustScan(everything(1))
			if string(got.Summary) != summary || len(scanned) != 1 || string(scanned[0].Summary) != summary {
				s.Errorf("a summary of %d bytes came back with %d", len(summary), len(got.Summary))
			}
		}
	}},

	{"ImpossibleSummaries", func(s *subject) {
		for what, change := range map[string]func(*store.Row){
			"too long":      func(r *store.Row) { r.Summary = []byte(`"` + strings.Repeat("x", store.MaxSummary-1) + `"`) },
			"not JSON":      func(r *store.Row) { r.Summary = []byte("{") },
			"not UTF-8":     func(r *store.Row) { r.Summary = []byte("\"\xff\"") },
			"read in error": func(r *store.Row) { r.Err = errors.New("not as it was written") },
		} {
			row := signed("c:a")
			change(&row)
			_, err := s.Commit(s.Context(), store.Tx{Actions: []store.Action{{Verb: store.Add, Row: row}}})
			s.wantRefusal("adding a row with: "+what, err)
		}
		s.wantEmpty()
	}},

	{"SummariesAreNotShared", func(s *subject) {
		row := signed("c:a")
		want := string(row.Summary)
		s.mustCommit(store.Action{Verb: store.Add, Row: row})
		copy(row.Summary, "xyz")
		copy(s.mustGet("c:a").Summary, "xyz")
		if got := string(s.mustGet("c:a").Summary); got != want {
			s.Errorf("the summary became %q, want %q", got, want)
		}
	}},
}
