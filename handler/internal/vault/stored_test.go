package vault_test

// Ticks of a vault that holds much.

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// newStoredHarness has an original that needs nothing for most of ten years.
func newStoredHarness(t testing.TB) *harness {
	clock := newClock()
	lasting := &queue{t: t, clock: clock, life: 3650 * day, issued: make(map[string]time.Time)}
	brief := &queue{t: t, clock: clock, life: 10 * day, issued: make(map[string]time.Time)}
	same := func(s store.Store) store.Store { return s }
	h := newLargeHarness(t, clock, same, map[string]provider.Provider{"lasting": lasting, "brief": brief})
	h.mustSetIssuer("lasting", "lasting")
	h.mustSetIssuer("brief", "brief")
	h.mustIssue(original, vault.CreateParams{Policy: renewed("lasting", policy.LifetimeAction{Percentage: 80})})
	return h
}

// TestTickIsFlat: what a tick costs follows from what is due, however many
// certificates are stored.
func TestTickIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	t.Parallel()
	h := newStoredHarness(t)
	const renewals, requests = 5, 20
	for i := range renewals {
		h.mustIssue(fmt.Sprint("renewed", i), vault.CreateParams{Policy: renewed("brief", policy.LifetimeAction{Percentage: 80})})
	}
	sizes := []int{0, 1000, 10_000, 100_000}
	if raceDetector {
		sizes = sizes[:3]
	}
	var empty memory.Calls
	for i, size := range sizes {
		if i > 0 {
			h.mustCopy("stored", sizes[i-1], size)
		}
		h.clock.Advance(9 * day) // the renewals are due, and events about them
		for j := range requests {
			h.mustCreate(fmt.Sprint("asked", i, "-", j), "lasting")
		}
		h.store.ResetCalls()
		h.mustTick()
		calls := h.store.Calls()
		for j := range requests {
			if op := h.mustOperation(fmt.Sprint("asked", i, "-", j)); op.Status != vault.StatusCompleted {
				t.Errorf("over %d certificates: a request is %s", size, op.Status)
			}
		}
		if i == 0 {
			empty = calls
		}
		t.Logf("%d certificates: %d storage calls %v for %d renewals and %d requests", size, calls.Total(), calls, renewals, requests)
		if diff := cmp.Diff(empty, calls); diff != "" {
			t.Errorf("storage calls of a tick over %d certificates (-over none +got):\n%s", size, diff)
		}
	}
}

// BenchmarkIdleTick is a tick over 10,000 certificates that need nothing. It
// reports how many times as long that takes as over one.
func BenchmarkIdleTick(b *testing.B) {
	many, one := newStoredHarness(b), newStoredHarness(b)
	many.mustCopy("stored", 0, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		many.mustTick()
	}
	b.StopTimer()
	start := time.Now()
	for range b.N {
		one.mustTick()
	}
	b.ReportMetric(float64(b.Elapsed())/float64(time.Since(start)), "times-one")
}
