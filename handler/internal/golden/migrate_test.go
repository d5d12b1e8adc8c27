package golden_test

// What older programs stored is brought to the form of today, wherever that is broken
// off.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestMigrates brings both fixtures to the form of today.
func TestMigrates(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{fixtures, earliest} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			w := readFixtureIn(t, dir).open(t)
			before := w.store.Contents()
			if dir == earliest {
				markHeads(before)
			}
			w.migrate()
			after := w.store.Contents()
			inTodaysForm(t, after)
			compare(t, before, after, "d:", "s:migrate", "s:sweep",
				" schema", " dues", "c: writes", "c: told", "c: renewal", "c: latest.schema", "c: latest.chainSum", "v: chainSum",
				"c: policy.schema", "c: operation.policy.schema", "r: operation.policy.schema", "x: head.policy.schema", "x: head.operation.policy.schema",
				"c:web policy.x509.subject", "c:web operation.policy.x509.subject", // turned
				"k: sealed", "a: sealed", "i: password", "i: passwordId", "i: passwordBound") // sealed anew
			m, err := w.Migration(t.Context())
			if err != nil || m.Ended.IsZero() || m.Total == 0 || m.Pass < 2 {
				t.Errorf("the migration is %+v (%v)", m, err)
			}
			w.store.ResetCalls()
			w.must("upkeep", w.Maintain(t.Context()))
			if calls := w.store.Calls(); calls.Total() > 3 { // of a sweep
				t.Errorf("upkeep after it takes %v", calls)
			}
		})
	}
}

// markHeads gives heads the labels by which the board finds them.
func markHeads(c memory.Contents) {
	for i := range c.Rows {
		mark, ok := map[string]string{"c:failed": " failed", "c:person": " open", "c:waiting": " open"}[c.Rows[i].Key]
		if ok {
			c.Rows[i].Label += mark
		}
	}
}

// migrate has ticks go on until everything is in today's form.
func (w *world) migrate() {
	w.t.Helper()
	for range 90 {
		w.must("upkeep", w.Maintain(w.t.Context()))
		m, err := w.Migration(w.t.Context())
		w.must("reading how far the migration is", err)
		if !m.Ended.IsZero() {
			return
		}
		w.clock.advance(time.Minute)
	}
	w.t.Fatal("an hour and a half later the migration has not ended")
}

// inTodaysForm checks that every document is of today's schema, that the due rows on
// lists, and no others, are there, and that versions know their chains.
func inTodaysForm(t *testing.T, c memory.Contents) {
	t.Helper()
	listed := make(map[string]string) // labels by keys
	for _, r := range c.Rows {
		var doc struct {
			Dues     []struct{ Key, Label string }
			Chain    string
			ChainSum []byte
			Latest   *struct{ ChainSum []byte }
		}
		if schema, err := store.SchemaOf(r); err != nil || schema != store.Schema && r.Key != "s:heartbeat" && !strings.HasPrefix(r.Key, "d:") {
			t.Errorf("%s has the schema %d (%v)", r.Key, schema, err)
		}
		if err := json.Unmarshal(r.Doc, &doc); err != nil {
			t.Fatal(err)
		}
		for _, d := range doc.Dues {
			listed[d.Key] = d.Label
		}
		if blob, ok := c.Blobs[doc.Chain]; ok && strings.HasPrefix(r.Key, "v:") {
			if sum := sha256.Sum256(blob); !bytes.Equal(sum[:], doc.ChainSum) {
				t.Errorf("%s has the sum %x of its chain, want %x", r.Key, doc.ChainSum, sum)
			}
		}
		if summed := strings.ContainsAny(r.Key[:1], "cvx"); summed != (r.Summary != nil) {
			t.Errorf("%s has the summary %s", r.Key, r.Summary)
		}
	}
	there := make(map[string]string)
	for _, r := range c.Rows {
		if strings.HasPrefix(r.Key, "d:") {
			there[r.Key] = r.Label
		}
	}
	if diff := cmp.Diff(listed, there); diff != "" {
		t.Errorf("labels of due rows by keys (-on lists +there):\n%s", diff)
	}
}

