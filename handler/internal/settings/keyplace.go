package settings

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/certwright/certwright/handler/internal/keyring"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

// A KeyPlace is where a private CA has its key. Its text says so to people.
type KeyPlace interface {
	fmt.Stringer

	// Find opens the key that belongs to a public key. A place of one key opens
	// that one, whichever it belongs to; a place of many finds none for nil. The
	// error wraps privateca.ErrNoKey when there is none.
	Find(ctx context.Context, public crypto.PublicKey) (crypto.Signer, error)

	// Store brings a key there. It never takes the place of another.
	Store(ctx context.Context, key crypto.Signer) error
}

// KeyPlace is where the CA has its key.
func (c *PrivateCA) KeyPlace(b Backend) (KeyPlace, error) {
	switch {
	case c.KeyID != "" && c.KeyFile == "" && !c.Sealed:
		key, err := privateca.NewKeyVaultKey(privateca.KeyVaultConfig{KeyID: c.KeyID, Credential: b.Credential})
		return keyInVault{key, c.KeyID}, err
	case c.KeyID == "" && c.KeyFile != "" && !c.Sealed:
		return KeyInFile(c.KeyFile), nil
	case c.KeyID == "" && c.KeyFile == "" && c.Sealed:
		return sealedKey{b.Accounts()}, nil
	default:
		return nil, errors.New("set one of keyId, sealed, and keyFile in development")
	}
}

// KeyInFile is the name of a file that holds a key, PEM.
type KeyInFile string

// String says which file it is.
func (f KeyInFile) String() string { return "in the file " + string(f) }

// Find reads the key, whichever public key it belongs to.
func (f KeyInFile) Find(context.Context, crypto.PublicKey) (crypto.Signer, error) {
	text, err := readPrivate(string(f))
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

// maxKeyFile bounds a file with a key, in bytes.
const maxKeyFile = 64 << 10

// readPrivate reads a file that nobody else may read.
func readPrivate(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of the open file: the name may be another's by now
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%q is not a regular file", name)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%q has the mode %04o, which lets others in: it must be 0600", name, info.Mode().Perm())
	}
	return io.ReadAll(io.LimitReader(f, maxKeyFile))
}

// Store writes the key. A file that is there must hold the same key.
func (f KeyInFile) Store(_ context.Context, key crypto.Signer) error {
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

// sealedKey is the place for keys of CAs in storage. They are sealed as the keys
// of accounts at CAs are, and found by their public keys, so that a CA's next key
// leaves the last one where it is.
type sealedKey struct{ accounts keyring.Ring }

func (sealedKey) String() string { return "sealed in storage" }

func (s sealedKey) Find(ctx context.Context, public crypto.PublicKey) (crypto.Signer, error) {
	if public == nil {
		return nil, privateca.ErrNoKey
	}
	at, err := s.at(public)
	if err != nil {
		return nil, err
	}
	return at.Signer(ctx)
}

func (s sealedKey) Store(ctx context.Context, key crypto.Signer) error {
	at, err := s.at(key.Public())
	if err != nil {
		return err
	}
	return at.Store(ctx, key)
}

// at is where the key of a public key is.
func (s sealedKey) at(public crypto.PublicKey) (privateca.SoftwareKey, error) {
	keyID, err := policy.KeyID(public)
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

func (k keyInVault) Find(ctx context.Context, _ crypto.PublicKey) (crypto.Signer, error) {
	return k.key.Signer(ctx)
}

func (k keyInVault) Store(context.Context, crypto.Signer) error {
	return fmt.Errorf("a key for %s is made, or imported, by Key Vault's own tools", k.id)
}
