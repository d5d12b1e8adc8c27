// Package seal encrypts private keys, issuer credentials and backups for storage.
//
// Every value is encrypted with AES-256-GCM under a key of its own, which is derived
// of a key of the installation (package rootkey): sealing and opening ask nobody.
// What is stored is
//
//	 0      1         17       49         61
//	┌──────┬─────────┬────────┬──────────┬─────────────────────┐
//	│ 0x02 │ root id │ salt   │ nonce    │ ciphertext, 16-byte │
//	│      │ (16)    │ (32)   │ (12)     │ GCM tag             │
//	└──────┴─────────┴────────┴──────────┴─────────────────────┘
//
// The first byte is the format's version. The root id says under which root secret
// of the installation the value was sealed. The value's key is HKDF-SHA256 (RFC
// 5869) of the vault's sealing key, with the salt, and the label as info; for a
// backup of the installation's backup key. The label names the object: the text
// "certwright/seal/v2", then vault id, kind, name and id, each preceded by its length
// (u32); of a backup the vault id is empty, since every vault of the installation
// may open it. The header and the label are the additional authenticated data. So a
// sealed value that is moved to another row does not open, and a writer of storage
// cannot make one.
//
// The root secret is wrapped and signed by a key encryption key ([KEK]) that never
// touches storage: a file on a developer's machine ([FileKEK]) or a key in Azure Key
// Vault ([KeyVaultKEK]).
//
// # Version 1
//
// Release 0.1.0 gave every value a data encryption key (DEK) that the KEK wrapped:
//
//	 0      1       3           3+n     5+n           5+n+m      17+n+m
//	┌──────┬───────┬───────────┬───────┬─────────────┬──────────┬─────────────────────┐
//	│ 0x01 │ n     │ KEK id    │ m     │ wrapped DEK │ nonce    │ ciphertext, 16-byte │
//	│      │ (u16) │ (n bytes) │ (u16) │ (m bytes)   │ (12)     │ GCM tag             │
//	└──────┴───────┴───────────┴───────┴─────────────┴──────────┴─────────────────────┘
//
// with "certwright/seal/v1" and the vault's id in the label, which alone was
// authenticated. A Key Vault KEK wraps with its public half: a writer of storage who
// knows that half can make such a value. So they open only as long as
// rows without a MAC count, but for backups, which come from callers: those open for
// ever, and what is in them is believed no more than a caller is.
package seal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/certwright/certwright/handler/internal/rootkey"
)

// MaxPlaintext is the size in bytes of the largest value that can be sealed: a
// certificate backup with its whole history.
const MaxPlaintext = 32 << 20

// Backup is the kind of what every vault of the installation may open.
const Backup = "backup"

const (
	dekSize    = 32 // AES-256
	nonceSize  = 12
	tagSize    = 16
	saltSize   = 32
	rootIDSize = 16
)

var (
	// ErrFormat says that a stored value is not of a format that this version
	// reads: damaged, or written by a newer version.
	ErrFormat = errors.New("not a sealed value of a known format")

	// ErrUnknownKEK says that a value was sealed under a KEK other than the
	// configured one, under a version of it that no longer exists, or under a root
	// secret that the installation does not have.
	ErrUnknownKEK = errors.New("unknown key encryption key")

	// ErrRefused says that a value or its wrapped key failed authentication: it
	// was altered, belongs to another object, or does not count any more.
	ErrRefused = errors.New("sealed value failed authentication")

	// ErrUnavailable says that the KEK cannot be used now (its vault cannot be
	// reached, throttles, or denies access, or the key is disabled). Nothing is
	// lost; the same call may succeed later.
	ErrUnavailable = errors.New("key encryption key is unavailable")

	// ErrDenied says of an ErrUnavailable that it was the vault's answer: the key is
	// disabled, or may not be used.
	ErrDenied = errors.New("use of the key encryption key is denied")
)

