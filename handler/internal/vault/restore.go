package vault

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// restore is the state of a head whose rows are still coming: who writes them,
// and when that is given up.
type restore struct {
	ID    string    `json:"id"` // of the attempt
	Until time.Time `json:"until"`
}

// Times of a restore. It is over long before anybody takes its rows away, even
// if its last write arrives late.
const (
	restoreTime   = time.Minute
	restoreWindow = 5 * time.Minute
)

// Restore brings a certificate back from its backup, under its name and with the
// versions, keys, attributes and tags that it had. The name must be free.
//
// Version ids are not new here. So even for a single version the head comes
// first, as a lock under which nobody else writes, and becomes visible last. If
// this call does not get that far the certificate is purged, at the latest by a
// tick after restoreWindow. The chain blobs have names of this attempt, because
// a slow purge of the versions that were there before may yet delete theirs.
//
// REST page: Restore Certificate.
func (v *Vault) Restore(ctx context.Context, blob []byte) (Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	b, err := v.openBackup(ctx, blob)
	if err != nil {
		return Certificate{}, err
	}
	defer b.clearKeys()
	hist, err := b.history()
	if err != nil {
		return Certificate{}, malformedBackup(corruptBackup, err)
	}
	h, err := v.head(ctx, hist.name)
	if err != nil {
		return Certificate{}, err
	}
	if err := h.checkAbsent(hist); err != nil {
		return Certificate{}, err
	}
	id := v.newID()
	for _, ver := range hist.versions {
		ver.Chain = chainBlob(hist.name, ver.ID+"-"+id)
	}
	if h, err = v.writeHistory(ctx, h, id, hist); err != nil {
		v.abandonRestore(ctx, hist.name, id)
		return Certificate{}, err
	}
	return v.latest(h), nil
}

// Key Vault's words for a backup that it cannot read.
const (
	corruptBackup        = "Backup blob is corrupt."
	unknownBackupVersion = "Backup blob contains invalid or corrupt version."
)

func malformedBackup(detail string, cause error) error {
	return &Error{Reason: MalformedBackup, Detail: detail, Err: cause}
}

// openBackup reads a blob that Backup made.
func (v *Vault) openBackup(ctx context.Context, blob []byte) (*backup, error) {
	if len(blob) == 0 || len(blob) <= int(blob[0]) {
		return nil, malformedBackup(corruptBackup, nil)
	}
	end := 1 + int(blob[0])
	format, sealed := string(blob[1:end]), blob[end:]
	if format != backupFormat {
		return nil, malformedBackup(unknownBackupVersion, nil)
	}
	plain, err := v.cfg.Open(ctx, sealedBackup, "", backupFormat, sealed)
	switch {
	case reasonOf(err).uncertain():
		return nil, err
	case ctx.Err() != nil:
		return nil, unavailable(ctx.Err())
	case err != nil:
		return nil, malformedBackup(corruptBackup, err)
	}
	defer clear(plain)
	b := new(backup)
	if err := json.Unmarshal(plain, b); err != nil {
		return nil, malformedBackup(corruptBackup, err)
	}
	if b.Schema > store.Schema {
		return nil, malformedBackup(unknownBackupVersion, nil)
	}
	return b, nil
}

// history is a backup that was checked.
type history struct {
	name     Name
	created  time.Time
	policy   policy.Policy
	latest   *version
	versions []*version
	chains   [][]*x509.Certificate // of versions
	keys     map[string]crypto.Signer
}

// history checks that a backup is complete. That it was sealed does not say by
// whom, see package seal.
func (b *backup) history() (*history, error) {
	name, err := ParseName(b.Name)
	if err != nil {
		return nil, err
	}
	if len(b.Versions) > maxBackupVersions {
		return nil, fmt.Errorf("%d versions", len(b.Versions))
	}
	// The live service forgets in a backup that {} was sent.
	if b.Policy.X509.SANs.Empty() {
		b.Policy.X509.SANs = nil
	}
	hist := &history{name: name, created: b.Created, policy: b.Policy, keys: make(map[string]crypto.Signer)}
	for id, der := range b.Keys {
		if _, ok := ParseVersion(id); !ok {
			return nil, fmt.Errorf("key id %q", id)
		}
		if hist.keys[id], err = policy.ParseKey(der); err != nil {
			return nil, err
		}
	}
	seen := make(map[string]bool) // ids of versions and keys
	for i := range b.Versions {
		ver := &b.Versions[i].Version
		certs, err := chain.Parse(b.Versions[i].Chain)
		if err != nil {
			return nil, err
		}
		key := hist.keys[ver.KeyID]
		if _, ok := ParseVersion(ver.ID); !ok || seen[ver.ID] || len(certs) > chain.MaxChain || key == nil || !policy.SamePublicKey(certs[0].PublicKey, key.Public()) {
			return nil, fmt.Errorf("version %q is incomplete", ver.ID)
		}
		seen[ver.ID], seen[ver.KeyID] = true, true
		ver.setLeaf(name, certs[0])
		hist.versions, hist.chains = append(hist.versions, ver), append(hist.chains, certs)
		if ver.ID == b.Latest {
			hist.latest = ver
		}
	}
	if hist.latest == nil || len(seen) != len(hist.versions)+len(hist.keys) {
		return nil, errors.New("versions and keys do not belong together")
	}
	return hist, nil
}

