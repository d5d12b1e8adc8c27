package checkout

// Tools that are made once.

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// TestOnce: whoever asks gets a folder that is complete, and it is filled once.
func TestOnce(t *testing.T) {
	t.Parallel()
	c := Checkout{Root: t.TempDir()}
	broken := errors.New("the network is gone")
	fail := func(_ context.Context, dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o600), broken)
	}
	if _, err := c.Once(t.Context(), "tools/a", fail); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if there(c.Local("tools", "a")) {
		t.Error("a folder that was not filled is there")
	}
	var filled atomic.Int32
	fill := func(_ context.Context, dir string) error {
		filled.Add(1)
		return os.WriteFile(filepath.Join(dir, "program"), nil, 0o700)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := c.Once(t.Context(), "tools/a", fill)
			if err != nil || !there(filepath.Join(dir, "program")) || there(filepath.Join(dir, "half")) {
				t.Errorf("got %q, %v", dir, err)
			}
		})
	}
	wg.Wait()
	if n := filled.Load(); n != 1 {
		t.Errorf("filled %d times", n)
	}
}