// A KEK is a key encryption key: it wraps and unwraps secrets, and vouches for what
// it wrapped. Its methods may be called concurrently. Ids, wrapped keys, messages and
// signatures come from storage and are not trusted. Errors wrap ErrUnknownKEK,
// ErrRefused or ErrUnavailable.
type KEK interface {
	// Wrap encrypts dek and returns the result together with the full id of the
	// key that unwraps it, at most 512 bytes. random supplies whatever randomness
	// the wrapping needs.
	Wrap(ctx context.Context, random io.Reader, dek []byte) (id string, wrapped []byte, err error)

	// Unwrap decrypts a wrapped key. The caller must not change the returned slice.
	Unwrap(ctx context.Context, id string, wrapped []byte) (dek []byte, err error)

	// Check asks whether Unwrap would succeed now, and remembers no earlier answer.
	Check(ctx context.Context, id string, wrapped []byte) error

	// Sign signs a message with the key that Wrap named.
	Sign(ctx context.Context, id string, message []byte) (signature []byte, err error)

	// Verify refuses a signature that the key did not make of the message.
	Verify(ctx context.Context, id string, message, signature []byte) error
}

// Config holds what a Sealer is made of.
type Config struct {
	// VaultID identifies the vault that sealed values belong to. It is part of
	// every value's label, hence permanent: an identifier, never the vault's URL.
	VaultID string

	// KEK opens values of version 1.
	KEK KEK

	// Keys are the installation's keys at this moment.
	Keys func(context.Context) (*rootkey.Keys, error)

	// Now tells the time. Nil means time.Now.
	Now func() time.Time

	// Rand supplies salts and nonces and must be safe for concurrent use.
	// Nil means crypto/rand.
	Rand io.Reader
}

// A Sealer encrypts and decrypts the secrets of one vault. It may be used
// concurrently.
type Sealer struct{ cfg Config }

// New returns a Sealer. It makes no calls to the KEK.
func New(cfg Config) (*Sealer, error) {
	if cfg.VaultID == "" {
		return nil, errors.New("sealing needs a vault id")
	}
	if cfg.KEK == nil || cfg.Keys == nil {
		return nil, errors.New("sealing needs a key encryption key, and the installation's keys")
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Sealer{cfg}, nil
}

// Seal encrypts plaintext and binds the result to the object that kind ("key",
// "password", Backup), name and id describe. Names are compared byte by byte:
// callers pass them in lower case. Errors never hold any of the plaintext.
func (s *Sealer) Seal(ctx context.Context, kind, name, id string, plaintext []byte) ([]byte, error) {
	sealed, err := s.seal(ctx, kind, name, id, plaintext)
	if err != nil {
		return nil, fmt.Errorf("sealing %s of %q: %w", kind, name, err)
	}
	return sealed, nil
}

// Open decrypts a value that Seal made for the same vault, kind, name and id.
// Errors wrap ErrFormat, ErrUnknownKEK, ErrRefused or ErrUnavailable, or are the
// context's, or those of Keys.
func (s *Sealer) Open(ctx context.Context, kind, name, id string, sealed []byte) ([]byte, error) {
	plaintext, err := s.open(ctx, kind, name, id, sealed)
	if err != nil {
		return nil, fmt.Errorf("opening %s of %q: %w", kind, name, err)
	}
	return plaintext, nil
}

func (s *Sealer) seal(ctx context.Context, kind, name, id string, plaintext []byte) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("%d bytes are more than %d", len(plaintext), MaxPlaintext)
	}
	keys, err := s.cfg.Keys(ctx)
	if err != nil {
		return nil, err
	}
	root, err := hex.DecodeString(keys.Current())
	if err != nil || len(root) != rootIDSize {
		return nil, fmt.Errorf("root id %q is not %d bytes in hexadecimal", keys.Current(), rootIDSize)
	}
	header := make([]byte, headerV2, headerV2+len(plaintext)+tagSize)
	header[0] = formatV2
	copy(header[1:], root)
	if _, err := io.ReadFull(s.cfg.Rand, header[1+rootIDSize:]); err != nil {
		return nil, fmt.Errorf("reading randomness: %w", err)
	}
	v, err := parseV2(header[:headerV2+tagSize]) // of an empty value
	if err != nil {
		return nil, err
	}
	label := s.label("certwright/seal/v2", kind, name, id)
	gcm, err := newValueGCM(keys, kind, v, label)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(header, v.nonce, plaintext, slices.Concat(v.header, label)), nil
}

