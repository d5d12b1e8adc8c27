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

// TestMigrate: rows without MACs in real storage count from the one command to the
// other.
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
	for _, step := range []struct {
		flag, says string
		counts     bool
	}{
		{"-finish", "not found", false},
		{"-accept-unsigned", "count for a day", true},
		{"-accept-unsigned", "count for a day", true},
		{"-finish", "count no more", false},
		{"-finish", "count no more", false},
	} {
		var out bytes.Buffer
		says := ""
		if err := run(ctx, []string{"migrate", step.flag}, terminal{getenv, strings.NewReader(""), &out}); err != nil {
			says = err.Error()
		}
		if says += out.String(); !strings.Contains(says, step.says) {
			t.Errorf("migrate %s: %q, want %q in it", step.flag, says, step.says)
		}
		if step.says == "not found" {
			continue // a process would adopt, in development
		}
		s, err := settings.ParseState(getenv)
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.OpenBackend(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Store.Get(ctx, "i:ca"); (err == nil) != step.counts || err != nil && !errors.Is(err, store.ErrNotAuthentic) {
			t.Errorf("after migrate %s a row without a MAC: %v", step.flag, err)
		}
	}
}
