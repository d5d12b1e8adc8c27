package vault

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certwright/certwright/handler/internal/store"
)

// Delete makes a certificate soft-deleted: it can be recovered until its purge
// date. An operation in progress ends as cancelled.
//
// REST page: Delete Certificate.
func (v *Vault) Delete(ctx context.Context, n Name) (Certificate, error) {
	var deleted Certificate
	h, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		if v.repeats(ctx, h) && h.checkDeleted(n) == nil {
			deleted = v.latest(h)
			return errRepeated
		}
		if err := h.checkLive(n); err != nil {
			return err
		}
		if op := h.Operation; op != nil && op.Status == StatusInProgress {
			v.endOperation(n, h, tx, StatusCancelled, nil)
		}
		label := h.label()
		now := v.now()
		h.Deletion = &Deletion{At: now, PurgeAt: now.Add(time.Duration(v.cfg.RecoverableDays) * 24 * time.Hour)}
		deleted = v.latest(h)
		m := marker{store.Schema, *h}
		m.Head.Dues = nil // which the head has
		tx.Add(m.row(n, label))
		return nil
	})
	if err == nil && h.checkDeleted(n) == nil {
		deleted = v.latest(h) // with the dates that were committed, maybe by an earlier run
	}
	return deleted, notRepeated(err)
}

// marker is the document of a marker row, which makes deleted certificates a
// range of their own. Nothing changes while a certificate is deleted, so the
// marker can hold the head as it was; the head is still what counts.
type marker struct {
	Schema int  `json:"schema"`
	Head   head `json:"head"`
}

// Deleted returns a soft-deleted certificate.
//
// REST page: Get Deleted Certificate.
func (v *Vault) Deleted(ctx context.Context, n Name) (Certificate, error) {
	h, err := v.head(ctx, n)
	if err != nil {
		return Certificate{}, err
	}
	if err := h.checkDeleted(n); err != nil {
		return Certificate{}, err
	}
	return v.latest(h), nil
}

func (h *head) checkDeleted(n Name) error {
	if !h.stored() || h.Deletion == nil || h.Purging {
		return &Error{Reason: DeletedNotFound, Name: n.text}
	}
	return nil
}

// DeletedCertificates lists soft-deleted certificates by name.
//
// REST page: Get Deleted Certificates.
func (v *Vault) DeletedCertificates(ctx context.Context, p Page, includePending bool) ([]Certificate, string, error) {
	rows, next, err := v.page(ctx, "x:", p, listed(includePending))
	if err != nil {
		return nil, "", err
	}
	var list []Certificate
	for _, m := range readable[marker](ctx, v, rows) {
		list = append(list, v.latest(&m.Head))
	}
	return list, next, nil
}

// Recover takes a soft-deleted certificate back, with all its versions.
//
// REST page: Recover Deleted Certificate.
func (v *Vault) Recover(ctx context.Context, n Name) (Certificate, error) {
	var recovered Certificate
	_, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		if v.repeats(ctx, h) && h.checkLive(n) == nil {
			recovered = v.latest(h)
			return errRepeated
		}
		if err := h.checkDeleted(n); err != nil {
			return err
		}
		h.Deletion = nil
		recovered = v.latest(h)
		tx.Remove(markerKey(n))
		return nil
	})
	return recovered, notRepeated(err)
}

// Purge removes a soft-deleted certificate with its keys for good. First the
// head is marked, and from then on nothing can bring the certificate back; rows
// and blobs go next, and a tick finishes what this call cannot. A vault with
// purge protection refuses.
//
// REST page: Purge Deleted Certificate.
func (v *Vault) Purge(ctx context.Context, n Name) error {
	absent := false // nor is there another certificate of this name
	err := v.startPurge(ctx, n, func(h *head) error {
		absent = !h.stored() || h.Purging
		if err := h.checkDeleted(n); err != nil {
			return err
		}
		if v.cfg.PurgeProtection {
			return &Error{Reason: PurgeProtected, Name: n.text}
		}
		return nil
	})
	if reasonOf(err) == DeletedNotFound && absent {
		if r, lookErr := v.removed(ctx); r != nil || lookErr != nil {
			return lookErr
		}
	}
	if err != nil {
		return err
	}
	if err := v.finishPurge(ctx, n); err != nil {
		v.cfg.Log.WarnContext(ctx, "purge left to the next tick", "certificate", n.text, "error", err)
	}
	return nil
}

