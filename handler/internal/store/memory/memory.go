// Package memory is a store in memory that enforces what the storage service
// enforces.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/certwright/certwright/handler/internal/store"
)

// pageSize is how many rows one call to the service returns at most.
const pageSize = 1000

// Store is a store.Store in memory. It refuses whatever the service would
// refuse and, beyond that, different data under one blob name, because only a
// caller that broke its promise could send it. The zero value is empty and ready
// to use, by any number of goroutines.
type Store struct {
	mu       sync.Mutex // guards all fields
	rows     map[string]store.Row
	keys     sortedKeys // of rows
	blobs    map[string][]byte
	writes   int // so far; makes ETags that never come again
	calls    Calls
	onCommit func(before, after Contents)
}

// Contents is all that a Store holds at one moment. It shares its documents
// and blobs with the store: they are for reading only.
type Contents struct {
	Rows  []store.Row // in key order
	Blobs map[string][]byte
}

// Contents returns what the store holds now.
func (m *Store) Contents() Contents {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.contents()
}

func (m *Store) contents() Contents {
	c := Contents{Rows: make([]store.Row, 0, len(m.rows)), Blobs: maps.Clone(m.blobs)}
	for key := range m.keys.from("") {
		c.Rows = append(c.Rows, m.rows[key])
	}
	return c
}

// OnCommit has f called at every transaction that is applied, and at every blob
// that is written or deleted, in their order, before anybody else can see the
// change. f must not call the store.
func (m *Store) OnCommit(f func(before, after Contents)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onCommit = f
}

// change runs apply, which changes the contents, and tells the observer.
func (m *Store) change(apply func()) {
	if m.onCommit == nil {
		apply()
		return
	}
	before := m.contents()
	apply()
	m.onCommit(before, m.contents())
}

// begin counts a call, unless ctx has ended.
func (m *Store) begin(ctx context.Context, kind Kind) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w: %w", kind, store.ErrUnavailable, err)
	}
	m.count(kind, 1)
	return nil
}

// Get implements store.Store.
func (m *Store) Get(ctx context.Context, key string) (store.Row, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Row{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, Get); err != nil {
		return store.Row{}, err
	}
	row, ok := m.rows[key]
	if !ok {
		return store.Row{}, fmt.Errorf("row %q: %w", key, store.ErrNotFound)
	}
	return CloneRow(row), nil
}

// Scan implements store.Store.
func (m *Store) Scan(ctx context.Context, r store.Range) ([]store.Row, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, Scan); err != nil {
		return nil, err
	}
	var rows []store.Row
	for key := range m.keys.from(r.From) {
		if key >= r.To || len(rows) == r.Limit {
			break
		}
		if row := m.rows[key]; len(r.Labels) == 0 || slices.Contains(r.Labels, row.Label) {
			rows = append(rows, CloneRow(row))
		}
	}
	m.count(Scan, max(0, len(rows)-1)/pageSize)
	return rows, nil
}

// Commit implements store.Store.
func (m *Store) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	if err := tx.Check(); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, Commit); err != nil {
		return "", err
	}
	for _, a := range tx.Actions {
		if !m.permits(a) {
			return "", &store.ConflictError{Key: a.Row.Key}
		}
	}
	m.change(func() {
		for _, a := range tx.Actions {
			m.apply(a)
		}
	})
	if len(tx.Actions) == 1 && tx.Actions[0].Verb.Writes() {
		return m.rows[tx.Actions[0].Row.Key].ETag, nil
	}
	return "", nil
}

// permits reports whether the row is as the action relies on.
func (m *Store) permits(a store.Action) bool {
	row, present := m.rows[a.Row.Key]
	switch a.Verb {
	case store.Add:
		return !present
	case store.Replace, store.Delete:
		return present && row.ETag == a.Row.ETag
	case store.Remove:
		return present
	default: // Put
		return true
	}
}

func (m *Store) apply(a store.Action) {
	key := a.Row.Key
	if !a.Verb.Writes() {
		delete(m.rows, key)
		m.keys.remove(key)
		return
	}
	if _, present := m.rows[key]; !present {
		m.keys.add(key)
	}
	if m.rows == nil {
		m.rows = make(map[string]store.Row)
	}
	m.writes++
	row := CloneRow(a.Row)
	row.ETag = store.ETag(fmt.Sprintf("%q", fmt.Sprint("write ", m.writes)))
	m.rows[key] = row
}

// PutBlob implements store.Store.
func (m *Store) PutBlob(ctx context.Context, name string, data []byte) error {
	if err := store.CheckBlob(name, data); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, PutBlob); err != nil {
		return err
	}
	if old, ok := m.blobs[name]; ok {
		if !bytes.Equal(old, data) {
			return fmt.Errorf("blob %q is there already with other data: somebody else chose its name", name)
		}
		return nil
	}
	m.change(func() {
		if m.blobs == nil {
			m.blobs = make(map[string][]byte)
		}
		m.blobs[name] = bytes.Clone(data)
	})
	return nil
}

// GetBlob implements store.Store.
func (m *Store) GetBlob(ctx context.Context, name string) ([]byte, error) {
	if err := store.CheckBlob(name, nil); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, GetBlob); err != nil {
		return nil, err
	}
	data, ok := m.blobs[name]
	if !ok {
		return nil, fmt.Errorf("blob %q: %w", name, store.ErrNotFound)
	}
	return bytes.Clone(data), nil
}

// DeleteBlob implements store.Store.
func (m *Store) DeleteBlob(ctx context.Context, name string) error {
	if err := store.CheckBlob(name, nil); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, DeleteBlob); err != nil {
		return err
	}
	if _, ok := m.blobs[name]; ok {
		m.change(func() { delete(m.blobs, name) })
	}
	return nil
}

// CloneRow copies a row with its document and summary.
func CloneRow(row store.Row) store.Row {
	row.Doc, row.Summary = bytes.Clone(row.Doc), bytes.Clone(row.Summary)
	return row
}
