package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/store"
)

// StoreContract tests that a store keeps every sentence of store.Store. open
// returns an empty store of its own for each test; the tests run in parallel.
func StoreContract(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	runContract(t, open, macTests)
	SigningStoreContract(t, open)
}

// SigningStoreContract is StoreContract for a store that makes the MACs of rows
// itself.
func SigningStoreContract(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	runContract(t, open, rowTests, transactionTests, documentTests, summaryTests, rangeTests, blobTests, concurrencyTests)
}

func runContract(t *testing.T, open func(t *testing.T) store.Store, groups ...[]contractTest) {
	t.Helper()
	for _, group := range groups {
		for _, test := range group {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.run(&subject{t, open(t)})
			})
		}
	}
}

type contractTest struct {
	name string
	run  func(*subject)
}

// subject is a store under test. Its must methods end the test on an error.
type subject struct {
	*testing.T
	store.Store
}

func (s *subject) mustCommit(actions ...store.Action) store.ETag {
	s.Helper()
	etag, err := s.Commit(s.Context(), store.Tx{Actions: actions})
	if err != nil {
		s.Fatalf("committing %s: %v", describe(actions), err)
	}
	return etag
}

func (s *subject) mustGet(key string) store.Row {
	s.Helper()
	row, err := s.Get(s.Context(), key)
	if err != nil {
		s.Fatalf("getting row %q: %v", key, err)
	}
	return row
}

func (s *subject) mustScan(r store.Range) []store.Row {
	s.Helper()
	rows, err := s.Scan(s.Context(), r)
	if err != nil {
		s.Fatalf("scanning %+v: %v", r, err)
	}
	return rows
}

// wantConflict commits actions that must fail on the row key.
func (s *subject) wantConflict(key string, actions ...store.Action) {
	s.Helper()
	etag, err := s.Commit(s.Context(), store.Tx{Actions: actions})
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) || conflict.Key != key || etag != "" {
		s.Errorf("committing %s: got %q, %v; want a conflict on row %q", describe(actions), etag, err, key)
	}
}

// wantRefused commits actions that the store must refuse as impossible.
func (s *subject) wantRefused(actions ...store.Action) {
	s.Helper()
	_, err := s.Commit(s.Context(), store.Tx{Actions: actions})
	s.wantRefusal(fmt.Sprintf("committing %s", describe(actions)), err)
}

// wantRefusal demands an error that no change of the store's state can mend.
func (s *subject) wantRefusal(doing string, err error) {
	s.Helper()
	var conflict *store.ConflictError
	switch {
	case err == nil:
		s.Errorf("%s: no error, want a refusal", doing)
	case errors.As(err, &conflict), errors.Is(err, store.ErrNotFound), isUnavailable(err):
		s.Errorf("%s: got %v, want a refusal", doing, err)
	}
}

func isUnavailable(err error) bool { return errors.Is(err, store.ErrUnavailable) }

func (s *subject) wantNotFound(doing string, err error) {
	s.Helper()
	if !errors.Is(err, store.ErrNotFound) {
		s.Errorf("%s: got %v, want ErrNotFound", doing, err)
	}
}

// wantRow demands that the row is there with this label and document.
func (s *subject) wantRow(key, label, doc string) {
	s.Helper()
	row := s.mustGet(key)
	got, want := [3]string{row.Key, row.Label, string(row.Doc)}, [3]string{key, label, doc}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("row %q (-want +got):\n%s", key, diff)
	}
	if row.ETag == "" {
		s.Errorf("row %q comes without its ETag", key)
	}
}

func (s *subject) wantNoRow(key string) {
	s.Helper()
	_, err := s.Get(s.Context(), key)
	s.wantNotFound(fmt.Sprintf("getting row %q", key), err)
}

// wantEmpty demands that no test's row is there.
func (s *subject) wantEmpty() {
	s.Helper()
	if rows := s.mustScan(everything(1)); len(rows) != 0 {
		s.Errorf("the store holds %q, want nothing", keysOf(rows))
	}
}

func everything(limit int) store.Range { return store.Range{From: " ", To: "~", Limit: limit} }

func add(key, doc string) store.Action { return write(store.Add, key, "", doc) }
func put(key, doc string) store.Action { return write(store.Put, key, "", doc) }
func replace(key string, etag store.ETag, doc string) store.Action {
	return write(store.Replace, key, etag, doc)
}

func write(verb store.Verb, key string, etag store.ETag, doc string) store.Action {
	return store.Action{Verb: verb, Row: store.Row{Key: key, ETag: etag, Doc: []byte(doc)}}
}

func remove(key string) store.Action {
	return store.Action{Verb: store.Remove, Row: store.Row{Key: key}}
}

func del(key string, etag store.ETag) store.Action {
	return store.Action{Verb: store.Delete, Row: store.Row{Key: key, ETag: etag}}
}

// describe names the actions, not their documents, for traces and messages.
func describe(actions []store.Action) string {
	const most = 8
	var b strings.Builder
	for i, a := range actions {
		if i == most {
			fmt.Fprintf(&b, ", and %d more", len(actions)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", verbs[a.Verb], a.Row.Key)
	}
	return b.String()
}

var verbs = map[store.Verb]string{store.Add: "add", store.Replace: "replace", store.Put: "put", store.Delete: "delete", store.Remove: "remove"}

func keysOf(rows []store.Row) []string {
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = row.Key
	}
	return keys
}

// cancelled is a context that has ended.
func cancelled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
