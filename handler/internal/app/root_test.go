package app

// A root that is replaced, from the command's call to the end.

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/root"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/scripts/localcloud/azurite"
)

// TestNewRootInTicks: a tick of the app brings everything in real storage under a new
// root.
func TestNewRootInTicks(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	storage, err := azurite.Start(ctx, azurite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Stop()
	changes := map[string]string{"CERTWRIGHT_STORAGE_CONNECTION_STRING": storage.ConnectionString(), "CERTWRIGHT_KEK_FILE": settingstest.KEK(t)}
	rows, err := azstore.Open(azstore.Config{ConnectionString: storage.ConnectionString(), VaultID: "vault"})
	if err != nil {
		t.Fatal(err)
	}
	under := func(id string) (keys []string) {
		t.Helper()
		all, err := rows.Scan(ctx, store.Range{From: " ", To: "~", Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if slices.Contains(root.RootsOf(r), id) {
				keys = append(keys, r.Key)
			}
		}
		return keys
	}
	a, _ := start(t, changes)
	obtain(t, a, "Test")
	keys, err := a.root.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	earlier := keys.Current()
	if n := len(under(earlier)); n < 4 {
		t.Errorf("only %d rows are under the root", n)
	}
	id, err := a.root.Rotate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := start(t, changes)
	if _, err := b.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	if left, now := under(earlier), under(id); len(left) != 0 || len(now) < 4 {
		t.Errorf("after a tick %v are under the earlier root and %v under the new one", left, now)
	}
}
