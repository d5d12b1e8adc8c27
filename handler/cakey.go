package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/certwright/certwright/handler/internal/issuers/privateca"
	"github.com/certwright/certwright/handler/internal/vault"
)

// keyPlace is where a private CA has its key. Its text says so to people.
type keyPlace interface {
	fmt.Stringer

	// find opens the key that belongs to a public key. A place of one key opens
	// that one, whichever it belongs to; a place of many finds none for nil. The
	// error wraps privateca.ErrNoKey when there is none.
	find(ctx context.Context, public crypto.PublicKey) (crypto.Signer, error)

	// store brings a key there. It never takes the place of another.
	store(ctx context.Context, key crypto.Signer) error
}

func (c *privateCAConfig) keyPlace(s surroundings) (keyPlace, error) {
	switch {
	case c.KeyID != "" && c.KeyFile == "" && !c.Sealed:
		key, err := privateca.NewKeyVaultKey(privateca.KeyVaultConfig{KeyID: c.KeyID, Credential: s.credential})
		return keyInVault{key, c.KeyID}, err
	case c.KeyID == "" && c.KeyFile != "" && !c.Sealed:
		return keyInFile(c.KeyFile), nil
	case c.KeyID == "" && c.KeyFile == "" && c.Sealed:
		return sealedKey{s.accounts}, nil
	default:
		return nil, errors.New("set one of keyId, sealed, and keyFile in development")
	}
}

// keyInFile is a file that holds a key, PEM.
type keyInFile string

func (f keyInFile) String() string { return "in the file " + string(f) }

func (f keyInFile) find(context.Context, crypto.PublicKey) (crypto.Signer, error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the CA's key in %q: %w", string(f), privateca.ErrNoKey)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the CA's key: %w", err)
	}
	defer clear(text)
	key, err := privateca.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("reading the CA's key in %q: %w", string(f), err)
	}
	return key, nil
}

func (f keyInFile) store(_ context.Context, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the CA's key: %w", err)
	}
	defer clear(der)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	defer clear(text)
	if err := writeNew(string(f), text, 0o600); err != nil {
		return fmt.Errorf("storing the CA's key: %w", err)
	}
	return nil
}

// writeNew writes a file that must not be there.
func writeNew(name string, content []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// sealedKey is the place for keys of CAs in storage. They are sealed as the keys
// of accounts at CAs are, and found by their public keys, so that a CA's next key
// leaves the last one where it is.
type sealedKey struct{ accounts vault.Accounts }

func (sealedKey) String() string { return "sealed in storage" }

func (s sealedKey) find(ctx context.Context, public crypto.PublicKey) (crypto.Signer, error) {
	if public == nil {
		return nil, privateca.ErrNoKey
	}
	at, err := s.at(public)
	if err != nil {
		return nil, err
	}
	return at.Signer(ctx)
}

func (s sealedKey) store(ctx context.Context, key crypto.Signer) error {
	at, err := s.at(key.Public())
	if err != nil {
		return err
	}
	return at.Store(ctx, key)
}

// at is where the key of a public key is.
func (s sealedKey) at(public crypto.PublicKey) (privateca.SoftwareKey, error) {
	keyID, err := vault.KeyID(public)
	if err != nil {
		return privateca.SoftwareKey{}, err
	}
	id := hex.EncodeToString(keyID)[:32] // as long as those of accounts
	return privateca.SoftwareKey{
		Load: func(ctx context.Context) ([]byte, error) { return s.accounts.Load(ctx, id) },
		Save: func(ctx context.Context, der []byte) error {
			kept, err := s.accounts.Save(ctx, id, der)
			if err == nil && !bytes.Equal(kept, der) {
				err = errors.New("another key is in its place")
			}
			return err
		},
	}, nil
}

// keyInVault is a key that does not leave Azure Key Vault.
type keyInVault struct {
	key *privateca.KeyVaultKey
	id  string
}

func (k keyInVault) String() string { return "in Key Vault, " + k.id }

func (k keyInVault) find(ctx context.Context, _ crypto.PublicKey) (crypto.Signer, error) {
	return k.key.Signer(ctx)
}

func (k keyInVault) store(context.Context, crypto.Signer) error {
	return fmt.Errorf("a key for %s is made, or imported, by Key Vault's own tools", k.id)
}

// keyName is a public key's type for people.
func keyName(public crypto.PublicKey) string {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA on " + key.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA of %d bits", key.N.BitLen())
	default:
		return fmt.Sprintf("%T", public)
	}
}