func (s *Sealer) open(ctx context.Context, kind, name, id string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, fmt.Errorf("empty value: %w", ErrFormat)
	}
	keys, err := s.cfg.Keys(ctx)
	if err != nil {
		return nil, err
	}
	switch version := sealed[0]; version {
	case formatV1:
		if kind != Backup && !keys.AcceptUnsigned(s.cfg.Now()) {
			return nil, fmt.Errorf("it is of release 0.1.0, whose values do not count any more: %w", ErrRefused)
		}
		return s.openV1(ctx, s.label("certwright/seal/v1", kind, name, id), sealed)
	case formatV2:
		v, err := parseV2(sealed)
		if err != nil {
			return nil, err
		}
		label := s.label("certwright/seal/v2", kind, name, id)
		gcm, err := newValueGCM(keys, kind, v, label)
		if err != nil {
			return nil, err
		}
		plaintext, err := gcm.Open(nil, v.nonce, v.ciphertext, slices.Concat(v.header, label))
		if err != nil {
			return nil, ErrRefused // the cipher's own error says no more
		}
		return plaintext, nil
	default:
		return nil, fmt.Errorf("format version %d: %w", version, ErrFormat)
	}
}

// newValueGCM is the cipher of one value.
func newValueGCM(keys *rootkey.Keys, kind string, v sealedV2, label []byte) (cipher.AEAD, error) {
	of := keys.Seal
	if kind == Backup {
		of = keys.Backup
	}
	key := of(v.root)
	if key == nil {
		return nil, fmt.Errorf("sealed under root %s, which this installation does not have: %w", v.root, ErrUnknownKEK)
	}
	key, err := hkdf.Key(sha256.New, key, v.salt, string(label), dekSize)
	if err != nil {
		return nil, err
	}
	return newGCM(key)
}

func (s *Sealer) openV1(ctx context.Context, label, sealed []byte) ([]byte, error) {
	env, err := parseV1(sealed)
	if err != nil {
		return nil, err
	}
	dek, err := s.cfg.KEK.Unwrap(ctx, env.kekID, env.wrapped)
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

// IsV1 reports whether a value is of version 1.
func IsV1(sealed []byte) bool { return len(sealed) > 0 && sealed[0] == formatV1 }

// RootOf is the id of the root under which a value says that it was sealed, empty for
// one of version 1. Nothing vouches for it before it is opened.
func RootOf(sealed []byte) string {
	if len(sealed) == 0 || sealed[0] != formatV2 {
		return ""
	}
	v, err := parseV2(sealed)
	if err != nil {
		return ""
	}
	return v.root
}

// CheckV1 reports whether a KEK can unwrap the key of a value of version 1. A value
// of another version was not sealed by a KEK.
func CheckV1(ctx context.Context, kek KEK, sealed []byte) error {
	if !IsV1(sealed) {
		return nil
	}
	env, err := parseV1(sealed)
	if err != nil {
		return err
	}
	_, err = kek.Unwrap(ctx, env.kekID, env.wrapped)
	return err
}

// label is what names an object. Lengths before the fields keep ("a", "bc") apart
// from ("ab", "c").
func (s *Sealer) label(version, kind, name, id string) []byte {
	vault := s.cfg.VaultID
	if kind == Backup && version != "certwright/seal/v1" {
		vault = "" // it belongs to the installation
	}
	aad := []byte(version)
	for _, field := range []string{vault, kind, name, id} {
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
