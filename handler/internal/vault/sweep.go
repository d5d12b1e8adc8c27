package vault

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
)

// Times and sizes of the sweep, which looks through everything that has due rows for
// rows that were lost. It sees 200 documents for each minute that a process runs,
// in one go every few minutes.
const (
	sweepEvery = 5 * time.Minute
	sweepPage  = 1000
	overdue    = time.Hour // what ticks would have done by then, if they could find it or its issuer were not paused
)

// swept are the rows that have due rows.
var swept = places{"c:", "r:", "w:", "e:"}

// sweepRecord is the document of the row sweepKey.
type sweepRecord struct {
	Schema int    `json:"schema"`
	At     string `json:"at"` // place among swept
}

// sweep looks through the next page of what has due rows, as far as it comes until a
// time.
func (v *Vault) sweep(ctx context.Context, end time.Time) error {
	if !v.upkeep.sweepIsDue(v.now()) {
		return nil
	}
	cursor := sweepRecord{At: swept[0]}
	if _, err := v.get(ctx, sweepKey, &cursor); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	r := swept.next(cursor.At, sweepPage)
	rows, err := v.cfg.Store.Scan(ctx, r)
	if err != nil {
		return unavailable(err)
	}
	next := swept.after(r, rows)
	for _, row := range rows {
		if err := v.unlessUnreadable(ctx, v.sweepRow(ctx, row)); err != nil {
			return err
		}
		if !v.now().Before(end) {
			next = row.Key
			break
		}
	}
	cursor.Schema, cursor.At = store.Schema, cmp.Or(next, swept[0])
	var tx store.Tx
	tx.Put(store.NewRow(sweepKey, "", cursor))
	if _, err := v.cfg.Store.Commit(ctx, tx); err != nil {
		return unavailable(err)
	}
	return nil
}

// sweepRow repairs the due rows of one document.
func (v *Vault) sweepRow(ctx context.Context, row store.Row) error {
	switch row.Key[:2] {
	case "c:":
		return v.sweepHead(ctx, row)
	case "r:":
		return sweepWork[releaseJob](ctx, v, row)
	case "w:":
		return sweepWork[revocationRow](ctx, v, row)
	default:
		return sweepWork[delivery](ctx, v, row)
	}
}

func (v *Vault) sweepHead(ctx context.Context, row store.Row) error {
	h := new(head)
	if err := decode(row, h); err != nil {
		return err
	}
	h.etag = row.ETag
	n := Name{h.Name}
	if h.claimed(v.now()) {
		return nil
	}
	if !h.listed(n) {
		_, err := v.relist(ctx, n, h)
		return err
	}
	return v.putOverdue(ctx, h.due(n))
}

func sweepWork[T any](ctx context.Context, v *Vault, row store.Row) error {
	doc := new(T)
	if err := decode(row, doc); err != nil {
		return err
	}
	w := any(doc).(worker)
	if !w.list().lists(w.due()) {
		return rewrite[T](ctx, v, row.Key)
	}
	return v.putOverdue(ctx, w.due())
}

// putOverdue puts all due rows of a document again, when one should have been dealt
// with long ago. They may have moved meanwhile: what is put for nothing belongs to
// nobody, and a tick deletes it.
func (v *Vault) putOverdue(ctx context.Context, all []due) error {
	var tx store.Tx
	late := false
	for _, d := range all {
		late = late || v.now().Sub(d.at) > overdue
		tx.Put(d.row())
	}
	if !late {
		return nil
	}
	if _, err := v.cfg.Store.Commit(ctx, tx); err != nil {
		return unavailable(err)
	}
	return nil
}
