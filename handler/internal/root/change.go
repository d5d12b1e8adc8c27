package root

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/signed"
	"github.com/certwright/certwright/handler/internal/store"
)

// Adopt makes a root under which rows without MACs count for a day: an operator says
// that they are what release 0.1.0 wrote. Where there is a root it changes nothing.
func (k *Keeper) Adopt(ctx context.Context) error {
	_, err := k.cfg.Store.Get(ctx, currentKey)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	rows, err := k.evidence(ctx)
	if err != nil {
		return err
	}
	return k.adopt(ctx, rows)
}

// EndAdoption makes rows without MACs count no longer, in every process within half
// an hour.
func (k *Keeper) EndAdoption(ctx context.Context) error {
	row, d, _, err := k.current(ctx)
	if err != nil || d.UnsignedUntil.IsZero() {
		return err
	}
	d.UnsignedUntil = document{}.UnsignedUntil
	if err := k.sign(ctx, d); err != nil {
		return err
	}
	return k.replace(ctx, row, d)
}

// Rewrap wraps and signs every root with the current version of the key-encryption
// key. It returns how many it changed.
func (k *Keeper) Rewrap(ctx context.Context) (int, error) {
	rows, err := k.cfg.Store.Scan(ctx, store.Range{From: currentKey, To: currentKey + ";", Limit: maxRoots})
	if err != nil {
		return 0, err
	}
	changed := 0
	for _, row := range rows {
		d, secret, err := k.openRow(ctx, row)
		if err != nil {
			return changed, fmt.Errorf("row %q: %w", row.Key, err)
		}
		before := d.KEK
		if err := k.wrap(ctx, d, secret.Value); err != nil {
			return changed, err
		}
		if d.KEK == before {
			continue
		}
		if err := k.replace(ctx, row, d); err != nil {
			return changed, err
		}
		changed++
	}
	return changed, nil
}

// Rotate begins a new root. What was written under the one before still counts.
func (k *Keeper) Rotate(ctx context.Context) (id string, err error) {
	row, d, _, err := k.current(ctx)
	if err != nil {
		return "", err
	}
	next, err := k.newRoot(ctx, d.Installation, d.UnsignedUntil)
	if err != nil {
		return "", err
	}
	r := next.row(currentKey)
	r.ETag = row.ETag
	var tx store.Tx
	tx.Replace(r)
	tx.Add(d.row(earlierKey(d.ID)))
	if _, err := k.cfg.Store.Commit(ctx, tx); err != nil {
		return "", err
	}
	return next.ID, k.keepCopy(ctx, next)
}

// Forget removes an earlier root, unless a row is signed or sealed under it, or may yet
// be. Backups that were made under it open no more.
func (k *Keeper) Forget(ctx context.Context, id string) error {
	if !rootkey.IsID(id) {
		return fmt.Errorf("the id of a root is 32 hexadecimal digits, which %q is not", id)
	}
	row, err := k.cfg.Store.Get(ctx, earlierKey(id))
	if err != nil {
		return err
	}
	if err := k.allKnowCurrent(ctx); err != nil {
		return err
	}
	used, err := k.count(ctx, store.Range{From: " ", To: "~"}, func(row store.Row) bool { return slices.Contains(RootsOf(row), id) })
	if err != nil {
		return err
	}
	if used > 0 {
		return fmt.Errorf("%d rows are signed or sealed under root %s: they would count no more; ticks bring them under the current root", used, id)
	}
	var tx store.Tx
	tx.Delete(row.Key, row.ETag)
	if _, err := k.cfg.Store.Commit(ctx, tx); err != nil {
		return err
	}
	return k.cfg.Store.DeleteBlob(ctx, blobName(id))
}

// allKnowCurrent refuses as long as a process may not have looked for the current root
// yet: it would go on to write under the one before.
func (k *Keeper) allKnowCurrent(ctx context.Context) error {
	_, d, _, err := k.current(ctx)
	if err != nil {
		return err
	}
	if until := d.Created.Add(knownAfter); k.cfg.Now().Before(until) {
		return fmt.Errorf("the current root is younger than %v, and a running process may not know it yet: come again after %s", knownAfter, until.Format(time.RFC3339))
	}
	return nil
}

// RootsOf are the ids of the roots under which a row says that it is signed, or that
// what it holds is sealed. Nothing vouches for them.
func RootsOf(row store.Row) (ids []string) {
	if id := signed.RootOf(row); id != "" {
		ids = append(ids, id)
	}
	for _, v := range sealedIn(row) {
		if id := seal.RootOf(v); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// current reads the current root, as it is stored now.
func (k *Keeper) current(ctx context.Context) (store.Row, *document, rootkey.Secret, error) {
	row, err := k.cfg.Store.Get(ctx, currentKey)
	if err != nil {
		return store.Row{}, nil, rootkey.Secret{}, err
	}
	d, secret, err := k.openRow(ctx, row)
	return row, d, secret, err
}

// replace stores a root in the place of the same one, if nobody changed it meanwhile.
func (k *Keeper) replace(ctx context.Context, old store.Row, d *document) error {
	r := d.row(old.Key)
	r.ETag = old.ETag
	var tx store.Tx
	tx.Replace(r)
	if _, err := k.cfg.Store.Commit(ctx, tx); err != nil {
		return err
	}
	return k.keepCopy(ctx, d)
}

// Leftovers counts what release 0.1.0 sealed: as long as there is any, the versions
// of the key-encryption key that wrapped its keys must stay enabled.
func (k *Keeper) Leftovers(ctx context.Context) (int, error) {
	total := 0
	for _, prefix := range []string{"a:", "i:", "k:"} {
		n, err := k.count(ctx, store.Within(prefix, 1), func(row store.Row) bool { return slices.ContainsFunc(sealedIn(row), seal.IsV1) })
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// sealedIn are the sealed values in a row of one of the kinds that have any.
func sealedIn(row store.Row) [][]byte {
	var d struct{ Sealed, Password []byte }
	if row.Err != nil || json.Unmarshal(row.Doc, &d) != nil {
		return nil
	}
	return [][]byte{d.Sealed, d.Password}
}

// count counts the rows of a range that are such.
func (k *Keeper) count(ctx context.Context, r store.Range, such func(store.Row) bool) (int, error) {
	n := 0
	for r.Limit = 500; ; {
		rows, err := k.cfg.Store.Scan(ctx, r)
		if err != nil {
			return 0, err
		}
		for _, row := range rows {
			if such(row) {
				n++
			}
		}
		if len(rows) < r.Limit {
			return n, nil
		}
		r.From = rows[len(rows)-1].Key + " " // the next key that there can be
	}
}
