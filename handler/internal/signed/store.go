package signed

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/store"
)

// Config is what a Store is made of. All but Refresh are required.
type Config struct {
	Store     store.Store // keeps the rows, and the blobs
	Partition string      // of the vault: part of what is signed

	// Keys are the keys at this moment. An error makes every call fail, which
	// then asks storage for nothing; it wraps store.ErrUnavailable, because it is
	// not known what is there.
	Keys func(context.Context) (*rootkey.Keys, error)

	// Refresh looks whether there are newer keys, since a row has a MAC under a
	// root that those of Keys do not know: another process may have begun a new
	// root. Nil: there never are.
	Refresh func(context.Context) (*rootkey.Keys, error)

	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Store is a store.Store that signs and verifies. It makes no calls of its own, and
// may be used by any number of goroutines.
type Store struct{ cfg Config }

var _ store.Store = (*Store)(nil)

// New makes a Store.
func New(cfg Config) (*Store, error) {
	if cfg.Store == nil || cfg.Partition == "" || cfg.Keys == nil {
		return nil, errors.New("a store that signs needs a store, a partition and keys")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{cfg}, nil
}

// keys are those of this moment.
func (s *Store) keys(ctx context.Context) (*rootkey.Keys, error) {
	keys, err := s.cfg.Keys(ctx)
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return keys, err
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Row, error) {
	keys, err := s.keys(ctx)
	if err != nil {
		return store.Row{}, err
	}
	row, err := s.cfg.Store.Get(ctx, key)
	if err != nil {
		return store.Row{}, err
	}
	if err := s.verify(ctx, keys, row); err != nil {
		return store.Row{}, err
	}
	return row, nil
}

// Scan implements store.Store.
func (s *Store) Scan(ctx context.Context, r store.Range) ([]store.Row, error) {
	keys, err := s.keys(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.cfg.Store.Scan(ctx, r)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].Err != nil {
			continue
		}
		rows[i].Err = s.verify(ctx, keys, rows[i])
	}
	return rows, nil
}

// verify reports why a row counts for nothing.
func (s *Store) verify(ctx context.Context, keys *rootkey.Keys, r store.Row) error {
	if !signs(r.Key) {
		return nil
	}
	if root := RootOf(r); root != "" && keys.Row(root) == nil && s.cfg.Refresh != nil {
		if newer, err := s.cfg.Refresh(ctx); err == nil {
			keys = newer
		}
	}
	if r.Mac == "" {
		if keys.AcceptUnsigned(s.cfg.Now()) && ofFirstSchema(r.Doc) {
			return nil
		}
		return fmt.Errorf("row %q is not signed: %w", r.Key, store.ErrNotAuthentic)
	}
	if !verifies(keys, r.Mac, func(key []byte) []byte { return s.rowMAC(key, r) }) {
		return fmt.Errorf("row %q has a MAC that is not its own: %w", r.Key, store.ErrNotAuthentic)
	}
	if len(r.Summary) > 0 && !verifies(keys, r.SummaryMac, func(key []byte) []byte { return s.summaryMAC(key, r) }) {
		return fmt.Errorf("row %q has a summary whose MAC is not its own: %w", r.Key, store.ErrNotAuthentic)
	}
	return nil
}

// verifies reports whether stored is the MAC that compute makes.
func verifies(keys *rootkey.Keys, stored string, compute func(key []byte) []byte) bool {
	root, mac, ok := decode(stored)
	if !ok {
		return false
	}
	key := keys.Row(root)
	return key != nil && hmac.Equal(mac, compute(key))
}

// ofFirstSchema reports whether a document is one that release 0.1.0 may have
// written.
func ofFirstSchema(doc []byte) bool {
	var d struct{ Schema int }
	return json.Unmarshal(doc, &d) == nil && d.Schema == 1
}

// Commit implements store.Store. What it writes is signed under the current root.
func (s *Store) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	keys, err := s.keys(ctx)
	if err != nil {
		return "", err
	}
	root := keys.Current()
	key := keys.Row(root)
	out := store.Tx{Actions: make([]store.Action, len(tx.Actions))}
	for i, a := range tx.Actions {
		a.Row.Mac, a.Row.SummaryMac = "", ""
		if a.Verb.Writes() && signs(a.Row.Key) {
			a.Row.Mac = encode(root, s.rowMAC(key, a.Row))
			if len(a.Row.Summary) > 0 {
				a.Row.SummaryMac = encode(root, s.summaryMAC(key, a.Row))
			}
		}
		out.Actions[i] = a
	}
	return s.cfg.Store.Commit(ctx, out)
}

// PutBlob implements store.Store. What a blob must hold stands in its row.
func (s *Store) PutBlob(ctx context.Context, name string, data []byte) error {
	if _, err := s.keys(ctx); err != nil {
		return err
	}
	return s.cfg.Store.PutBlob(ctx, name, data)
}

// GetBlob implements store.Store.
func (s *Store) GetBlob(ctx context.Context, name string) ([]byte, error) {
	if _, err := s.keys(ctx); err != nil {
		return nil, err
	}
	return s.cfg.Store.GetBlob(ctx, name)
}

// DeleteBlob implements store.Store.
func (s *Store) DeleteBlob(ctx context.Context, name string) error {
	if _, err := s.keys(ctx); err != nil {
		return err
	}
	return s.cfg.Store.DeleteBlob(ctx, name)
}
