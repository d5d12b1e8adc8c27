package acme_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

// counted counts how often storage is read.
type counted struct {
	*memory.Store
	reads atomic.Int32
	err   atomic.Value
}

func (c *counted) Scan(ctx context.Context, r store.Range) ([]store.Row, error) {
	c.reads.Add(1)
	if err, _ := c.err.Load().(error); err != nil {
		return nil, err
	}
	return c.Store.Scan(ctx, r)
}

func (c *counted) Get(ctx context.Context, key string) (store.Row, error) {
	c.reads.Add(1)
	return c.Store.Get(ctx, key)
}

func token(n int) string { return fmt.Sprintf("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAj%04d", n) }

// TestLookupIsCheap: however many tokens are asked for, storage is read once a
// second, and what is published before a question is found by it.
func TestLookupIsCheap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &counted{Store: new(memory.Store)}
		challenges := acme.Challenges{Store: s}
		lookup := acme.NewLookup(challenges)
		const seconds, questions = 10, 100
		var all sync.WaitGroup
		for second := range seconds {
			for n := range questions {
				all.Go(func() {
					if _, err := lookup.Get(t.Context(), token(second*questions+n)); !errors.Is(err, store.ErrNotFound) {
						t.Errorf("an unknown token: %v", err)
					}
				})
			}
			published := token(9000 + second)
			if err := challenges.Put(t.Context(), published, published+".x"); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if got, err := lookup.Get(t.Context(), published); got != published+".x" || err != nil {
				t.Errorf("what was just published: %q, %v", got, err)
			}
			if waited := time.Since(begun); waited > time.Second {
				t.Errorf("it took %s", waited)
			}
			time.Sleep(time.Second / 2)
		}
		all.Wait()
		if n := s.reads.Load(); n > seconds+2 {
			t.Errorf("storage was read %d times in %d seconds", n, seconds)
		}
		time.Sleep(time.Minute)
		begun := time.Now()
		if _, err := lookup.Get(t.Context(), token(9000)); err != nil || time.Since(begun) > 0 {
			t.Errorf("after a quiet time a question waited %s: %v", time.Since(begun), err)
		}
		before := s.reads.Load()
		if _, err := lookup.Get(t.Context(), "no/token"); !errors.Is(err, store.ErrNotFound) || s.reads.Load() != before {
			t.Errorf("what is not a token: %v", err)
		}
	})
}

// TestLookupFailure: storage that cannot be read is not a token that is not there.
func TestLookupFailure(t *testing.T) {
	t.Parallel()
	away := errors.New("storage is away")
	s := &counted{Store: new(memory.Store)}
	s.err.Store(away)
	if _, err := acme.NewLookup(acme.Challenges{Store: s}).Get(t.Context(), token(1)); !errors.Is(err, away) {
		t.Error(err)
	}
}
