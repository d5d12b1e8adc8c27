package azstore_test

// Table and container are made by the first write.

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/store"
)

func TestNothingIsFoundBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	st := open(t, func(cfg *azstore.Config) { cfg.Table = newName() })
	if _, err := st.Get(t.Context(), "c:a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("getting a row without a table: %v, want ErrNotFound", err)
	}
	if rows, err := st.Scan(t.Context(), store.Range{From: "c:", To: "c;", Limit: 1}); err != nil || len(rows) != 0 {
		t.Errorf("scanning without a table: %v, %v, want no rows", rows, err)
	}
	if _, err := st.GetBlob(t.Context(), "a/1.pem"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("getting a blob without a container: %v, want ErrNotFound", err)
	}
	if err := st.DeleteBlob(t.Context(), "a/1.pem"); err != nil {
		t.Errorf("deleting a blob without a container: %v", err)
	}
}

// Every kind of write may be the first, and many may be.
func TestFirstWritesCreateTableAndContainer(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(store *azstore.Store, writer int) error{
		"add": func(store *azstore.Store, writer int) error {
			_, err := store.Commit(t.Context(), adds(fmt.Sprint("c:", writer), 1))
			return err
		},
		"put": func(st *azstore.Store, writer int) error {
			_, err := st.Commit(t.Context(), store.Tx{Actions: []store.Action{action(store.Put, fmt.Sprint("c:", writer), `1`)}})
			return err
		},
		"transaction": func(store *azstore.Store, writer int) error {
			_, err := store.Commit(t.Context(), adds(fmt.Sprint("c:", writer), 2))
			return err
		},
		"blob": func(store *azstore.Store, writer int) error {
			return store.PutBlob(t.Context(), fmt.Sprint("a/", writer), []byte("pem"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t, func(cfg *azstore.Config) { cfg.Table = newName() })
			var all sync.WaitGroup
			for writer := range 8 {
				all.Go(func() {
					if err := first(store, writer); err != nil {
						t.Errorf("writer %d: %v", writer, err)
					}
				})
			}
			all.Wait()
		})
	}
}

func TestCreationIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	store := open(t, func(cfg *azstore.Config) {
		cfg.Table = newName()
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	for i := range 2 { // the second finds both there
		if _, err := store.Commit(t.Context(), adds(fmt.Sprint("c:", i), 1)); err != nil {
			t.Fatal(err)
		}
		if err := store.PutBlob(t.Context(), fmt.Sprint("a/", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if table, container := strings.Count(log.String(), "created the table"), strings.Count(log.String(), "created the blob container"); table != 1 || container != 1 {
		t.Errorf("the log tells of %d tables and %d containers, want one each:\n%s", table, container, log.String())
	}
}

// What a first write relies on is looked at after the table was made.
func TestFirstWriteMeetsAConflict(t *testing.T) {
	t.Parallel()
	for name, tx := range map[string]store.Tx{
		"remove":      {Actions: []store.Action{action(store.Remove, "c:a", ``)}},
		"replace":     {Actions: []store.Action{{Verb: store.Replace, Row: store.Row{Key: "c:a", ETag: `W/"1"`, Doc: []byte(`1`)}}}},
		"transaction": {Actions: []store.Action{action(store.Add, "c:b", `1`), action(store.Remove, "c:a", ``)}},
	} {
		st := open(t, func(cfg *azstore.Config) { cfg.Table = newName() })
		_, err := st.Commit(t.Context(), tx)
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.Key != "c:a" {
			t.Errorf("%s: %v, want a conflict on row %q", name, err, "c:a")
		}
	}
}
