package settings

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/keyring"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/root"
	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/signed"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// A Backend is where the program keeps its state, and what it acts with.
type Backend struct {
	// Store keeps the vault's rows and blobs, and believes nobody else's rows.
	Store store.Store

	// Root keeps the secret of which all keys are derived.
	Root *root.Keeper

	// CRLs keeps the CRLs of private CAs, which their CAs sign.
	CRLs store.CRLs

	// Seal and Open are those of vault.Config.
	Seal, Open func(ctx context.Context, kind, name, id string, data []byte) ([]byte, error)

	// RequestKey is that of vault.Config.
	RequestKey func(ctx context.Context) ([]byte, error)

	// LocalKEK: Open needs no network besides storage.
	LocalKEK bool

	// Credential is the app's identity in Azure; nil where nothing needs it.
	Credential azcore.TokenCredential

	// Log has what providers do.
	Log *slog.Logger
}

// sealing is the form of Seal and Open.
type sealing func(ctx context.Context, kind, name, id string, data []byte) ([]byte, error)

// OpenBackend makes the backend of the settings. It touches no network.
func (s Settings) OpenBackend(log *slog.Logger) (Backend, error) {
	credential, err := s.azureCredential()
	if err != nil {
		return Backend{}, err
	}
	storage := s.storage()
	storage.Log = log
	if s.StorageConnectionString == "" { // which has a credential of its own
		storage.Credential = credential
	}
	rows, err := azstore.Open(storage)
	if err != nil {
		return Backend{}, err
	}
	kek, err := s.keyEncryptionKey(credential)
	if err != nil {
		return Backend{}, err
	}
	keeper, err := root.New(root.Config{Store: rows, KEK: kek, Partition: s.VaultID, Adopt: s.Development(), Log: log})
	if err != nil {
		return Backend{}, err
	}
	signing, err := signed.New(signed.Config{Store: rows, Partition: s.VaultID, Keys: keeper.Keys, Refresh: keeper.Refresh})
	if err != nil {
		return Backend{}, err
	}
	sealer, err := seal.New(seal.Config{VaultID: s.VaultID, KEK: kek, Keys: keeper.Keys})
	if err != nil {
		return Backend{}, err
	}
	return Backend{
		Store: signing,
		Root:  keeper,
		CRLs:  rows,
		Seal:  passing(sealer.Seal),
		Open:  passing(sealer.Open),
		RequestKey: func(ctx context.Context) ([]byte, error) {
			keys, err := keeper.Keys(ctx)
			if err != nil {
				return nil, err
			}
			return keys.Request(), nil
		},
		LocalKEK:   s.KEKFile != "",
		Credential: credential,
		Log:        log,
	}, nil
}

// Accounts are the keys that providers keep.
func (b Backend) Accounts() keyring.Ring {
	return keyring.Ring{Store: b.Store, Seal: b.Seal, Open: b.Open}
}

// Challenges are the files by which names are proven.
func (b Backend) Challenges() acme.Challenges { return acme.Challenges{Store: b.Store} }

// azureCredential is the app's identity in Azure; nil where nothing needs it, as
// on one machine.
func (s Settings) azureCredential() (azcore.TokenCredential, error) {
	needed := s.StorageConnectionString == "" || s.KEKFile == ""
	for _, p := range s.Providers {
		needed = needed || p.needsAzure()
	}
	if !needed {
		return nil, nil
	}
	return azidentity.NewDefaultAzureCredential(nil)
}

// passing tells the vault which failures may pass.
func passing(f sealing) sealing {
	return func(ctx context.Context, kind, name, id string, data []byte) ([]byte, error) {
		out, err := f(ctx, kind, name, id, data)
		if errors.Is(err, seal.ErrUnavailable) || errors.Is(err, store.ErrUnavailable) {
			err = &vault.Error{Reason: vault.Unavailable, Err: err}
		}
		return out, err
	}
}

func (s Settings) keyEncryptionKey(credential azcore.TokenCredential) (seal.KEK, error) {
	if s.KEKFile != "" {
		return seal.NewFileKEK(s.KEKFile)
	}
	return seal.NewKeyVaultKEK(seal.KeyVaultConfig{KeyID: s.KEKID, Credential: credential, HTTPClient: DirectClient()})
}

// DirectClient is an HTTP client that takes no proxy from the environment: in a
// developer's shell that proxy leads back to this program.
func DirectClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	return &http.Client{Transport: transport}
}
