package root

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/signed"
	"github.com/certwright/certwright/handler/internal/store"
)

// errUnadopted says that there are rows, none of which names a root.
var errUnadopted = errors.New("there are rows without MACs, and no root")

// supply puts a root where there is none.
func (k *Keeper) supply(ctx context.Context) error {
	rows, err := k.evidence(ctx)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return k.create(ctx, time.Time{})
	}
	tried := make(map[string]bool)
	for _, row := range rows {
		id := signed.RootOf(row)
		if !rootkey.IsID(id) || tried[id] {
			continue
		}
		tried[id] = true
		if err := k.bringBack(ctx, id); !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	switch {
	case len(tried) > 0:
		return fmt.Errorf("the row %s is gone, and so is the blob %s", currentKey, blobName(anyOf(tried)))
	case !k.cfg.Adopt:
		return errUnadopted
	}
	return k.adopt(ctx, rows)
}

func anyOf(ids map[string]bool) string {
	for id := range ids {
		return id
	}
	return ""
}

// evidence are some rows, if there are any that say what has been here.
func (k *Keeper) evidence(ctx context.Context) ([]store.Row, error) {
	const some = 20
	var rows []store.Row
	for _, r := range []store.Range{
		{From: " ", To: "d:", Limit: some},
		{From: "d;", To: "s:", Limit: some},
		{From: "s:contacts", To: "s:contacts ", Limit: 1},
		{From: "s;", To: "~", Limit: some},
	} {
		found, err := k.cfg.Store.Scan(ctx, r)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

// bringBack puts the copy of a root into its row; store.ErrNotFound when there is
// none.
func (k *Keeper) bringBack(ctx context.Context, id string) error {
	text, err := k.cfg.Store.GetBlob(ctx, blobName(id))
	if err != nil {
		return err
	}
	d, err := parse(text)
	if err == nil && d.ID != id {
		err = fmt.Errorf("it is the root %s", d.ID)
	}
	if err == nil {
		_, err = k.unwrap(ctx, d)
	}
	if err != nil {
		return fmt.Errorf("the row %s is gone, and its copy in the blob %s does not count: %w", currentKey, blobName(id), err)
	}
	k.cfg.Log.WarnContext(ctx, "the root's row was gone and is brought back from its copy", "root", id)
	return k.add(ctx, d)
}

// adopt makes a root under which rows without MACs count. That they were sealed with
// this very key-encryption key is the least that is asked.
func (k *Keeper) adopt(ctx context.Context, rows []store.Row) error {
	for _, row := range rows {
		var d struct{ Sealed, Password []byte }
		if json.Unmarshal(row.Doc, &d) != nil {
			continue
		}
		for _, sealed := range [][]byte{d.Sealed, d.Password} {
			if err := seal.CheckV1(ctx, k.cfg.KEK, sealed); definite(err) {
				return fmt.Errorf("row %q: %w", row.Key, err)
			} else if err != nil && !errors.Is(err, seal.ErrFormat) {
				return err
			}
		}
	}
	k.cfg.Log.WarnContext(ctx, "rows without MACs are adopted", "for", AdoptFor)
	return k.create(ctx, k.cfg.Now().Add(AdoptFor))
}

// create makes a root, unless somebody else was faster.
func (k *Keeper) create(ctx context.Context, unsignedUntil time.Time) error {
	installation, err := k.newID()
	if err != nil {
		return err
	}
	d, err := k.newRoot(ctx, installation, unsignedUntil)
	if err != nil {
		return err
	}
	return k.add(ctx, d)
}

// newRoot makes a root that is stored nowhere yet.
func (k *Keeper) newRoot(ctx context.Context, installation string, unsignedUntil time.Time) (*document, error) {
	secret := make([]byte, rootkey.Size)
	defer clear(secret)
	if _, err := io.ReadFull(k.cfg.Rand, secret); err != nil {
		return nil, fmt.Errorf("reading randomness: %w", err)
	}
	id, err := k.newID()
	if err != nil {
		return nil, err
	}
	d := &document{
		Schema: schema, ID: id, Installation: installation,
		Created: k.cfg.Now().UTC().Truncate(time.Millisecond),
	}
	if !unsignedUntil.IsZero() {
		d.UnsignedUntil = unsignedUntil.UTC().Truncate(time.Millisecond)
	}
	return d, k.wrap(ctx, d, secret)
}

// add stores a root where there is none, and then its copy.
func (k *Keeper) add(ctx context.Context, d *document) error {
	var tx store.Tx
	tx.Add(d.row(currentKey))
	_, err := k.cfg.Store.Commit(ctx, tx)
	if _, taken := errors.AsType[*store.ConflictError](err); taken {
		return nil // another's, or our own first try
	}
	if err != nil {
		return err
	}
	return k.keepCopy(ctx, d)
}

// keepCopy sees to it that the blob of a root is what its row is.
func (k *Keeper) keepCopy(ctx context.Context, d *document) error {
	name, want := blobName(d.ID), d.row(currentKey).Doc
	have, err := k.cfg.Store.GetBlob(ctx, name)
	switch {
	case err == nil && bytes.Equal(have, want):
		return nil
	case err == nil:
		if err := k.cfg.Store.DeleteBlob(ctx, name); err != nil {
			return err
		}
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	return k.cfg.Store.PutBlob(ctx, name, want)
}