func (v *Vault) startPurge(ctx context.Context, n Name, allow func(*head) error) error {
	_, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		if err := allow(h); err != nil {
			return err
		}
		now := v.now()
		if h.Restore != nil { // nobody has seen it yet: there is no marker
			h.Restore, h.Deletion = nil, &Deletion{At: now}
		} else {
			tx.Remove(markerKey(n))
		}
		v.rememberRemoval(ctx, tx, removal{})
		h.Purging = true
		h.Deletion.PurgeAt = now
		return nil
	})
	return err
}

// purgeDue purges what is past its date, and finishes purges that were broken
// off. A restore that was broken off cannot be finished, because only its client
// has the backup: it is purged too.
func (v *Vault) purgeDue(ctx context.Context, n Name) error {
	err := v.startPurge(ctx, n, func(h *head) error {
		switch {
		case h.Purging:
			return errPurging
		case h.Restore != nil && !v.now().Before(h.Restore.Until):
			return nil
		case h.Deletion == nil || v.now().Before(h.Deletion.PurgeAt):
			return errLost
		}
		return nil
	})
	if err != nil && !errors.Is(err, errPurging) {
		return err
	}
	// What a turn is not long enough for stays due.
	for end := v.now().Add(turn); v.now().Before(end); {
		if done, err := v.purgeBatch(ctx, n); done || err != nil {
			return err
		}
	}
	return nil
}

var errPurging = errors.New("purge has begun")

// maxBatch keeps a transaction of many rows, with the head and its due rows,
// within the limit of actions.
const maxBatch = 90

// finishPurge removes what a certificate whose head says purging still has.
func (v *Vault) finishPurge(ctx context.Context, n Name) error {
	for {
		if done, err := v.purgeBatch(ctx, n); done || err != nil {
			return err
		}
	}
}

// purgeBatch removes some of it: chain blobs and then the rows that name them, so
// that whoever goes on begins where this one stopped, and the head with the last. It
// reports whether that was all.
//
// No transaction guards a blob, so the head is read after the rows: rows that were
// there before it said purging are not those of a next certificate of the name.
func (v *Vault) purgeBatch(ctx context.Context, n Name) (done bool, err error) {
	rows, err := v.ownedRows(ctx, n)
	if err != nil {
		return false, err
	}
	h, err := v.head(ctx, n)
	switch {
	case err != nil:
		return false, err
	case !h.stored():
		return true, nil
	case !h.Purging:
		return false, errLost
	}
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(v.cfg.Concurrency)
	for _, row := range rows {
		if !strings.HasPrefix(row.Key, versionKey(n, "")) {
			continue
		}
		var ver version
		if err := decode(row, &ver); errors.Is(err, store.ErrNewer) {
			return false, err
		} else if err != nil { // nobody knows its blob, which stays
			v.reportUnreadable(ctx, &unreadableError{row, err})
			continue
		}
		work.Go(func() error { return v.cfg.Store.DeleteBlob(workCtx, ver.Chain) })
	}
	if err := work.Wait(); err != nil {
		return false, unavailable(err)
	}
	read := h.etag
	h, err = v.changeFrom(ctx, n, h, func(h *head, tx *store.Tx) error {
		switch {
		case h.etag != read:
			return errMoved
		case !h.Purging:
			return errLost
		}
		for _, r := range rows {
			tx.Remove(r.Key)
		}
		h.gone = len(rows) < maxBatch
		return nil
	})
	if errors.Is(err, errMoved) { // another purges it too
		return false, nil
	}
	return err == nil && h.gone, err
}

// errMoved ends a change of a head that another has changed.
var errMoved = errors.New("the head was changed")

// ownedRows are the first maxBatch rows of versions and keys.
func (v *Vault) ownedRows(ctx context.Context, n Name) ([]store.Row, error) {
	var all []store.Row
	for _, prefix := range []string{versionKey(n, ""), keyRowKey(n, "")} {
		if len(all) == maxBatch {
			break
		}
		rows, err := v.cfg.Store.Scan(ctx, store.Within(prefix, maxBatch-len(all)))
		if err != nil {
			return nil, unavailable(err)
		}
		all = append(all, rows...)
	}
	return all, nil
}
