package vault

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/store"
)

// unreadableError says why a row counts for nothing: its document is malformed, a
// newer program wrote it, or it is not authentic. It stops nothing but what is
// about this row.
type unreadableError struct {
	row   store.Row
	cause error
}

func (e *unreadableError) Error() string { return e.cause.Error() }

func (e *unreadableError) Unwrap() error { return e.cause }

// maxReported bounds how many unreadable rows a process remembers to have logged.
const maxReported = 1000

// reports are the rows that this process has logged as unreadable, so that each is
// logged once and not by every list and tick.
type reports struct {
	mu   sync.Mutex
	seen map[string]store.ETag // by key
}

// first reports whether a row, as it is now, was not logged before.
func (r *reports) first(row store.Row) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if etag, ok := r.seen[row.Key]; ok && etag == row.ETag {
		return false
	}
	if r.seen == nil || len(r.seen) >= maxReported {
		r.seen = make(map[string]store.ETag)
	}
	r.seen[row.Key] = row.ETag
	return true
}

// reportUnreadable logs a row that is passed over.
func (v *Vault) reportUnreadable(ctx context.Context, e *unreadableError) {
	if v.reported.first(e.row) {
		v.cfg.Log.ErrorContext(ctx, "row cannot be read and is left alone", "row", e.row.Key, "error", e.cause)
	}
}

// readable decodes the rows of a list, each into a document of its own, and passes
// over those that cannot be read.
func readable[T any](ctx context.Context, v *Vault, rows []store.Row) (docs []*T) {
	for _, r := range rows {
		doc := new(T)
		if err := decode(r, doc); err != nil {
			v.reportUnreadable(ctx, &unreadableError{r, err})
			continue
		}
		docs = append(docs, doc)
	}
	return docs
}

// unlessUnreadable returns an error unless it says that a row cannot be read, which it
// logs, or that only a newer program may rewrite it.
func (v *Vault) unlessUnreadable(ctx context.Context, err error) error {
	if bad, ok := errors.AsType[*unreadableError](err); ok {
		v.reportUnreadable(ctx, bad)
		return nil
	}
	if errors.Is(err, store.ErrNewer) {
		return nil
	}
	return err
}

// Unreadable is a row that cannot be read.
type Unreadable struct {
	Key     string
	Problem string
}

// unreadableReads bounds how many pages of rows one call of UnreadableRows looks
// through, unreadablePage their size.
const (
	unreadableReads = 20
	unreadablePage  = 250
)

// stored are all rows.
var stored = places{"a:", "c:", "d:", "e:", "i:", "k:", "q:", "r:", "s:", "t:", "v:", "w:", "x:"}

// UnreadableRows lists the rows that cannot be read, by key, and where the next page
// begins. A page may have fewer than asked for, or none, and still not be the
// last.
func (v *Vault) UnreadableRows(ctx context.Context, p Page) (list []Unreadable, next string, err error) {
	at := p.After
	if at == "" {
		at = stored[0]
	}
	if !isRowKey(at) {
		return nil, "", field.Errorf("", "%q: is not where a page of rows begins", at)
	}
	for range unreadableReads {
		r := stored.next(at, unreadablePage)
		rows, err := v.cfg.Store.Scan(ctx, r)
		if err != nil {
			return nil, "", unavailable(err)
		}
		for _, row := range rows {
			if err := check(row); err != nil {
				list = append(list, Unreadable{row.Key, field.Cut(err.Error(), maxAnswer)})
			}
			if len(list) == p.Max {
				return list, row.Key, nil
			}
		}
		if at = stored.after(r, rows); at == "" {
			return list, "", nil
		}
	}
	return list, at, nil
}

// isRowKey reports whether key can be where a page of rows begins.
func isRowKey(key string) bool {
	return store.CheckKey(key) == nil && len(key) >= 2 && slices.Contains(stored, key[:2])
}

// AdoptRow writes a row that is not authentic again as it is, so that it counts from
// then on. Whoever calls it vouches for what the row says.
func (v *Vault) AdoptRow(ctx context.Context, key string) error {
	if !isRowKey(key) || strings.HasPrefix(key, "d:") {
		return field.Errorf("key", "%q: must be the key of a row", field.Cut(key, 128))
	}
	rows, err := v.cfg.Store.Scan(ctx, store.Range{From: key, To: key + "!", Limit: 1})
	if err != nil {
		return unavailable(err)
	}
	refused := func(text string) error { return &Error{Reason: ActionRefused, Name: key, Detail: text} }
	if len(rows) == 0 {
		return refused("There is no such row.")
	}
	r := rows[0]
	if r.Err == nil {
		return refused("The row is authentic: there is nothing to adopt.")
	}
	clean := store.Row{Key: r.Key, ETag: r.ETag, Label: r.Label, Doc: r.Doc}
	if err := check(clean); err != nil {
		return refused("Its document cannot be read: " + field.Cut(err.Error(), maxAnswer))
	}
	err = v.replace(ctx, []store.Row{clean})
	if _, changed := errors.AsType[*store.ConflictError](err); changed {
		return &Error{Reason: ConcurrentChange, Name: key, Err: err}
	}
	if err != nil {
		return unavailable(err)
	}
	v.cfg.Log.WarnContext(ctx, "row adopted", "row", key, "was", r.Err)
	return nil
}

// check reports why a row cannot be read.
func check(r store.Row) error {
	var doc any = new(map[string]json.RawMessage)
	switch r.Key[:2] {
	case "c:":
		doc = new(head)
	case "d:":
		if _, err := parseDue(r); err != nil {
			return err
		}
	case "e:":
		doc = new(delivery)
	case "i:":
		doc = new(issuerRecord)
	case "k:":
		doc = new(keyRecord)
	case "r:":
		doc = new(releaseJob)
	case "v:":
		doc = new(version)
	case "w:":
		doc = new(revocationRow)
	case "x:":
		doc = new(marker)
	}
	return store.Decode(r, doc)
}
