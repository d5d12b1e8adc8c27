package vault

import (
	"context"
	"errors"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
)

// repairDue is for a due row that its owner does not bear out. The row is read
// before its owner: whoever wants the same row again puts it anew, and then it has
// another ETag.
//
//	the owner is of schema 1         it gets a list of its due rows
//	the owner has it otherwise       it is put as it is to be
//	the owner has it on its list     it is another worker's business, or early
//	the owner does not know it       it is deleted
func (v *Vault) repairDue(ctx context.Context, d due) error {
	row, err := v.row(ctx, d.key())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	wanted, err := v.ownerOf(ctx, d)
	if err != nil {
		return err
	}
	var tx store.Tx
	for _, w := range wanted {
		if w.key() == row.Key {
			if w.label == row.Label {
				return nil
			}
			tx.Put(w.row())
		}
	}
	if len(tx.Actions) == 0 {
		tx.Delete(row.Key, row.ETag)
	}
	_, err = v.cfg.Store.Commit(ctx, tx)
	if _, changed := errors.AsType[*store.ConflictError](err); changed {
		return nil
	}
	if err != nil {
		return unavailable(err)
	}
	v.cfg.Log.WarnContext(ctx, "due row repaired", "row", row.Key, "label", row.Label)
	return nil
}

// ownerOf returns the due rows of whatever has work of this kind and name, after it
// has made their list if there was none.
func (v *Vault) ownerOf(ctx context.Context, d due) ([]due, error) {
	switch d.kind {
	case kindRelease:
		return workOf[releaseJob](ctx, v, releaseKey(d.name))
	case kindRevoke:
		return workOf[revocationRow](ctx, v, revocationKey(d.name))
	case kindDeliver, kindDiscard:
		return workOf[delivery](ctx, v, deliveryKey(d.name))
	case kindForget:
		return workOf[removal](ctx, v, removalKey(d.name))
	}
	n := Name{d.name}
	h, err := v.head(ctx, n)
	if err != nil || !h.stored() {
		return nil, err
	}
	if !h.listed(n) {
		if h.claimed(v.now()) {
			return nil, errLost
		}
		if h, err = v.relist(ctx, n, h); err != nil {
			return nil, err
		}
	}
	return h.due(n), nil
}

// listed reports whether the head's list of due rows is what it must be: not when
// an older program wrote it, or one whose due times were others.
func (h *head) listed(n Name) bool {
	return h.Schema == store.Schema && h.lists(h.due(n))
}

// claimed reports whether a worker has the operation.
func (h *head) claimed(now time.Time) bool {
	return h.Operation != nil && now.Before(h.Operation.ClaimedUntil)
}

// lists reports whether a list is of these due rows.
func (l *dueList) lists(wanted []due) bool {
	if len(l.Dues) != len(wanted) {
		return false
	}
	for _, d := range wanted {
		if !l.has(d.asRow()) {
			return false
		}
	}
	return true
}

// relist writes a head again, and with it the due rows that it must have.
func (v *Vault) relist(ctx context.Context, n Name, h *head) (*head, error) {
	return v.changeFrom(ctx, n, h, func(h *head, _ *store.Tx) error {
		h.gone = !h.stored()
		return nil
	})
}

// workOf are the due rows of a document with a row of its own, none when there is
// none.
func workOf[T any](ctx context.Context, v *Vault, key string) ([]due, error) {
	r, err := v.row(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	doc := new(T)
	if err := decode(r, doc); err != nil {
		return nil, err
	}
	w := any(doc).(worker)
	if !w.list().lists(w.due()) {
		doc, err = changeRow(ctx, v, key, func(doc *T) (*T, error) { return doc, nil })
		if err != nil || doc == nil {
			return nil, err
		}
		w = any(doc).(worker)
	}
	return w.due(), nil
}
