package store_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/certwright/certwright/handler/internal/store"
)

// TestSchemas: who may read a document, and who may rewrite it.
func TestSchemas(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]struct{ read, write bool }{
		`{"schema":1,"name":"a"}`:           {true, true},
		`{"schema":2,"name":"a"}`:           {true, true},
		`{"name":"a"}`:                      {true, true},
		`{"schema":2,"write":2,"name":"a"}`: {true, true},
		`{"schema":2,"write":3,"name":"a"}`: {true, false},
		`{"name":"a","write":3,"schema":1}`: {true, false},
		`{"schema":3,"name":"a"}`:           {false, false},
		`{"name":"a","schema":11}`:          {false, false},
	} {
		row := store.Row{Key: "c:a", Doc: []byte(doc)}
		var into struct{ Name string }
		for what, got := range map[string]struct {
			err error
			may bool
		}{
			"reading":   {store.Decode(row, &into), want.read},
			"rewriting": {store.CheckWrite(row), want.write},
		} {
			if got.may != (got.err == nil) || !got.may && !errors.Is(got.err, store.ErrNewer) {
				t.Errorf("%s %s: %v", what, doc, got.err)
			}
		}
	}
	for _, doc := range []string{``, `[]`, `{"schema":"1"}`, `{"schema":2,"name":`} {
		err := store.Decode(store.Row{Key: "c:a", Doc: []byte(doc)}, new(struct{ Name string }))
		if err == nil || errors.Is(err, store.ErrNewer) {
			t.Errorf("reading %q: %v", doc, err)
		}
	}
	broken := store.Row{Key: "c:a", Doc: []byte(`{"schema":2,"name":"a"}`), Err: store.ErrNotAuthentic}
	if err := store.Decode(broken, new(struct{})); !errors.Is(err, store.ErrNotAuthentic) {
		t.Errorf("reading what is not authentic: %v", err)
	}
}

// TestNewRowHasOwnSchema: a document is written as one of this program, whatever it
// was read as.
func TestNewRowHasOwnSchema(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"schema":1,"name":"a"}`:         `{"schema":2,"name":"a"}`,
		`{"schema":2,"name":"a"}`:         `{"schema":2,"name":"a"}`,
		`{"schema":1}`:                    `{"schema":2}`,
		`{"schema":12,"in":{"schema":1}}`: `{"schema":2,"in":{"schema":1}}`,
		`{"name":"a","in":{"schema":1}}`:  `{"name":"a","in":{"schema":1}}`,
	} {
		if got := store.NewRow("c:a", "label", json.RawMessage(doc)); string(got.Doc) != want || got.Key != "c:a" || got.Label != "label" {
			t.Errorf("the row of %s is %+v", doc, got)
		}
	}
}
