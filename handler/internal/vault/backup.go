package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// backup is a certificate with its whole history. As a blob it is
//
//	 0   1              1+n
//	┌───┬──────────────┬──────────────────────────┐
//	│ n │ backupFormat │ JSON of this type,       │
//	│   │ (n bytes)    │ sealed under the format  │
//	└───┴──────────────┴──────────────────────────┘
//
// so that it names its format where Key Vault's own backups do. The private keys
// are not sealed once more within: a restore seals them anew.
type backup struct {
	Schema   int               `json:"schema"`
	Name     string            `json:"name"` // as first written
	Created  time.Time         `json:"created"`
	Policy   policy.Policy     `json:"policy"`
	Latest   string            `json:"latest"` // id of the latest version
	Versions []backupVersion   `json:"versions"`
	Keys     map[string][]byte `json:"keys"` // PKCS #8, by key id
}

// backupVersion is a version without what setLeaf sets from its chain.
type backupVersion struct {
	Version version  `json:"version"`
	Chain   [][]byte `json:"chain"` // DER, leaf first
}

const (
	backupFormat = "CertwrightCertificateBackupV1"
	sealedBackup = "backup" // the kind under which backups are sealed
)

// Limits of a backup; the number of versions is Key Vault's.
const (
	maxBackupVersions = 500
	maxBackup         = 20 << 20 // bytes of JSON
)

// Backup returns a certificate with its policy and all versions, keys included,
// but without its operation, as a blob that only this vault can read.
//
// REST page: Backup Certificate.
func (v *Vault) Backup(ctx context.Context, n Name) ([]byte, error) {
	b, err := v.collect(ctx, n)
	if err != nil {
		return nil, err
	}
	defer b.clearKeys()
	plain, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encoding a backup of %q: %w", n.text, err)
	}
	defer clear(plain)
	if len(plain) > maxBackup {
		return nil, backupTooLarge(n)
	}
	sealed, err := v.cfg.Seal(ctx, sealedBackup, "", backupFormat, plain)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte{byte(len(backupFormat))}, []byte(backupFormat), sealed), nil
}

func backupTooLarge(n Name) error {
	return &field.Error{Detail: fmt.Sprintf("A certificate of more than %d versions or %d bytes cannot be backed up.", maxBackupVersions, maxBackup)}
}

// collect reads all that belongs to a certificate. Whoever changes one of its
// rows changes the head: as long as that has not moved, what was read belongs
// together.
func (v *Vault) collect(ctx context.Context, n Name) (*backup, error) {
	for range maxTries {
		h, err := v.liveHead(ctx, n)
		if err != nil {
			return nil, err
		}
		if h.Latest == nil {
			return nil, &Error{Reason: CertificateNotFound, Name: n.text}
		}
		versions, err := v.cfg.Store.Scan(ctx, store.Within(versionKey(n, ""), maxBackupVersions+1))
		if err != nil {
			return nil, unavailable(err)
		}
		if len(versions) > maxBackupVersions {
			return nil, backupTooLarge(n)
		}
		keys, err := v.cfg.Store.Scan(ctx, store.Within(keyRowKey(n, ""), maxBackupVersions+1)) // one may be the operation's
		if err != nil {
			return nil, unavailable(err)
		}
		now, err := v.head(ctx, n)
		if err != nil {
			return nil, err
		}
		if now.etag == h.etag {
			return v.newBackup(ctx, n, h, versions, keys)
		}
	}
	return nil, &Error{Reason: ConcurrentChange, Name: n.text}
}

// newBackup makes a backup of rows, and of the chain blobs that they name.
func (v *Vault) newBackup(ctx context.Context, n Name, h *head, versions, keys []store.Row) (*backup, error) {
	b := &backup{
		Schema:   store.Schema,
		Name:     h.Name,
		Created:  h.Created,
		Policy:   h.Policy,
		Latest:   h.Latest.ID,
		Versions: make([]backupVersion, len(versions)),
	}
	keyID := func(r store.Row) string { return r.Key[len(keyRowKey(n, "")):] }
	needed := make(map[string]bool) // ids of the versions' keys
	for i, r := range versions {
		if err := store.Decode(r, &b.Versions[i].Version); err != nil {
			return nil, err
		}
		needed[b.Versions[i].Version.KeyID] = true
	}
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(v.cfg.Concurrency)
	var size atomic.Int64
	for i := range b.Versions {
		work.Go(func() error {
			bv := &b.Versions[i]
			chain, err := v.chain(workCtx, &bv.Version)
			if err != nil {
				return err
			}
			for _, c := range chain {
				bv.Chain = append(bv.Chain, c.Raw)
				if size.Add(int64(len(c.Raw))) > maxBackup {
					return backupTooLarge(n)
				}
			}
			bv.Version.Leaf, bv.Version.Thumbprint, bv.Version.Chain, bv.Version.ChainSum = nil, nil, "", nil
			return nil
		})
	}
	keys = slices.DeleteFunc(keys, func(r store.Row) bool { return !needed[keyID(r)] })
	opened := make([][]byte, len(keys))
	for i, r := range keys {
		work.Go(func() error {
			var record keyRecord
			err := store.Decode(r, &record)
			if err == nil {
				opened[i], err = v.cfg.Open(workCtx, sealedKey, n.key(), keyID(r), record.Sealed)
			}
			return err
		})
	}
	err := work.Wait()
	b.Keys = make(map[string][]byte)
	for i, r := range keys {
		b.Keys[keyID(r)] = opened[i]
	}
	if err == nil && len(b.Keys) < len(needed) {
		err = fmt.Errorf("of %d private keys of %q there are %d", len(needed), n.text, len(b.Keys))
	}
	if err != nil {
		b.clearKeys()
		return nil, err
	}
	return b, nil
}

func (b *backup) clearKeys() {
	for der := range maps.Values(b.Keys) {
		clear(der)
	}
}
