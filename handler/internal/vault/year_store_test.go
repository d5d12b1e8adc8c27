package vault_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
)

// yearStore is the store of the year: it is away for a while, counts the calls of
// the vault, and sees to it that what is stored of a version stays.
type yearStore struct {
	*vaulttest.Memory
	t        testing.TB
	since    func() time.Duration
	away     span
	versions func(certificate string, expires time.Time) // is told of each new one

	mu    sync.Mutex
	calls vaulttest.Calls
}

func (s *yearStore) call(kind vaulttest.Kind) error {
	if s.away.has(s.since()) {
		return vault.ErrUnavailable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[kind]++
	return nil
}

func (s *yearStore) Get(ctx context.Context, key string) (vault.Row, error) {
	if err := s.call(vaulttest.Get); err != nil {
		return vault.Row{}, err
	}
	return s.Memory.Get(ctx, key)
}

func (s *yearStore) Scan(ctx context.Context, r vault.Range) ([]vault.Row, error) {
	if err := s.call(vaulttest.Scan); err != nil {
		return nil, err
	}
	return s.Memory.Scan(ctx, r)
}

func (s *yearStore) Commit(ctx context.Context, tx vault.Tx) (vault.ETag, error) {
	if err := s.call(vaulttest.Commit); err != nil {
		return "", err
	}
	etag, err := s.Memory.Commit(ctx, tx)
	if err == nil {
		s.see(tx)
	}
	return etag, err
}

func (s *yearStore) see(tx vault.Tx) {
	for _, a := range tx.Actions {
		kind, rest, _ := strings.Cut(a.Row.Key, ":")
		if kind != "v" && kind != "k" {
			continue
		}
		if a.Verb != vault.Add {
			s.t.Errorf("row %s was changed", a.Row.Key)
		}
		if kind == "v" {
			var version struct{ Expires time.Time }
			if err := json.Unmarshal(a.Row.Doc, &version); err != nil {
				s.t.Error(err)
			}
			certificate, _, _ := strings.Cut(rest, ":")
			s.versions(certificate, version.Expires)
		}
	}
}

func (s *yearStore) PutBlob(ctx context.Context, name string, data []byte) error {
	if err := s.call(vaulttest.PutBlob); err != nil {
		return err
	}
	return s.Memory.PutBlob(ctx, name, data)
}

func (s *yearStore) GetBlob(ctx context.Context, name string) ([]byte, error) {
	if err := s.call(vaulttest.GetBlob); err != nil {
		return nil, err
	}
	return s.Memory.GetBlob(ctx, name)
}

func (s *yearStore) DeleteBlob(ctx context.Context, name string) error {
	s.t.Errorf("blob %s was deleted", name)
	return s.Memory.DeleteBlob(ctx, name)
}
