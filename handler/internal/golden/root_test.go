package golden_test

// Everything comes under a new root by ticks, wherever that is broken off, so that the
// one before can be forgotten.

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/root"
	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// rooted is a world whose keys are those of a root in its store, as in the program.
type rooted struct {
	*world
	keeper *root.Keeper
}

// process makes a process that goes on with a store. What kills it leaves its keeper
// alone.
func (f *fixture) process(t *testing.T, s *memoryStore, c *clock) *rooted {
	t.Helper()
	kek := goldenKEK(t)
	keeper, err := root.New(root.Config{Store: &s.Store, KEK: kek, Partition: "golden", Adopt: true, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	current := func(ctx context.Context) (string, error) {
		keys, err := keeper.Keys(ctx)
		if err != nil {
			return "", err
		}
		return keys.Current(), nil
	}
	in := installation{keeper.Keys, keeper.Refresh, kek, keeper.EndAdoption, current, root.RootsOf}
	w := newWorldUnder(t, in, s, c, 5, f.authority(t))
	maps.Copy(w.crls.blobs, f.CRLs)
	return &rooted{w, keeper}
}

func (w *rooted) keys() *rootkey.Keys {
	w.t.Helper()
	keys, err := w.keeper.Keys(w.t.Context())
	w.must("opening the root", err)
	return keys
}

// rotated is a store of the fixture in today's form whose root has just been replaced,
// by a process of its own; first knows the root before only.
func (f *fixture) rotated(t *testing.T) (first *rooted, earlier string) {
	t.Helper()
	first = f.process(t, f.store(t), &clock{now: f.Now})
	first.migrate()
	var tx store.Tx
	tx.Put(store.NewRow("q:00:1", "", map[string]any{"schema": store.Schema})) // the fixture has none
	_, err := first.accounts.Store.Commit(t.Context(), tx)
	first.must("writing a row", err)
	kinds := make(map[string]bool)
	for _, key := range under(first.store.Contents(), first.keys().Current()) {
		kinds[key[:2]] = true
	}
	if want := []string{"a:", "c:", "e:", "i:", "k:", "q:", "r:", "s:", "t:", "v:", "w:", "x:"}; !slices.Equal(slices.Sorted(maps.Keys(kinds)), want) {
		t.Fatalf("under the root are rows of the kinds %v, want %v: this test tests less", kinds, want)
	}
	first = f.process(t, first.store, first.clock) // which has not asked yet how far the migration is
	earlier = first.keys().Current()
	_, err = f.process(t, first.store, first.clock).keeper.Rotate(t.Context())
	first.must("beginning a new root", err)
	return first, earlier
}

// under lists the rows that are signed or sealed under a root.
func under(c memory.Contents, id string) (keys []string) {
	for _, r := range c.Rows {
		if slices.Contains(root.RootsOf(r), id) {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

// TestNewRoot: ticks bring everything under a new root, also what a process writes that
// does not know it yet. Then the one before can be forgotten, and everything is read,
// opened and renewed as before.
func TestNewRoot(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	first, earlier := f.rotated(t)
	before := form(t, first.store.Contents())
	second := f.process(t, first.store, first.clock)
	second.must("upkeep", second.Maintain(t.Context()))
	if left := under(second.store.Contents(), earlier); len(left) != 0 {
		t.Errorf("after a pass these are under the earlier root: %v", left)
	}
	if diff := cmp.Diff(before, form(t, second.store.Contents())); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
	if migrating, err := second.Migrating(t.Context()); migrating || err != nil {
		t.Errorf("the board would say that it lacks something: %t, %v", migrating, err)
	}
	if m, err := second.Migration(t.Context()); err != nil || !m.Ended.IsZero() || m.Total == 0 {
		t.Errorf("after a pass the migration is %+v (%v)", m, err)
	}
	second.clock.advance(20 * time.Minute)
	_, err := first.SetContacts(t.Context(), []vault.Contact{{Email: "ada@example.com", Name: "Ada", Phone: "5550100"}, {Email: "bob@example.com"}})
	second.must("setting contacts", err)
	if left := under(second.store.Contents(), earlier); !slices.Equal(left, []string{"s:contacts"}) {
		t.Errorf("under the earlier root a process wrote %v: this test tests nothing", left)
	}
	second.migrate()
	first.must("upkeep of the process that did not know", first.Maintain(t.Context()))
	if first.keys().Current() == earlier {
		t.Error("a process does not learn of the new root")
	}
	if left := under(second.store.Contents(), earlier); len(left) != 0 {
		t.Errorf("in the end these are under the earlier root: %v", left)
	}
	second.must("forgetting the earlier root", second.keeper.Forget(t.Context(), earlier))

	second.clock.advance(f.Now.Sub(second.clock.Now()))
	last := f.process(t, first.store, first.clock)
	for _, n := range f.names(live...) {
		versions, _, err := last.Versions(t.Context(), last.name(n), vault.Page{Max: 10})
		last.must("listing versions of "+n, err)
		for _, v := range versions {
			last.checkVersion(n, v)
		}
	}
	last.readRest(f)
	c, err := last.Certificate(t.Context(), last.name("web"))
	last.must("reading a certificate", err)
	last.pass(330*day, 3*day)
	versions, _, err := last.Versions(t.Context(), last.name("web"), vault.Page{Max: 25})
	last.must("listing versions", err)
	if !slices.ContainsFunc(versions, func(v vault.Certificate) bool { return v.Previous == c.Version }) {
		t.Error("it was not renewed")
	}
	if opened := slices.Sorted(maps.Keys(last.sealer.opened)); !slices.ContainsFunc(opened, func(s string) bool { return strings.HasPrefix(s, "password|") }) {
		t.Errorf("no password was opened, only %v", opened)
	}
}

// TestNewRootIsLearnt: a process that finds everything under a root that it does not know
// learns of that root, and does not begin to bring everything back.
func TestNewRootIsLearnt(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	first, earlier := f.rotated(t)
	second := f.process(t, first.store, first.clock)
	second.must("upkeep", second.Maintain(t.Context()))
	want, err := second.FinishMigration(t.Context())
	second.must("finishing", err)
	if first.keys().Current() != earlier {
		t.Fatal("the process knows already: this test tests nothing")
	}
	first.must("upkeep of a process that does not know", first.Maintain(t.Context()))
	if m, err := first.Migration(t.Context()); err != nil || m != want || m.Ended.IsZero() {
		t.Errorf("it is %+v (%v), want %+v", m, err, want)
	}
	if left := under(first.store.Contents(), earlier); len(left) != 0 || first.keys().Current() == earlier {
		t.Errorf("the process knows %s, and under the earlier root are %v", first.keys().Current(), left)
	}
}

// TestNewRootIsKilled kills the process that brings everything under a new root, before
// and after each of its calls to storage; another goes on, and ends with the same.
func TestNewRootIsKilled(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	first, earlier := f.rotated(t)
	start, now := first.store.Contents(), first.clock.Now()
	want := form(t, start)
	fresh := func() *rooted {
		t.Helper()
		s := new(memoryStore)
		for _, r := range start.Rows {
			r.ETag = ""
			var tx store.Tx
			tx.Put(r)
			if _, err := s.Commit(t.Context(), tx); err != nil {
				t.Fatal(err)
			}
		}
		for name, data := range start.Blobs {
			if err := s.PutBlob(t.Context(), name, data); err != nil {
				t.Fatal(err)
			}
		}
		return f.process(t, s, &clock{now: now})
	}
	whole := fresh()
	whole.store.ResetCalls()
	whole.must("upkeep", whole.Maintain(t.Context()))
	calls := whole.store.Calls().Total()
	if calls < 25 {
		t.Fatalf("a pass takes only %d calls", calls)
	}
	for n := 1; n <= calls; n++ {
		for _, applied := range []bool{false, true} {
			w := fresh()
			w.store.set(func() { w.store.life, w.store.lastApplies = n, applied })
			if err := w.Maintain(t.Context()); err == nil && n < calls-3 {
				t.Fatalf("killed at call %d of %d, it has succeeded", n, calls)
			}
			w.store.set(func() { w.store.life = 0 })
			later := f.process(t, w.store, w.clock)
			later.must("upkeep", later.Maintain(t.Context()))
			if left := under(later.store.Contents(), earlier); len(left) != 0 {
				t.Errorf("killed at call %d (applied: %t): under the earlier root are %v", n, applied, left)
			}
			if diff := cmp.Diff(want, form(t, later.store.Contents())); diff != "" {
				t.Errorf("killed at call %d (applied: %t): rows (-before +after):\n%s", n, applied, diff)
			}
		}
	}
}
