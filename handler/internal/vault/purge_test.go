package vault_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// slowStore takes its time to delete a blob.
type slowStore struct {
	store.Store
	clock   *clock
	deletes atomic.Int64
}

func (s *slowStore) DeleteBlob(ctx context.Context, name string) error {
	s.deletes.Add(1)
	s.clock.Advance(200 * time.Millisecond)
	return s.Store.DeleteBlob(ctx, name)
}

// TestLongPurgeGoesOn: a certificate has more versions than a tick can remove. The next
// tick does not begin anew, and no blob is deleted twice.
func TestLongPurgeGoesOn(t *testing.T) {
	t.Parallel()
	h := &harness{t: t, clock: newClock(), store: newHarness(t, nil).store}
	h.store.OnCommit(nil)
	slow := &slowStore{Store: h.store, clock: h.clock}
	h.Vault = open(t, slow, h.clock, nil)
	const versions = 600
	p := policyFor("Self")
	p.Key = &policy.KeyParams{Type: new("EC")}
	for range versions {
		if err := second(h.Create(t.Context(), name(t, "web"), vault.CreateParams{Policy: p})); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(2 * time.Second)
		if op := h.mustOperation("web"); op.Status != vault.StatusCompleted {
			t.Fatal(op.Status)
		}
	}
	if err := second(h.Delete(t.Context(), name(t, "web"))); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(91 * day)
	ticks := 0
	for len(under(h, "c:")) > 0 && ticks < 10 {
		began := h.clock.Now()
		h.mustTick()
		ticks++
		if took := h.clock.Now().Sub(began); took > 70*time.Second {
			t.Errorf("a tick took %s", took)
		}
	}
	left := h.store.Contents()
	if ticks < 2 || ticks > 5 || len(left.Blobs) > 0 || len(under(h, "v:"))+len(under(h, "k:"))+len(under(h, "d:")) > 0 {
		t.Errorf("%d ticks leave %d rows and %d blobs", ticks, len(left.Rows), len(left.Blobs))
	}
	if n := slow.deletes.Load(); n != versions {
		t.Errorf("%d blobs were deleted %d times", versions, n)
	}
}

// TestNoPurgeBeforeItsDate: a due row that is there too early, or that a clock ahead
// reads, purges nothing.
func TestNoPurgeBeforeItsDate(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustCreate("web", "Self")
	h.mustTick()
	if err := second(h.Delete(t.Context(), name(t, "web"))); err != nil {
		t.Fatal(err)
	}
	deleted := h.clock.Now()
	ahead := &clock{now: deleted.Add(90*day - 10*time.Second)} // a tick looks ahead, and waits
	v := open(t, h.store, ahead, nil)
	if _, err := v.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at := ahead.Now(); at.Before(deleted.Add(90 * day)) {
		t.Fatalf("the tick ended at %s", at)
	}
	if len(under(h, "c:")) != 0 {
		t.Fatal("not purged at its date")
	}
	h.mustCreate("early", "Self")
	h.mustTick()
	if err := second(h.Delete(t.Context(), name(t, "early"))); err != nil {
		t.Fatal(err)
	}
	for _, r := range under(h, "d:3:") { // as a program with another formula wrote it
		var doc map[string]any
		if err := json.Unmarshal(r.Doc, &doc); err != nil {
			t.Fatal(err)
		}
		doc["at"] = time.UnixMilli(1)
		early := store.NewRow("d:3:0000000000001:early:purge", r.Label, doc)
		h.store.OnCommit(nil)
		if _, err := h.store.Commit(t.Context(), store.Tx{Actions: []store.Action{{Verb: store.Add, Row: early}}}); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.Advance(day)
	h.mustTick()
	if _, err := h.Deleted(t.Context(), name(t, "early")); err != nil {
		t.Errorf("purged 89 days before its date: %v", err)
	}
}

// under are the rows of a harness whose keys begin with prefix.
func under(h *harness, prefix string) (rows []store.Row) {
	for _, r := range h.store.Contents().Rows {
		if len(r.Key) >= len(prefix) && r.Key[:len(prefix)] == prefix {
			rows = append(rows, r)
		}
	}
	return rows
}
