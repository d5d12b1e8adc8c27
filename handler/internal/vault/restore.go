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
	"strings"
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
	b, own, err := v.openBackup(ctx, blob)
	if err != nil {
		return Certificate{}, err
	}
	defer b.clearKeys()
	hist, err := b.history(own, v.now())
	if err != nil {
		return Certificate{}, malformedBackup(corruptBackup, err)
	}
	h, err := v.head(ctx, hist.name)
	if err != nil {
		return Certificate{}, err
	}
	if v.repeats(ctx, h) && h.checkLive(hist.name) == nil && h.Latest != nil {
		return v.latest(h), nil
	}
	if err := h.checkAbsent(hist); err != nil {
		return Certificate{}, err
	}
	id := v.newID()
	for i, ver := range hist.versions {
		ver.Chain = chainBlob(hist.name, ver.ID+"-"+id)
		ver.ChainSum = sumOf(chain.EncodePEM(hist.chains[i]))
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

// openBackup reads a blob that Backup made. own reports whether nobody else can have
// made it.
func (v *Vault) openBackup(ctx context.Context, blob []byte) (b *backup, own bool, err error) {
	if len(blob) == 0 || len(blob) <= int(blob[0]) {
		return nil, false, malformedBackup(corruptBackup, nil)
	}
	end := 1 + int(blob[0])
	format, sealed := string(blob[1:end]), blob[end:]
	if format != backupFormat && format != firstFormat {
		return nil, false, malformedBackup(unknownBackupVersion, nil)
	}
	plain, err := v.cfg.Open(ctx, sealedBackup, "", format, sealed)
	switch {
	case reasonOf(err).uncertain():
		return nil, false, err
	case ctx.Err() != nil:
		return nil, false, unavailable(ctx.Err())
	case err != nil:
		return nil, false, malformedBackup(corruptBackup, err)
	}
	defer clear(plain)
	if len(plain) > maxBackup {
		return nil, false, malformedBackup(corruptBackup, fmt.Errorf("%d bytes of JSON: must be at most %d", len(plain), maxBackup))
	}
	b = new(backup)
	if err := json.Unmarshal(plain, b); err != nil {
		return nil, false, malformedBackup(corruptBackup, err)
	}
	if b.Schema > store.Schema {
		return nil, false, malformedBackup(unknownBackupVersion, nil)
	}
	return b, format == backupFormat, nil
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

// maxCertificate is how large a certificate may be, in bytes of DER, as in an import.
const maxCertificate = 32 << 10

// history checks that a backup is complete, and all that is in it as if a caller had
// sent it: the sealing of the first format does not say by whom, and a caller may
// have had a certificate of this vault made to be backed up. own says that the
// backup is this installation's; of another the issuers of the versions are not
// believed, or their CA would be asked to revoke whatever serial number is in there.
func (b *backup) history(own bool, now time.Time) (*history, error) {
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
	hist := &history{name: name, created: b.Created, keys: make(map[string]crypto.Signer)}
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
		if _, ok := ParseVersion(ver.ID); !ok || seen[ver.ID] || key == nil || !policy.SamePublicKey(certs[0].PublicKey, key.Public()) {
			return nil, fmt.Errorf("version %q is incomplete", ver.ID)
		}
		if err := ver.checkRestored(certs, key, now); err != nil {
			return nil, fmt.Errorf("version %q: %w", ver.ID, err)
		}
		if !own {
			ver.Issuer, ver.Provider, ver.IssuerID = "", "", ""
		}
		seen[ver.ID], seen[ver.KeyID] = true, true
		ver.setLeaf(name, certs[0])
		hist.versions, hist.chains = append(hist.versions, ver), append(hist.chains, certs)
		if ver.ID == b.Latest {
			hist.latest = ver
			if hist.policy, err = policy.Restored(b.Policy, certs[0]); err != nil {
				return nil, err
			}
		}
	}
	if hist.latest == nil || len(seen) != len(hist.versions)+len(hist.keys) {
		return nil, errors.New("versions and keys do not belong together")
	}
	return hist, checkTimes(now, b.Created, b.Policy.Created, b.Policy.Updated)
}

// checkRestored checks what a backup says of a version.
func (ver *version) checkRestored(certs []*x509.Certificate, key crypto.Signer, now time.Time) error {
	if len(certs) > chain.MaxChain {
		return fmt.Errorf("%d certificates: must be at most %d", len(certs), chain.MaxChain)
	}
	for _, c := range certs {
		if len(c.Raw) > maxCertificate {
			return fmt.Errorf("a certificate of %d bytes: must be at most %d", len(c.Raw), maxCertificate)
		}
	}
	is, err := policy.KeyPropertiesOf(key.Public())
	if err != nil {
		return err
	}
	if said := ver.Key; strings.TrimSuffix(said.Type, "-HSM") != is.Type || said.Size != is.Size || said.Curve != is.Curve {
		return fmt.Errorf("a key of the type %s, %d bits, is said to be %s of %d", is.Type, is.Size, said.Type, said.Size)
	}
	if ver.ContentType, err = policy.ParseContentType("contentType", ver.ContentType); err != nil {
		return err
	}
	if _, ok := ParseVersion(ver.Previous); ver.Previous != "" && !ok {
		return fmt.Errorf("%q is not the id of a version", ver.Previous)
	}
	if len(ver.Issuer) > maxIssuerText || len(ver.Provider) > maxIssuerText || len(ver.IssuerID) > maxIssuerText {
		return fmt.Errorf("an issuer with a text of more than %d bytes", maxIssuerText)
	}
	return errors.Join(checkTags(ver.Tags), checkTimes(now, ver.Created, ver.Updated))
}

// checkTimes refuses times that no clock of this vault can have shown.
func checkTimes(now time.Time, times ...time.Time) error {
	for _, at := range times {
		if at.Year() < 2000 || at.After(now.AddDate(0, 0, 1)) {
			return fmt.Errorf("the time %v", at)
		}
	}
	return nil
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
		rows = append(rows, ver.row(hist.name))
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
