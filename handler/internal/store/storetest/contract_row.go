package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/certwright/certwright/handler/internal/store"
)

// rowTests are about one action on one row.
var rowTests = []contractTest{
	{"GetMissing", func(s *subject) { s.wantNoRow("c:a") }},

	{"AddFree", func(s *subject) {
		s.mustCommit(store.Action{Verb: store.Add, Row: store.Row{Key: "c:a", Label: "ca1", Doc: []byte(`{"n":1}`)}})
		s.wantRow("c:a", "ca1", `{"n":1}`)
	}},

	{"AddTaken", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		s.wantConflict("c:a", add("c:a", `2`))
		s.wantRow("c:a", "", `1`)
	}},

	{"ReplaceCurrent", func(s *subject) {
		s.mustCommit(store.Action{Verb: store.Add, Row: store.Row{Key: "c:a", Label: "ca1", Doc: []byte(`1`)}})
		s.mustCommit(replace("c:a", s.mustGet("c:a").ETag, `2`))
		s.wantRow("c:a", "", `2`)
	}},

	{"ReplaceStale", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		stale := s.mustGet("c:a").ETag
		s.mustCommit(put("c:a", `2`))
		s.wantConflict("c:a", replace("c:a", stale, `3`))
		s.wantRow("c:a", "", `2`)
	}},

	// A replace must not bring a row back (the SDK's update without If-Match would).
	{"ReplaceDeleted", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		stale := s.mustGet("c:a").ETag
		s.mustCommit(del("c:a", stale))
		s.wantConflict("c:a", replace("c:a", stale, `2`))
		s.wantNoRow("c:a")
	}},

	{"ReplaceOfAnotherLife", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		stale := s.mustGet("c:a").ETag
		s.mustCommit(remove("c:a"))
		s.mustCommit(add("c:a", `1`))
		s.wantConflict("c:a", replace("c:a", stale, `2`))
	}},

	{"PutFreeAndTaken", func(s *subject) {
		s.mustCommit(put("c:a", `1`))
		s.wantRow("c:a", "", `1`)
		s.mustCommit(put("c:a", `2`))
		s.wantRow("c:a", "", `2`)
	}},

	{"DeleteCurrent", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		if etag := s.mustCommit(del("c:a", s.mustGet("c:a").ETag)); etag != "" {
			s.Errorf("deleting returned ETag %q, want none", etag)
		}
		s.wantNoRow("c:a")
	}},

	{"DeleteStale", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		stale := s.mustGet("c:a").ETag
		s.mustCommit(replace("c:a", stale, `2`))
		s.wantConflict("c:a", del("c:a", stale))
		s.wantRow("c:a", "", `2`)
	}},

	{"DeleteMissing", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		etag := s.mustGet("c:a").ETag
		s.mustCommit(remove("c:a"))
		s.wantConflict("c:a", del("c:a", etag))
	}},

	{"RemovePresent", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		s.mustCommit(remove("c:a"))
		s.wantNoRow("c:a")
	}},

	{"RemoveMissing", func(s *subject) { s.wantConflict("c:a", remove("c:a")) }},

	{"ETagOfSingleWrite", func(s *subject) {
		seen := map[store.ETag]bool{}
		check := func(doing string, etag store.ETag) store.ETag {
			if read := s.mustGet("c:a").ETag; etag == "" || etag != read {
				s.Errorf("%s returned ETag %q, a read says %q", doing, etag, read)
			}
			if seen[etag] {
				s.Errorf("%s returned ETag %q for the second time", doing, etag)
			}
			seen[etag] = true
			return etag
		}
		etag := check("add", s.mustCommit(add("c:a", `1`)))
		for range 20 { // the same document again is a new version all the same
			check("replace", s.mustCommit(replace("c:a", etag, `2`)))
			check("put", s.mustCommit(put("c:a", `2`)))
			etag = s.mustGet("c:a").ETag
		}
		s.mustCommit(del("c:a", etag))
	}},

	{"ETagOfScan", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		rows := s.mustScan(everything(1))
		if len(rows) != 1 || rows[0].ETag != s.mustGet("c:a").ETag {
			s.Errorf("a scan returns %+v, with another ETag than a read", rows)
		}
	}},

	{"ReplaceAndDeleteNeedAnETag", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		s.wantRefused(replace("c:a", "", `2`))
		s.wantRefused(del("c:a", ""))
		s.wantRow("c:a", "", `1`)
	}},

	{"UnknownVerb", func(s *subject) {
		s.wantRefused(write(0, "c:a", "", `1`))
		s.wantRefused(write(store.Remove+1, "c:a", "", `1`))
		s.wantEmpty()
	}},

	{"KeyCharacters", func(s *subject) {
		good := []string{"!", "c:a", "v:a-b:0123456789abcdef", "d:0:2026-01-02T03.04.05.678Z:a:due", `a b"$&()*+,-.:;<=>@[]^_{|}~`, "A", "a", strings.Repeat("k", store.MaxKey)}
		for i, key := range good {
			doc := fmt.Sprint(i)
			s.mustCommit(add(key, doc))
			s.wantRow(key, "", doc)
			etag := s.mustCommit(replace(key, s.mustGet(key).ETag, doc))
			s.mustCommit(replace(key, etag, doc), add("other:"+key[:1], doc))
			s.wantRow(key, "", doc)
			s.mustCommit(del(key, s.mustGet(key).ETag), remove("other:"+key[:1]))
			s.wantNoRow(key)
		}
	}},

	{"ImpossibleKeys", func(s *subject) {
		for _, key := range []string{"", "a/b", `a\b`, "a#b", "a?b", "a'b", "a%62", "a\nb", "a\x7fb", "ä", "a\x00", strings.Repeat("k", store.MaxKey+1)} {
			s.wantRefused(add(key, `1`))
			_, err := s.Get(s.Context(), key)
			s.wantRefusal(fmt.Sprintf("getting row %q", key), err)
		}
		s.wantEmpty()
	}},

	{"ImpossibleLabels", func(s *subject) {
		for _, label := range []string{"a'b", "a\nb", "ä", strings.Repeat("l", store.MaxKey+1)} {
			s.wantRefused(store.Action{Verb: store.Add, Row: store.Row{Key: "c:a", Label: label, Doc: []byte(`1`)}})
		}
		s.wantEmpty()
	}},

	{"EndedContext", func(s *subject) {
		s.mustCommit(add("c:a", `1`))
		ended := cancelled(s.Context())
		wantEnded := func(doing string, err error) {
			if !errors.Is(err, context.Canceled) || !isUnavailable(err) {
				s.Errorf("%s with an ended context: %v, want unavailable because of context.Canceled", doing, err)
			}
		}
		_, err := s.Get(ended, "c:a")
		wantEnded("get", err)
		_, err = s.Scan(ended, everything(1))
		wantEnded("scan", err)
		_, err = s.Commit(ended, store.Tx{Actions: []store.Action{put("c:a", `2`)}})
		wantEnded("commit of one action", err)
		_, err = s.Commit(ended, store.Tx{Actions: []store.Action{put("c:a", `2`), put("c:b", `2`)}})
		wantEnded("commit of two actions", err)
		wantEnded("put blob", s.PutBlob(ended, "a/1.pem", []byte("pem")))
		_, err = s.GetBlob(ended, "a/1.pem")
		wantEnded("get blob", err)
		wantEnded("delete blob", s.DeleteBlob(ended, "a/1.pem"))
		s.wantRow("c:a", "", `1`)
	}},
}
