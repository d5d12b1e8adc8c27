package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
)

// maxTries bounds how often a change is decided anew because others were
// faster. After the first few tries there are pauses, longer than a transaction
// takes at the most, so that many writers of one row do not wear each other out.
const (
	maxTries    = 40
	quickTries  = 4
	maxTryPause = 64 * time.Millisecond
)

// pause waits before a change is decided anew for the nth time. It returns early
// when ctx ends.
func (v *Vault) pause(ctx context.Context, n int) {
	if n >= quickTries {
		_ = v.cfg.Sleep(ctx, v.jitter(min(time.Millisecond<<min(n-quickTries+1, 10), maxTryPause)))
	}
}

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
	var missing []string // due rows that the head has on its list only
	for try := range maxTries {
		v.pause(ctx, try)
		if h == nil || h.stored() && h.etag == "" {
			var err error
			if h, err = v.head(ctx, n); err != nil {
				return nil, err
			}
			if h.wrote(write) {
				return h, nil
			}
		}
		next, removed, err := v.commit(ctx, n, h, write, missing, decide)
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
		missing = append(missing, v.missing(ctx, removed, err)...)
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

// commit makes one try. removed are the due rows that its transaction was to
// remove.
func (v *Vault) commit(ctx context.Context, n Name, h *head, write string, missing []string, decide func(*head, *store.Tx) error) (next *head, removed []string, err error) {
	next, tx := h.clone(), store.Tx{}
	if err := decide(next, &tx); err != nil {
		return nil, nil, refusal{err}
	}
	v.did(ctx, next)
	if !h.stored() && next.gone {
		return next, nil, nil
	}
	if h.Write > store.Schema {
		return nil, nil, refusal{newer(fmt.Errorf("row %q: %w", headKey(n), store.ErrNewer))}
	}
	next.Schema, next.Write = store.Schema, 0
	next.sign(write)
	v.watch(next)
	var dues store.Tx
	removed = next.moveDue(&dues, next.due(n), missing)
	switch r := next.row(n); {
	case next.gone:
		tx.Delete(r.Key, h.etag)
	case !h.stored():
		tx.Add(r)
	default:
		r.ETag = h.etag
		tx.Replace(r)
	}
	tx.Actions = append(tx.Actions, dues.Actions...)
	if err := tx.Check(); err != nil {
		return nil, nil, refusal{tooLarge(err)}
	}
	next.etag, err = v.cfg.Store.Commit(ctx, tx)
	return next, removed, err
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

// changeRow is change for a document that has a row of its own, and due rows where
// it is a worker: decide gets the document, which it may alter, or nil when there
// is none, and returns what is to be there, nil when nothing is. Such documents
// name no writers: when a commit got no clear answer, decide meets what it may have
// left and must come to the same end.
func changeRow[T any](ctx context.Context, v *Vault, key string, decide func(*T) (*T, error)) (*T, error) {
	var lastErr error
	var missing []string
	for try := range maxTries {
		v.pause(ctx, try)
		r, err := v.row(ctx, key)
		var doc *T
		if err == nil {
			doc = new(T)
			err = decode(r, doc)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		next, err := decide(doc)
		if err != nil {
			return nil, err
		}
		if doc != nil {
			if err := checkWrite(r); err != nil {
				return nil, err
			}
		}
		if next == nil && doc == nil {
			return nil, nil
		}
		tx, removed := rowChange(key, r.ETag, doc, next, missing)
		if gone, ok := any(doc).(remembered); ok && next == nil {
			v.rememberRemoval(ctx, &tx, gone.removal())
		}
		if err := tx.Check(); err != nil {
			return nil, tooLarge(err)
		}
		if _, lastErr = v.cfg.Store.Commit(ctx, tx); lastErr == nil {
			return next, nil
		}
		if ctx.Err() != nil {
			break
		}
		missing = append(missing, v.missing(ctx, removed, lastErr)...)
	}
	return nil, unavailable(lastErr)
}

// worker is a document that has due rows.
type worker interface {
	due() []due
	list() *dueList
}

// rowChange is the transaction of changeRow, and the due rows that it removes.
func rowChange[T any](key string, etag store.ETag, doc, next *T, missing []string) (tx store.Tx, removed []string) {
	var dues store.Tx
	if w, ok := any(next).(worker); ok {
		var wanted []due
		if next == nil {
			w = any(doc).(worker)
		} else {
			wanted = w.due()
		}
		if doc != nil {
			*w.list() = *any(doc).(worker).list() // decide may have made another document
		}
		removed = w.list().moveDue(&dues, wanted, missing)
	}
	switch {
	case next == nil:
		tx.Delete(key, etag)
	case doc == nil:
		tx.Add(store.NewRow(key, "", next))
	default:
		r := store.NewRow(key, "", next)
		r.ETag = etag
		tx.Replace(r)
	}
	tx.Actions = append(tx.Actions, dues.Actions...)
	return tx, removed
}

// addWork adds the row of a new document and its due rows.
func addWork(tx *store.Tx, key string, doc worker) {
	doc.list().moveDue(tx, doc.due(), nil)
	tx.Add(store.NewRow(key, "", doc))
}
