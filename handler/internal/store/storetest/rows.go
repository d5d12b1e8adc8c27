package storetest

import (
	"fmt"
	"testing"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

// Show is the contents as key=document.
func Show(c memory.Contents) string {
	s := ""
	for _, row := range c.Rows {
		s += fmt.Sprintf("%s=%s ", row.Key, row.Doc)
	}
	for name, data := range c.Blobs {
		s += fmt.Sprintf("%s=%s ", name, data)
	}
	return s
}

// Action is a change to the row with this key, to this document.
func Action(verb store.Verb, key, doc string) store.Action {
	return store.Action{Verb: verb, Row: store.Row{Key: key, Doc: []byte(doc)}}
}

// MustCommit commits a transaction, and ends the test if that fails.
func MustCommit(t *testing.T, st store.Store, actions ...store.Action) {
	t.Helper()
	if _, err := st.Commit(t.Context(), store.Tx{Actions: actions}); err != nil {
		t.Fatal(err)
	}
}
