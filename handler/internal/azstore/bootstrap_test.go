package azstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestNothingIsFoundBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	store := open(t, func(cfg *azstore.Config) { cfg.Table = newName() })
	if _, err := store.Get(t.Context(), "c:a"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("getting a row without a table: %v, want ErrNotFound", err)
	}
	if rows, err := store.Scan(t.Context(), vault.Range{From: "c:", To: "c;", Limit: 1}); err != nil || len(rows) != 0 {
		t.Errorf("scanning without a table: %v, %v, want no rows", rows, err)
	}
	if _, err := store.GetBlob(t.Context(), "a/1.pem"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("getting a blob without a container: %v, want ErrNotFound", err)
	}
	if err := store.DeleteBlob(t.Context(), "a/1.pem"); err != nil {
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
		"put": func(store *azstore.Store, writer int) error {
			_, err := store.Commit(t.Context(), vault.Tx{Actions: []vault.Action{action(vault.Put, fmt.Sprint("c:", writer), `1`)}})
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
	for name, tx := range map[string]vault.Tx{
		"remove":      {Actions: []vault.Action{action(vault.Remove, "c:a", ``)}},
		"replace":     {Actions: []vault.Action{{Verb: vault.Replace, Row: vault.Row{Key: "c:a", ETag: `W/"1"`, Doc: []byte(`1`)}}}},
		"transaction": {Actions: []vault.Action{action(vault.Add, "c:b", `1`), action(vault.Remove, "c:a", ``)}},
	} {
		store := open(t, func(cfg *azstore.Config) { cfg.Table = newName() })
		_, err := store.Commit(t.Context(), tx)
		var conflict *vault.ConflictError
		if !errors.As(err, &conflict) || conflict.Key != "c:a" {
			t.Errorf("%s: %v, want a conflict on row %q", name, err, "c:a")
		}
	}
}
