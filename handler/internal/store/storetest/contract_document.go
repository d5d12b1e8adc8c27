package storetest

import (
	"fmt"
	"strings"

	"github.com/certwright/certwright/handler/internal/store"
)

// documentTests are about what a row can hold. A document comes back byte for
// byte.
var documentTests = []contractTest{
	{"DocumentAsWritten", func(s *subject) {
		for _, doc := range []string{
			`{}`, `null`, `""`, `0`,
			"{\n\t\"b\" : 1.0,  \"a\": 1e3, \"b\":2}\r\n",
			`"\u00fc \u2028 \ud83d\ude00 \u0000 \" \\ \/"`,
			"\"ü € \u2028 \U0001F600 <>&' \x7f \uFFFD\"",
			`{"Doc":"1","Doc1":"2","Label":"3","PartitionKey":"4","odata.etag":"5","Timestamp@odata.type":"6"}`,
		} {
			s.mustCommit(put("c:a", doc))
			s.wantRow("c:a", "", doc)
			s.mustCommit(put("c:a", doc), put("c:b", doc))
			s.wantRow("c:b", "", doc)
			if rows := s.mustScan(everything(2)); len(rows) != 2 || string(rows[1].Doc) != doc {
				s.Errorf("a scan returns %q, want %q twice", rows, doc)
			}
		}
	}},

	{"DocumentOfAnySize", func(s *subject) {
		// Every length around a column's end, in characters of one, two and
		// four bytes, of which the last takes two UTF-16 units.
		for _, char := range []string{"x", "ü", "\U0001F600"} {
			for _, units := range []int{31_990, 63_990} {
				body := strings.Repeat(char, units/utf16Length(char))
				for pad := range 20 {
					doc := `"` + strings.Repeat("p", pad) + body + `"`
					if len(doc) > store.MaxDoc {
						continue
					}
					s.mustCommit(put("c:a", doc))
					if got := string(s.mustGet("c:a").Doc); got != doc {
						s.Fatalf("document of %d bytes of %q, moved by %d, came back with %d bytes", len(doc), char, pad, len(got))
					}
				}
			}
		}
	}},

	{"LargestDocument", func(s *subject) {
		for _, char := range []string{"x", "ü", "€", "\U0001F600"} {
			doc := `"` + strings.Repeat(char, (store.MaxDoc-2)/len(char)) + `"`
			doc += strings.Repeat(" ", store.MaxDoc-len(doc))
			s.mustCommit(add(fmt.Sprint("c:", len(char)), doc), put("c:z", doc))
			s.wantRow("c:z", "", doc)
			s.wantRefused(put("c:z", doc+" "))
		}
	}},

	// A shorter document must leave nothing of the longer one.
	{"ShorterDocument", func(s *subject) {
		s.mustCommit(add("c:a", `"`+strings.Repeat("x", 200_000)+`"`))
		s.mustCommit(replace("c:a", s.mustGet("c:a").ETag, `"short"`))
		s.wantRow("c:a", "", `"short"`)
	}},

	{"NoDocument", func(s *subject) {
		for _, doc := range []string{"", "{", "{}{}", "nil", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\n\""} {
			s.wantRefused(add("c:a", doc))
			s.wantRefused(add("c:a", doc), add("c:b", `1`))
		}
		s.wantEmpty()
	}},

	{"DocumentsAreNotShared", func(s *subject) {
		doc := []byte(`"abc"`)
		s.mustCommit(store.Action{Verb: store.Add, Row: store.Row{Key: "c:a", Doc: doc}})
		copy(doc, `"xyz"`)
		s.wantRow("c:a", "", `"abc"`)
		copy(s.mustGet("c:a").Doc, `"xyz"`)
		copy(s.mustScan(everything(1))[0].Doc, `"xyz"`)
		s.wantRow("c:a", "", `"abc"`)
	}},
}

func utf16Length(char string) int {
	if len(char) == 4 {
		return 2
	}
	return 1
}
