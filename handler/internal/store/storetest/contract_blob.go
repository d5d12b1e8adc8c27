package storetest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/certwright/certwright/handler/internal/store"
)

// blobTests are about chain blobs.
var blobTests = []contractTest{
	{"BlobThereAndBack", func(s *subject) {
		for _, data := range [][]byte{{}, []byte("-----BEGIN CERTIFICATE-----\n"), {0, 0xff, '\r', '\n'}, bytes.Repeat([]byte("x"), store.MaxBlob)} {
			name := fmt.Sprintf("a-1/%d.pem", len(data))
			if err := s.PutBlob(s.Context(), name, data); err != nil {
				s.Fatal(err)
			}
			s.wantBlob(name, data)
		}
	}},

	{"BlobMissing", func(s *subject) {
		_, err := s.GetBlob(s.Context(), "a/1.pem")
		s.wantNotFound("getting a missing blob", err)
		if err := s.DeleteBlob(s.Context(), "a/1.pem"); err != nil {
			s.Errorf("deleting a missing blob: %v, want no error", err)
		}
	}},

	{"BlobOfAnEarlierTry", func(s *subject) {
		for range 2 {
			if err := s.PutBlob(s.Context(), "a/1.pem", []byte("pem")); err != nil {
				s.Errorf("putting the same blob: %v", err)
			}
		}
		s.wantBlob("a/1.pem", []byte("pem"))
	}},

	// Whatever happens to the second writer, the first one's data stay.
	{"BlobIsNeverOverwritten", func(s *subject) {
		if err := s.PutBlob(s.Context(), "a/1.pem", []byte("first")); err != nil {
			s.Fatal(err)
		}
		_ = s.PutBlob(s.Context(), "a/1.pem", []byte("second"))
		s.wantBlob("a/1.pem", []byte("first"))
	}},

	{"BlobDeleted", func(s *subject) {
		for _, name := range []string{"a/1.pem", "a/2.pem", "b/1.pem"} {
			if err := s.PutBlob(s.Context(), name, []byte(name)); err != nil {
				s.Fatal(err)
			}
		}
		if err := s.DeleteBlob(s.Context(), "a/1.pem"); err != nil {
			s.Fatal(err)
		}
		_, err := s.GetBlob(s.Context(), "a/1.pem")
		s.wantNotFound("getting a deleted blob", err)
		s.wantBlob("a/2.pem", []byte("a/2.pem"))
		s.wantBlob("b/1.pem", []byte("b/1.pem"))
		if err := s.PutBlob(s.Context(), "a/1.pem", []byte("new")); err != nil {
			s.Errorf("putting a deleted blob anew: %v", err)
		}
	}},

	{"BlobsAreNotShared", func(s *subject) {
		data := []byte("pem")
		if err := s.PutBlob(s.Context(), "a/1.pem", data); err != nil {
			s.Fatal(err)
		}
		copy(data, "xyz")
		got, err := s.GetBlob(s.Context(), "a/1.pem")
		if err != nil {
			s.Fatal(err)
		}
		copy(got, "xyz")
		s.wantBlob("a/1.pem", []byte("pem"))
	}},

	{"ImpossibleBlobs", func(s *subject) {
		for _, name := range []string{"", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/.b", "a.", "a b", "a%2fb", "ä", "a\n", `a\b`, "a?b", strings.Repeat("a", store.MaxKey+1)} {
			s.wantRefusal(fmt.Sprintf("putting blob %q", name), s.PutBlob(s.Context(), name, nil))
			_, err := s.GetBlob(s.Context(), name)
			s.wantRefusal(fmt.Sprintf("getting blob %q", name), err)
			s.wantRefusal(fmt.Sprintf("deleting blob %q", name), s.DeleteBlob(s.Context(), name))
		}
		s.wantRefusal("putting a blob that is too large", s.PutBlob(s.Context(), "a/1.pem", make([]byte, store.MaxBlob+1)))
	}},
}

func (s *subject) wantBlob(name string, want []byte) {
	s.Helper()
	got, err := s.GetBlob(s.Context(), name)
	if err != nil {
		s.Errorf("getting blob %q: %v", name, err)
	} else if !bytes.Equal(got, want) {
		s.Errorf("blob %q holds %d bytes, want %d others", name, len(got), len(want))
	}
}
