package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/scripts/localcloud/azurite"
)

// TestMigrate: rows without MACs in real storage count from the command to the end
// of the migration.
func TestMigrate(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	storage, err := azurite.Start(ctx, azurite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Stop()
	rows, err := azstore.Open(azstore.Config{ConnectionString: storage.ConnectionString(), VaultID: "vault"})
	if err != nil {
		t.Fatal(err)
	}
	var tx store.Tx
	tx.Put(store.Row{Key: "i:ca", Doc: []byte(`{"schema":1,"name":"ca"}`)})
	if _, err := rows.Commit(ctx, tx); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{"CERTWRIGHT_STORAGE_CONNECTION_STRING": storage.ConnectionString(), "CERTWRIGHT_KEK_FILE": settingstest.KEK(t)}
	getenv := func(name string) string { return environment[name] }
	open := func() settings.Backend {
		t.Helper()
		s, err := settings.ParseState(getenv)
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.OpenBackend(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for range 2 {
		var out bytes.Buffer
		if err := run(ctx, []string{"migrate", "-accept-unsigned"}, terminal{getenv, strings.NewReader(""), &out}); err != nil || !strings.Contains(out.String(), "count for a day") {
			t.Fatalf("migrate -accept-unsigned: %v, %q", err, &out)
		}
		if _, err := open().Store.Get(ctx, "i:ca"); err != nil {
			t.Errorf("a row without a MAC, once it is accepted: %v", err)
		}
	}
	if err := open().Root.EndAdoption(ctx); err != nil { // as the end of a migration does
		t.Fatal(err)
	}
	if _, err := open().Store.Get(ctx, "i:ca"); !errors.Is(err, store.ErrNotAuthentic) {
		t.Errorf("a row without a MAC, after the migration: %v", err)
	}
}