// checkAbsent refuses to restore over what is there in any form.
func (h *head) checkAbsent(hist *history) error {
	switch {
	case !h.stored():
		return nil
	case h.Purging || h.Deletion != nil:
		return h.checkFree(hist.name)
	default:
		return &Error{Reason: RestoreConflict, Name: hist.name.text + "/" + hist.latest.ID}
	}
}

// restoredBy refuses to go on with a restore that was given up.
func (h *head) restoredBy(n Name, id string) error {
	if h.Restore == nil || h.Restore.ID != id {
		return &Error{Reason: ConcurrentChange, Name: n.text}
	}
	return nil
}

// writeHistory writes the head with as many rows as fit into its transaction,
// then the other rows, then the chain blobs, and then makes the certificate
// visible.
func (v *Vault) writeHistory(ctx context.Context, h *head, id string, hist *history) (*head, error) {
	n := hist.name
	rows, err := v.historyRows(ctx, hist)
	if err != nil {
		return nil, err
	}
	for i, batch := range batches(rows) {
		h, err = v.changeFrom(ctx, n, h, func(h *head, tx *store.Tx) error {
			if i > 0 {
				if err := h.restoredBy(n, id); err != nil {
					return err
				}
			} else if err := h.checkAbsent(hist); err != nil {
				return err
			} else {
				h.Name, h.Created, h.Policy, h.Latest = n.text, hist.created, hist.policy, hist.latest
				h.Restore = &restore{id, v.now().Add(restoreWindow)}
			}
			for _, r := range batch {
				tx.Add(r)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(v.cfg.Concurrency)
	for i, ver := range hist.versions {
		work.Go(func() error { return v.cfg.Store.PutBlob(workCtx, ver.Chain, chain.EncodePEM(hist.chains[i])) })
	}
	if err := work.Wait(); err != nil {
		return nil, unavailable(err)
	}
	return v.changeFrom(ctx, n, h, func(h *head, tx *store.Tx) error {
		err := h.restoredBy(n, id)
		h.Restore = nil
		return err
	})
}

// historyRows are the rows of all keys, sealed anew, and of all versions.
func (v *Vault) historyRows(ctx context.Context, hist *history) ([]store.Row, error) {
	ids := slices.Sorted(maps.Keys(hist.keys))
	rows := make([]store.Row, len(ids))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(v.cfg.Concurrency)
	for i, id := range ids {
		work.Go(func() (err error) {
			rows[i], err = v.sealKey(ctx, hist.name, id, hist.keys[id])
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	for _, ver := range hist.versions {
		rows = append(rows, store.NewRow(versionKey(hist.name, ver.ID), "", ver))
	}
	return rows, nil
}

// batches divides rows into transactions that have room for the head and its due
// rows.
func batches(rows []store.Row) [][]store.Row {
	const maxBytes = store.MaxTxBytes / 2
	var all [][]store.Row
	size := 0
	for _, r := range rows {
		n := store.Action{Verb: store.Add, Row: r}.WireSize()
		if last := len(all) - 1; last < 0 || len(all[last]) == maxBatch || size+n > maxBytes {
			all, size = append(all, nil), 0
		}
		all[len(all)-1] = append(all[len(all)-1], r)
		size += n
	}
	return all
}

// abandonRestore takes away what a restore wrote before it failed.
func (v *Vault) abandonRestore(ctx context.Context, n Name, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTime)
	defer cancel()
	err := v.startPurge(ctx, n, func(h *head) error { return h.restoredBy(n, id) })
	if reasonOf(err) == ConcurrentChange {
		return // it never began, or a tick has given it up
	}
	if err == nil {
		err = v.finishPurge(ctx, n)
	}
	if err != nil {
		v.cfg.Log.WarnContext(ctx, "broken restore left to a tick", "certificate", n.text, "error", err)
	}
}