// TestMigrationIsKilled kills the process of a migration before and after each of its
// calls to storage; another goes on, and ends with the same.
func TestMigrationIsKilled(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{fixtures, earliest} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			f := readFixtureIn(t, dir)
			whole := f.open(t)
			whole.store.ResetCalls()
			whole.must("upkeep", whole.Maintain(t.Context()))
			calls := whole.store.Calls().Total()
			whole.migrate()
			want := form(t, whole.store.Contents())
			if calls < len(f.rows)/4 {
				t.Fatalf("the first upkeep takes only %d calls", calls)
			}
			for n := 1; n <= calls; n++ {
				for _, applied := range []bool{false, true} {
					w := f.open(t)
					w.store.set(func() { w.store.life, w.store.lastApplies = n, applied })
					if err := w.Maintain(t.Context()); err == nil && n < calls-3 {
						t.Fatalf("killed at call %d of %d, it has succeeded", n, calls)
					}
					later := newWorld(t, w.store, w.clock.Now(), 4, w.corp.Certificate())
					w.store.set(func() { w.store.life = 0 })
					later.migrate()
					if diff := cmp.Diff(want, form(t, later.store.Contents())); diff != "" {
						t.Errorf("killed at call %d (applied: %t): rows (-whole +killed):\n%s", n, applied, diff)
					}
				}
			}
		})
	}
}

// form lists rows without what differs between two migrations.
func form(t *testing.T, c memory.Contents) (lines []string) {
	t.Helper()
	for _, r := range c.Rows {
		if strings.HasPrefix(r.Key, "s:") || strings.HasPrefix(r.Key, "a:") { // a world makes a CA of its own where there is none
			continue
		}
		var doc map[string]any
		if err := json.Unmarshal(r.Doc, &doc); err != nil {
			t.Fatal(err)
		}
		delete(doc, "writes")
		for _, member := range []string{"sealed", "password", "passwordId"} {
			delete(doc, member)
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s [%s] %s %s", r.Key, r.Label, text, r.Summary))
	}
	return lines
}

// TestMigratedIsRead does with the migrated data what TestReadsOld does with the old.
func TestMigratedIsRead(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	w := f.open(t)
	now := w.clock.Now()
	w.migrate()
	w.clock.advance(now.Sub(w.clock.Now()))
	for _, n := range f.names(live...) {
		versions, _, err := w.Versions(t.Context(), w.name(n), vault.Page{Max: 10})
		w.must("listing versions of "+n, err)
		for _, v := range versions {
			w.checkVersion(n, v)
		}
	}
	w.readRest(f)
}

// TestEarliestLives: certificates of a commit that knew neither renewals nor events
// nor a board are on the board, tell of their expiry and are renewed, once ticks have
// migrated them.
func TestEarliestLives(t *testing.T) {
	t.Parallel()
	f := readFixtureIn(t, earliest)
	w := f.open(t)
	if list := w.board(); len(list) != 0 {
		t.Errorf("before the migration the board has %+v: this test tests nothing", list)
	}
	w.migrate()
	work := make(map[string]vault.Status)
	for _, e := range w.board() {
		work[e.Name] = e.Status
	}
	if diff := cmp.Diff(map[string]vault.Status{"failed": "failed", "waiting": "inProgress", "person": "inProgress"}, work); diff != "" {
		t.Errorf("the board (-want +got):\n%s", diff)
	}
	old := make(map[string]string)
	for _, n := range []string{"Web", "issued"} {
		c, err := w.Certificate(t.Context(), w.name(n))
		w.must("reading "+n, err)
		old[n] = c.Version
	}
	for _, kind := range []string{"nearexpiry", "expired", "renew"} {
		if !slices.ContainsFunc(w.store.Contents().Rows, func(r store.Row) bool { return strings.HasSuffix(r.Key, ":web:"+kind) }) {
			t.Errorf("web has no due row %s", kind)
		}
	}
	w.pass(330*day, 3*day)
	for n, version := range old {
		versions, _, err := w.Versions(t.Context(), w.name(n), vault.Page{Max: 25})
		w.must("listing versions of "+n, err)
		if !slices.ContainsFunc(versions, func(v vault.Certificate) bool { return v.Previous == version }) {
			t.Errorf("%s was not renewed", n)
		}
	}
}

// TestFinishMigration: a migration that has been through everything once can be
// ended; one that has not cannot.
func TestFinishMigration(t *testing.T) {
	t.Parallel()
	w := readFixture(t).open(t)
	ctx := context.Background()
	if _, err := w.FinishMigration(ctx); err == nil {
		t.Error("it was finished before it began")
	}
	w.must("upkeep", w.Maintain(ctx))
	m, err := w.FinishMigration(ctx)
	if err != nil || m.Ended.IsZero() || m.Total == 0 {
		t.Errorf("finished, it is %+v (%v)", m, err)
	}
	again, err := w.FinishMigration(ctx)
	if err != nil || again != m {
		t.Errorf("finished again, it is %+v (%v)", again, err)
	}
	inTodaysForm(t, w.store.Contents())
}
