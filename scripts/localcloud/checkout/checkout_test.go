package checkout_test

// The working copy and its lock.

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

func TestFindLooksUpwards(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		filepath.Join(root, "go.mod"): "module github.com/certwright/certwright\n\ngo 1.26.0\n",
		filepath.Join(deep, "go.mod"): "module example.com/other\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := checkout.Find(deep)
	if err != nil || c.Root != root {
		t.Errorf("Find = %q, %v, want %q", c.Root, err, root)
	}
	if _, err := checkout.Find(t.TempDir()); err == nil {
		t.Error("found a working copy above an unrelated folder")
	}
}

func TestLockExcludes(t *testing.T) {
	t.Parallel()
	c := checkout.Checkout{Root: t.TempDir()}
	first, err := c.TryLock("up.lock")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Write([]byte("pid 1")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.TryLock("up.lock"); !errors.Is(err, checkout.ErrLocked) {
		t.Errorf("second lock: %v, want ErrLocked", err)
	}
	content, err := os.ReadFile(c.Local("up.lock"))
	if err != nil || string(content) != "pid 1" {
		t.Errorf("the refused lock left %q, %v, want what the holder wrote", content, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.LockWait(ctx, "up.lock"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a held lock: %v, want DeadlineExceeded", err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	second, err := c.LockWait(t.Context(), "up.lock")
	if err != nil {
		t.Fatalf("locking after the unlock: %v", err)
	}
	if err := second.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestOrHere(t *testing.T) {
	t.Parallel()
	given := checkout.Checkout{Root: t.TempDir()}
	if got, err := given.OrHere(); err != nil || got != given {
		t.Errorf("of %v: %v, %v", given, got, err)
	}
	here, err := checkout.Find(".")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := (checkout.Checkout{}).OrHere(); err != nil || got != here {
		t.Errorf("of none: %v, %v, want %v", got, err, here)
	}
}
