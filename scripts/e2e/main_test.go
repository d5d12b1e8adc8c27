package e2e

// What the tests share, made once and on demand.

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// startLimit bounds what the tests share: building the app, installing Azurite and
// the clients from an empty cache, starting everything.
const startLimit = 8 * time.Minute

// together is how many tests run at a time: they wait more than they work.
const together = "40"

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		flag.Set("test.parallel", together)
	}
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: ending what the tests shared:", err)
		code = 1
	}
	os.Exit(code)
}

// resources are what the tests of a run share. Each part starts when the first
// test asks for it.
type resources struct {
	mu   sync.Mutex
	ends []func() error
}

var shared resources

// atEnd has end called when all tests have ended, the last that was added first.
func (r *resources) atEnd(end func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, end)
}

func (r *resources) stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for len(r.ends) > 0 {
		last := len(r.ends) - 1
		errs = append(errs, r.ends[last]())
		r.ends = r.ends[:last]
	}
	return errors.Join(errs...)
}

// once makes something that the tests share. Everybody gets the same value, or the
// same error.
func once[T any](start func(context.Context) (T, error)) func() (T, error) {
	return sync.OnceValues(func() (T, error) {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		return start(ctx)
	})
}

// need is a part that the tests share.
func need[T any](t testing.TB, part func() (T, error)) T {
	t.Helper()
	value, err := part()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// tree is the working copy.
var tree = once(func(context.Context) (checkout.Checkout, error) {
	found, err := checkout.Find(".")
	if err != nil {
		return found, err
	}
	return found, readInputs(found.Root)
})

// readInputs reads the folders of everything that the tests build and start. Go
// takes a result for fresh as long as the files that the tests themselves have
// opened are the same, and a folder is the names, sizes and times in it.
func readInputs(root string) error {
	for _, dir := range []string{"handler", "functions", "scripts"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(_ string, entry fs.DirEntry, err error) error {
			if err == nil && (entry.Name() == "node_modules" || entry.Name() == ".venv") {
				return fs.SkipDir
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("reading the sources in %q: %w", dir, err)
		}
	}
	return nil
}

// scratch is a folder for everything that the tests share.
var scratch = once(func(context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "certwright-e2e-")
	if err == nil {
		shared.atEnd(func() error { return os.RemoveAll(dir) })
	}
	return dir, err
})

// eventually asks again and again until done says so, and fails the test with
// what it last said when that takes too long.
func eventually(t testing.TB, limit time.Duration, what string, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := await(ctx, what, done); err != nil {
		t.Fatal(err)
	}
}

// pause is how long await waits before it asks again.
const pause = 100 * time.Millisecond

// await is eventually for those who have no test.
func await(ctx context.Context, what string, done func() error) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		last := done()
		if last == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %w", what, context.Cause(ctx), last)
		}
	}
}
