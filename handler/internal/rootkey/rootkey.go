// Package rootkey derives the keys of an installation from its root secrets. It
// knows neither storage nor the key-encryption key: package root opens the secrets.
//
// A derived key is HKDF-SHA256 (RFC 5869) of the secret, without salt, with the
// purpose, a NUL byte and what the key is for as info:
//
//	certwright/row/1     the partition     MACs of rows
//	certwright/seal/1    the partition     keys, credentials and accounts, sealed
//	certwright/request/1 the partition     requests that are sent again
//	certwright/backup/1  the installation  backups, which every vault of it may open
package rootkey

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Size is that of a secret, and of a derived key, in bytes.
const Size = 32

// IsID reports whether text has the form of a root's id: 32 hexadecimal digits.
func IsID(text string) bool { return idForm.MatchString(text) }

var idForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Secret is a root secret. It is never stored but wrapped.
type Secret struct {
	ID    string
	Value []byte
}

// Config is what Keys are made of.
type Config struct {
	Partition    string // of the vault
	Installation string
	Current      Secret   // what is written is written under it
	Others       []Secret // what was written under these still counts

	// UnsignedUntil is when what release 0.1.0 wrote, without any MAC, stops
	// counting; zero: it does not count.
	UnsignedUntil time.Time
}

// Keys are the derived keys of one vault. They do not change.
type Keys struct {
	current       string
	unsignedUntil time.Time
	derived       map[string]derived
}

type derived struct{ row, seal, request, backup []byte }

// New derives the keys.
func New(cfg Config) (*Keys, error) {
	if cfg.Partition == "" || !IsID(cfg.Installation) {
		return nil, errors.New("keys need a partition, and an installation of 32 hexadecimal digits")
	}
	k := &Keys{current: cfg.Current.ID, unsignedUntil: cfg.UnsignedUntil, derived: make(map[string]derived)}
	for _, s := range append([]Secret{cfg.Current}, cfg.Others...) {
		if !IsID(s.ID) || len(s.Value) != Size {
			return nil, fmt.Errorf("root %q has a secret of %d bytes, want an id of 32 hexadecimal digits and %d", s.ID, len(s.Value), Size)
		}
		var d derived
		var errs [4]error
		d.row, errs[0] = derive(s.Value, "certwright/row/1", cfg.Partition)
		d.seal, errs[1] = derive(s.Value, "certwright/seal/1", cfg.Partition)
		d.request, errs[2] = derive(s.Value, "certwright/request/1", cfg.Partition)
		d.backup, errs[3] = derive(s.Value, "certwright/backup/1", cfg.Installation)
		if err := errors.Join(errs[:]...); err != nil {
			return nil, fmt.Errorf("deriving the keys of root %q: %w", s.ID, err)
		}
		k.derived[s.ID] = d
	}
	return k, nil
}

func derive(secret []byte, purpose, of string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, purpose+"\x00"+of, Size)
}

// Current is the id of the root under which everything is written.
func (k *Keys) Current() string { return k.current }

// Row is the key of the MACs of rows under a root, nil for one that does not count.
func (k *Keys) Row(root string) []byte { return k.derived[root].row }

// Seal is the key of sealed values under a root, nil for one that does not count.
func (k *Keys) Seal(root string) []byte { return k.derived[root].seal }

// Request is the key under which requests are recognised that are sent again. It is
// the current root's: a request that was sent before a rotation is carried out.
func (k *Keys) Request() []byte { return k.derived[k.current].request }

// Backup is the key of backups under a root, nil for one that does not count.
func (k *Keys) Backup(root string) []byte { return k.derived[root].backup }

// AcceptUnsigned reports whether what has no MAC still counts at a time.
func (k *Keys) AcceptUnsigned(now time.Time) bool { return now.Before(k.unsignedUntil) }
