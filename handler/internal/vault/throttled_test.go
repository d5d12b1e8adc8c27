package vault_test

// Storage that asks for fewer requests.

import (
	"context"
	"testing"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// busy is a store that, once told to, applies one more transaction and answers
// nothing but that it is too busy.
type busy struct {
	store.Store
	soon, now bool
}

func (b *busy) Get(ctx context.Context, key string) (store.Row, error) {
	if b.now {
		return store.Row{}, store.ErrThrottled
	}
	return b.Store.Get(ctx, key)
}

func (b *busy) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	etag, err := b.Store.Commit(ctx, tx)
	if b.soon && err == nil {
		b.now = true
		return "", store.ErrThrottled
	}
	return etag, err
}

// Throttling says as little as silence about what became of a change: the chain
// of a version that may be there stays.
func TestThrottledMergeKeepsItsChain(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	store := &busy{Store: h.store}
	v := open(t, store, h.clock, nil)
	op := h.mustCreate("a", "Unknown")
	x5c := []string{signed(t, op.CSR, 1)}
	store.soon = true
	if _, err := v.Merge(t.Context(), name(t, "a"), vault.MergeParams{X5C: x5c}); reason(t, err) != vault.Throttled {
		t.Fatalf("merge on a store that is too busy: got %v, want it throttled", err)
	}
	// The harness would have reported a version without its chain.
	if got, err := h.Certificate(t.Context(), name(t, "a")); err != nil || got.Leaf == nil {
		t.Errorf("got %+v, %v, want the merged certificate", got, err)
	}
}
