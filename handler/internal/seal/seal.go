// Package seal encrypts private keys, issuer credentials and backups for
// storage (envelope encryption).
//
// Every object is encrypted with AES-256-GCM under a data encryption key (DEK)
// of its own, and the DEK is wrapped by a key encryption key ([KEK]) that never
// touches storage: a file on a developer's machine ([FileKEK]) or a key in
// Azure Key Vault ([KeyVaultKEK]). What is stored is
//
//	 0      1       3           3+n     5+n           5+n+m      17+n+m
//	┌──────┬───────┬───────────┬───────┬─────────────┬──────────┬─────────────────────┐
//	│ 0x01 │ n     │ KEK id    │ m     │ wrapped DEK │ nonce    │ ciphertext, 16-byte │
//	│      │ (u16) │ (n bytes) │ (u16) │ (m bytes)   │ (12)     │ GCM tag             │
//	└──────┴───────┴───────────┴───────┴─────────────┴──────────┴─────────────────────┘
//
// with big-endian lengths. The first byte is the format's version. The KEK id is
// the full id of the wrapping key, its version included, so objects sealed
// before a rotation still say which key opens them.
//
// The additional authenticated data names the object: the text
// "certwright/seal/v1", then vault id, kind, name and id, each preceded by its
// length (u32). A sealed value that is moved to another row therefore does not
// open. The KEK id and the wrapped DEK are left out of it, so that a DEK can be
// wrapped again under a new KEK without touching the ciphertext; they need no
// tag of their own, because any other DEK fails the tag of the ciphertext.
//
// A Key Vault KEK wraps with its public half. Sealing then keeps a value secret
// and tied to its row, but does not prove who sealed it: whoever may write to
// storage and read that public key can put a value of their own in its place.
package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxPlaintext is the size in bytes of the largest value that can be sealed: a
// certificate backup with its whole history.
const MaxPlaintext = 32 << 20

const (
	dekSize   = 32 // AES-256
	nonceSize = 12
	tagSize   = 16
)

var (
	// ErrFormat says that a stored value is not of a format that this version
	// reads: damaged, or written by a newer version.
	ErrFormat = errors.New("not a sealed value of a known format")

	// ErrUnknownKEK says that a value was sealed under a KEK other than the
	// configured one, or under a version of it that no longer exists.
	ErrUnknownKEK = errors.New("unknown key encryption key")

	// ErrRefused says that a value or its wrapped key failed authentication: it
	// was altered, or belongs to another object.
	ErrRefused = errors.New("sealed value failed authentication")

	// ErrUnavailable says that the KEK cannot be used now (its vault cannot be
	// reached, throttles, or denies access, or the key is disabled). Nothing is
	// lost; the same call may succeed later.
	ErrUnavailable = errors.New("key encryption key is unavailable")
)

// A KEK is a key encryption key: it wraps and unwraps DEKs. Its methods may be
// called concurrently.
type KEK interface {
	// Wrap encrypts dek and returns the result together with the full id of the
	// key that unwraps it, at most 512 bytes. random supplies whatever randomness
	// the wrapping needs.
	Wrap(ctx context.Context, random io.Reader, dek []byte) (id string, wrapped []byte, err error)

	// Unwrap decrypts a wrapped DEK. The id and the wrapped key come from storage
	// and are not trusted. The caller must not change the returned slice. Errors
	// wrap ErrUnknownKEK, ErrRefused or ErrUnavailable.
	Unwrap(ctx context.Context, id string, wrapped []byte) (dek []byte, err error)
}

// Config holds what a Sealer is made of.
type Config struct {
	// VaultID identifies the vault that sealed values belong to. It is part of
	// every value's authenticated data, hence permanent: an identifier, never the
	// vault's URL.
	VaultID string

	// KEK wraps the DEKs.
	KEK KEK

	// Rand supplies DEKs and nonces and must be safe for concurrent use.
	// Nil means crypto/rand.
	Rand io.Reader
}

// A Sealer encrypts and decrypts the secrets of one vault. It may be used
// concurrently.
type Sealer struct {
	vaultID string
	kek     KEK
	random  io.Reader
}

// New returns a Sealer. It makes no calls to the KEK.
func New(cfg Config) (*Sealer, error) {
	if cfg.VaultID == "" {
		return nil, errors.New("sealing needs a vault id")
	}
	if cfg.KEK == nil {
		return nil, errors.New("sealing needs a key encryption key")
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &Sealer{vaultID: cfg.VaultID, kek: cfg.KEK, random: cfg.Rand}, nil
}

// Seal encrypts plaintext and binds the result to the object that kind ("key",
// "credential", "backup"), name and id describe. Names are compared byte by
// byte: callers pass them in lower case. Errors never hold any of the plaintext.
func (s *Sealer) Seal(ctx context.Context, kind, name, id string, plaintext []byte) ([]byte, error) {
	sealed, err := s.seal(ctx, s.label(kind, name, id), plaintext)
	if err != nil {
		return nil, fmt.Errorf("sealing %s of %q: %w", kind, name, err)
	}
	return sealed, nil
}

// Open decrypts a value that Seal made for the same vault, kind, name and id.
// Errors wrap ErrFormat, ErrUnknownKEK, ErrRefused or ErrUnavailable, or are the
// context's.
func (s *Sealer) Open(ctx context.Context, kind, name, id string, sealed []byte) ([]byte, error) {
	plaintext, err := s.open(ctx, s.label(kind, name, id), sealed)
	if err != nil {
		return nil, fmt.Errorf("opening %s of %q: %w", kind, name, err)
	}
	return plaintext, nil
}

func (s *Sealer) seal(ctx context.Context, label, plaintext []byte) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("%d bytes are more than %d", len(plaintext), MaxPlaintext)
	}
	secret := make([]byte, dekSize+nonceSize)
	if _, err := io.ReadFull(s.random, secret); err != nil {
		return nil, fmt.Errorf("reading randomness: %w", err)
	}
	dek, nonce := secret[:dekSize], secret[dekSize:]
	kekID, wrapped, err := s.kek.Wrap(ctx, s.random, dek)
	if err != nil {
		return nil, err
	}
	header, err := encodeHeader(kekID, wrapped, nonce)
	if err != nil {
		return nil, err
	}
	gcm, err := newGCM(dek)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(header, nonce, plaintext, label), nil
}

func (s *Sealer) open(ctx context.Context, label, sealed []byte) ([]byte, error) {
	env, err := parse(sealed)
	if err != nil {
		return nil, err
	}
	dek, err := s.kek.Unwrap(ctx, env.kekID, env.wrapped)
	if err != nil {
		return nil, err
	}
	if len(dek) != dekSize {
		return nil, fmt.Errorf("data encryption key of %d bytes: %w", len(dek), ErrRefused)
	}
	gcm, err := newGCM(dek)
	if err != nil {
		return nil, err
	}
	plaintext, err := gcm.Open(nil, env.nonce, env.ciphertext, label)
	if err != nil {
		return nil, ErrRefused // the cipher's own error says no more
	}
	return plaintext, nil
}

// label returns the additional authenticated data of an object. Lengths before
// the fields keep ("a", "bc") apart from ("ab", "c").
func (s *Sealer) label(kind, name, id string) []byte {
	aad := []byte("certwright/seal/v1")
	for _, field := range []string{s.vaultID, kind, name, id} {
		aad = binary.BigEndian.AppendUint32(aad, uint32(len(field))) //nolint:gosec // names and ids: some hundred bytes
		aad = append(aad, field...)
	}
	return aad
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
