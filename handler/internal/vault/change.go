package vault

import (
	"context"
	"errors"

	"github.com/certwright/certwright/handler/internal/store"
)

// maxTries bounds how often a change is decided anew because others were
// faster.
const maxTries = 8

// change is how everything about a certificate changes: read the head, decide,
// commit one transaction that contains the head under its ETag. decide gets a
// head that it may alter and a transaction to which it may add rows; it may run
// several times, each time on a fresh head, and must not act outside. An error
// from decide ends the change without effect.
//
// The head that is returned was durable when change returned. Its etag is known
// only if nothing but the head was written.
func (v *Vault) change(ctx context.Context, n Name, decide func(*head, *store.Tx) error) (*head, error) {
	return v.changeFrom(ctx, n, nil, decide)
}

// changeFrom is change for a caller who has just read, or written, the head h. It
// reads it again when h is nil or was written under an ETag that was not told.
//
// A commit that reports a conflict, or no clear answer, may still have been
// ours (the answer to the first try of a retried call was lost) or may yet be
// applied. Both are seen in the head itself: it names the last writes. As long
// as the head does not name this write and still has the ETag that the commit
// relied on, the same commit is tried again under the same write id; once the
// ETag has moved, the old commit can no longer be applied.
func (v *Vault) changeFrom(ctx context.Context, n Name, h *head, decide func(*head, *store.Tx) error) (*head, error) {
	write := v.random(8)
	var lastErr error
	for range maxTries {
		if h == nil || h.stored() && h.etag == "" {
			var err error
			if h, err = v.head(ctx, n); err != nil {
				return nil, err
			}
			if h.wrote(write) {
				return h, nil
			}
		}
		next, err := v.commit(ctx, n, h, write, decide)
		if err == nil {
			return next, nil
		}
		var refused refusal
		if errors.As(err, &refused) {
			return nil, refused.error
		}
		if ctx.Err() != nil {
			return nil, unavailable(err)
		}
		lastErr, h = err, nil
	}
	var conflict *store.ConflictError
	if errors.As(lastErr, &conflict) {
		return nil, &Error{Reason: ConcurrentChange, Name: n.text, Err: lastErr}
	}
	return nil, unavailable(lastErr)
}

// refusal is an error of decide, as opposed to one of the store.
type refusal struct{ error }

func (v *Vault) commit(ctx context.Context, n Name, h *head, write string, decide func(*head, *store.Tx) error) (*head, error) {
	next, tx := h.clone(), store.Tx{}
	if err := decide(next, &tx); err != nil {
		return nil, refusal{err}
	}
	if !h.stored() && next.gone {
		return next, nil
	}
	next.Schema = store.Schema
	next.sign(write)
	v.watch(next)
	switch r := store.NewRow(headKey(n), next.label(), next); {
	case next.gone:
		tx.Delete(r.Key, h.etag)
	case !h.stored():
		tx.Add(r)
	default:
		r.ETag = h.etag
		tx.Replace(r)
	}
	moveDue(&tx, h.due(n), next.due(n))
	if err := tx.Check(); err != nil {
		return nil, refusal{tooLarge(err)}
	}
	etag, err := v.cfg.Store.Commit(ctx, tx)
	next.etag = etag
	return next, err
}

// clone copies what decide may alter in place.
func (h *head) clone() *head {
	c := *h
	if h.Deletion != nil {
		d := *h.Deletion
		c.Deletion = &d
	}
	if h.Operation != nil {
		op := *h.Operation
		c.Operation = &op
	}
	if h.Latest != nil {
		l := *h.Latest
		c.Latest = &l
	}
	return &c
}

// changeRow is change for a document that has a row of its own, and due rows:
// decide gets the document, which it may alter, or nil when there is none, and
// returns what is to be there, nil when nothing is. Such documents name no
// writers: when a commit got no clear answer, decide meets what it may have left
// and must come to the same end.
func changeRow[T any](ctx context.Context, v *Vault, key string, work func(*T) []due, decide func(*T) (*T, error)) (*T, error) {
	var lastErr error
	for range maxTries {
		doc := new(T)
		etag, err := v.get(ctx, key, doc)
		if errors.Is(err, store.ErrNotFound) {
			doc = nil
		} else if err != nil {
			return nil, err
		}
		var before, after []due
		if doc != nil {
			before = work(doc)
		}
		next, err := decide(doc)
		if err != nil {
			return nil, err
		}
		var tx store.Tx
		switch {
		case next == nil && doc == nil:
			return nil, nil
		case next == nil:
			tx.Delete(key, etag)
		default:
			r := store.NewRow(key, "", next)
			r.ETag = etag
			if doc == nil {
				tx.Add(r)
			} else {
				tx.Replace(r)
			}
			after = work(next)
		}
		moveDue(&tx, before, after)
		if err := tx.Check(); err != nil {
			return nil, tooLarge(err)
		}
		if _, lastErr = v.cfg.Store.Commit(ctx, tx); lastErr == nil {
			return next, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, unavailable(lastErr)
}
