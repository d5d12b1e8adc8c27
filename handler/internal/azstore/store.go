// Package azstore keeps a vault in Azure Storage: its rows in one partition of a
// table, its chains in a blob container, the CRLs of its private CAs in another. It
// implements store.Store.
//
// # Rows
//
//	PartitionKey  the vault's id, the same for all its rows
//	RowKey        store.Row.Key
//	Label         store.Row.Label, empty or not
//	Doc Doc1 ...  store.Row.Doc, in parts of at most 32,000 UTF-16 units
//	Mac           store.Row.Mac; this and the next two only where they are not empty
//	Summary       store.Row.Summary
//	SummaryMac    store.Row.SummaryMac
//
// # Lateness
//
// The SDK repeats a request that got no answer, or one that says "later", twice.
// What a method was asked to do can therefore happen up to [Lateness] after the
// call, and a change that the first try made can meet itself in the second: a
// Replace or Delete then reports a conflict, an Add that the row is there. The
// store does not hide this, since only the vault can tell its own row from
// another's, by the write id in it.
package azstore

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/certwright/certwright/handler/internal/store"
)

// How the SDK repeats requests. A service that asks for a longer pause than
// maxRetryDelay gets no second try.
const (
	tryTimeout    = 10 * time.Second
	maxRetries    = 2
	maxRetryDelay = 2 * time.Second

	// Lateness is how long after a call its effect may appear, if the clocks
	// of this machine run and the network loses nothing it keeps for longer.
	Lateness = (maxRetries+1)*tryTimeout + maxRetries*maxRetryDelay
)

// Config says where a vault is kept. It needs either ConnectionString or both
// endpoints and a Credential.
type Config struct {
	// TableEndpoint and BlobEndpoint are the account's service URLs, such as
	// https://account.table.core.windows.net.
	TableEndpoint, BlobEndpoint string
	// Credential gets the tokens. It needs the roles Storage Table Data
	// Contributor and Storage Blob Data Contributor.
	Credential azcore.TokenCredential
	// ConnectionString holds endpoints and a key, or is
	// UseDevelopmentStorage=true. It is accepted for an emulator on this
	// machine only, because whoever has an account's key has the whole account.
	ConnectionString string
	// VaultID is the partition. It must never change, and does not depend on
	// the vault's URL.
	VaultID string
	// Table is the table's name; empty: vault.
	Table string
	// Container is the name of the blob container for chains; empty: chains.
	Container string
	// CRLContainer is the name of the one for CRLs; empty: crls.
	CRLContainer string
	// HTTPClient sends the requests; nil: one that uses no proxy.
	HTTPClient *http.Client
	// Log gets what an operator should know; nil: nobody.
	Log *slog.Logger
}

// Store is a vault in Azure Storage, for use by any number of goroutines.
type Store struct {
	vaultID string
	table   *aztables.Client
	chains  *container.Client
	crls    *container.Client
	log     *slog.Logger
}

var _ store.Store = (*Store)(nil)

var (
	tableName     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{2,62}$`)
	containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)
)

// Open returns the store. It sends nothing yet: the table and the container are
// created when the first write misses them.
func Open(cfg Config) (*Store, error) {
	if cfg.Table == "" {
		cfg.Table = "vault"
	}
	if cfg.Container == "" {
		cfg.Container = "chains"
	}
	if cfg.CRLContainer == "" {
		cfg.CRLContainer = "crls"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = newHTTPClient()
	}
	if !tableName.MatchString(cfg.Table) {
		return nil, fmt.Errorf("opening the store: %q is not a table name", cfg.Table)
	}
	for _, name := range []string{cfg.Container, cfg.CRLContainer} {
		if len(name) > 63 || !containerName.MatchString(name) {
			return nil, fmt.Errorf("opening the store: %q is not a container name", name)
		}
	}
	if err := store.CheckKey(cfg.VaultID); err != nil {
		return nil, fmt.Errorf("opening the store: vault id: %w", err)
	}
	s := &Store{vaultID: cfg.VaultID, log: cfg.Log}
	if err := s.connect(cfg); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return s, nil
}

// withTable runs a write, and once more if it had to create the table first.
// A table that is missing has been changed by nobody.
func (s *Store) withTable(ctx context.Context, write func() error) error {
	err := write()
	if failureOf(err).code != string(aztables.TableNotFound) {
		return err
	}
	_, err = s.table.CreateTable(ctx, nil)
	if err != nil && failureOf(err).code != string(aztables.TableAlreadyExists) {
		return err
	}
	s.log.InfoContext(ctx, "created the table that was missing")
	return write()
}

// withContainer is withTable for the blobs of a container.
func (s *Store) withContainer(ctx context.Context, blobs *container.Client, write func() error) error {
	err := write()
	if failureOf(err).code != string(bloberror.ContainerNotFound) {
		return err
	}
	_, err = blobs.Create(ctx, nil)
	if err != nil && failureOf(err).code != string(bloberror.ContainerAlreadyExists) {
		return err
	}
	s.log.InfoContext(ctx, "created the blob container that was missing")
	return write()
}
