package vault_test

// The storage of the simulated year.

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

// yearStore is the store of the year: it is away for a while, counts the calls of
// the vault, and sees to it that what is stored of a version stays.
type yearStore struct {
	*memory.Store
	t        testing.TB
	since    func() time.Duration
	away     span
	versions func(certificate string, expires time.Time) // is told of each new one
	moving   atomic.Bool                                 // what is stored goes away, and comes back

	keys  sync.Map // ids of those that versions have
	mu    sync.Mutex
	calls memory.Calls
}

func (s *yearStore) call(kind memory.Kind) error {
	if s.away.has(s.since()) {
		return store.ErrUnavailable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[kind]++
	return nil
}

func (s *yearStore) Get(ctx context.Context, key string) (store.Row, error) {
	if err := s.call(memory.Get); err != nil {
		return store.Row{}, err
	}
	return s.Store.Get(ctx, key)
}

func (s *yearStore) Scan(ctx context.Context, r store.Range) ([]store.Row, error) {
	if err := s.call(memory.Scan); err != nil {
		return nil, err
	}
	return s.Store.Scan(ctx, r)
}

func (s *yearStore) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	if err := s.call(memory.Commit); err != nil {
		return "", err
	}
	etag, err := s.Store.Commit(ctx, tx)
	if err == nil && !s.moving.Load() {
		s.see(tx)
	}
	return etag, err
}

func (s *yearStore) see(tx store.Tx) {
	for _, a := range tx.Actions {
		kind, rest, _ := strings.Cut(a.Row.Key, ":")
		if kind != "v" && kind != "k" {
			continue
		}
		certificate, id, _ := strings.Cut(rest, ":")
		switch {
		case kind == "k" && a.Verb == store.Remove: // of a renewal that came to nothing
			if _, used := s.keys.Load(id); used {
				s.t.Errorf("the key %s of a version of %s was removed", id, certificate)
			}
		case a.Verb != store.Add:
			s.t.Errorf("row %s was changed", a.Row.Key)
		case kind == "v":
			var version struct {
				Expires time.Time
				KeyID   string
			}
			if err := json.Unmarshal(a.Row.Doc, &version); err != nil {
				s.t.Error(err)
			}
			s.keys.Store(version.KeyID, true)
			s.versions(certificate, version.Expires)
		}
	}
}

func (s *yearStore) PutBlob(ctx context.Context, name string, data []byte) error {
	if err := s.call(memory.PutBlob); err != nil {
		return err
	}
	return s.Store.PutBlob(ctx, name, data)
}

func (s *yearStore) GetBlob(ctx context.Context, name string) ([]byte, error) {
	if err := s.call(memory.GetBlob); err != nil {
		return nil, err
	}
	return s.Store.GetBlob(ctx, name)
}

func (s *yearStore) DeleteBlob(ctx context.Context, name string) error {
	if !s.moving.Load() {
		s.t.Errorf("blob %s was deleted", name)
	}
	return s.Store.DeleteBlob(ctx, name)
}
