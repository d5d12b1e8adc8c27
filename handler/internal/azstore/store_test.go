package azstore_test

// The contract of stores, on Azurite.

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/scripts/localcloud/azurite"
)

// storage is the Azurite of this package's tests.
var storage *azurite.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// The limit covers an installation from an empty npm cache.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	if storage, err = azurite.Start(ctx, azurite.Config{}); err != nil {
		fmt.Fprintln(os.Stderr, "starting azurite:", err)
		return 1
	}
	code := m.Run()
	if err := storage.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// newName returns a name that no other test uses, fit for a table and a
// container.
func newName() string { return "t" + strings.ToLower(rand.Text()) }

// open returns an empty store; change may alter its configuration.
func open(t *testing.T, change func(*azstore.Config)) *azstore.Store {
	t.Helper()
	cfg := azstore.Config{
		ConnectionString: storage.ConnectionString(),
		VaultID:          newName(),
		Container:        newName(),
	}
	if change != nil {
		change(&cfg)
	}
	store, err := azstore.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.StoreContract(t, func(t *testing.T) store.Store { return open(t, nil) })
}
