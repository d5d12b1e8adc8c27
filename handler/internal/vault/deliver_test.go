package vault_test

// Deliveries: attempts, dead letters, answers that are lost.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/vault"
)

// down is how a destination fails that cannot be reached.
func down(context.Context, vault.Event) error { return errors.New("connection refused") }

// oneUndelivered makes an event that a destination fails to take, and returns it
// after the first attempts. The certificate's own later events are far away.
func oneUndelivered(t testing.TB, told *recorder) (*harness, vault.Undelivered) {
	t.Helper()
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
	h.importLiving("web", 3650*day)
	h.mustTick()
	left := h.undelivered()
	if len(left) != 1 || left[0].Event.Type != vault.EventNewVersion || left[0].Destination != "siem" || left[0].Attempts == 0 {
		t.Fatalf("undelivered: %+v", left)
	}
	return h, left[0]
}

// TestDeliveryIsTriedForADay: the pauses are those of the schedule, less up to a
// quarter, and after a day the event is a dead letter.
func TestDeliveryIsTriedForADay(t *testing.T) {
	t.Parallel()
	var attempts []time.Time
	ids := make(map[string]bool)
	told := new(recorder)
	var h *harness
	told.fails = func(ctx context.Context, e vault.Event) error {
		attempts = append(attempts, h.clock.Now())
		ids[e.ID] = true
		return down(ctx, e)
	}
	h = tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
	h.importLiving("web", 3650*day)
	began := h.clock.Now()
	var left vault.Undelivered
	for h.mustTick(); left.GivenUp.IsZero() && len(attempts) < 100; h.mustTick() {
		left = h.undelivered()[0]
		if wait := left.Next.Sub(h.clock.Now()); wait > 0 {
			h.clock.Advance(wait)
		}
	}
	if age := left.GivenUp.Sub(began); age != 24*time.Hour || left.Reason != vault.DeadTooOld || left.Attempts != len(attempts) || left.Answer != "connection refused" || !left.Next.IsZero() {
		t.Errorf("after %s it is %+v", age, left)
	}
	if len(ids) != 1 {
		t.Errorf("the event had %d IDs", len(ids))
	}
	schedule := []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute}
	for i := 1; i < len(attempts)-1; i++ { // the last is brought forward to the end of the day
		pause, want := attempts[i].Sub(attempts[i-1]), time.Hour
		if i <= len(schedule) {
			want = schedule[i-1]
		}
		if pause > want || pause < want*3/4-time.Millisecond {
			t.Errorf("pause %d is %s, want up to %s", i, pause, want)
		}
	}
	for _, r := range h.store.Contents().Rows {
		if strings.Contains(r.Key, ":deliver") {
			t.Errorf("a dead letter is due: %s", r.Key)
		}
	}

	// An operator has it tried again, and it is tried for a day again.
	if _, err := h.RetryEvent(t.Context(), vault.Delivery{EventID: left.Event.ID, Destination: "siem"}); err != nil {
		t.Fatal(err)
	}
	again := h.undelivered()[0]
	if !again.GivenUp.IsZero() || again.Next.After(h.clock.Now()) || again.Attempts != 0 {
		t.Errorf("after a retry it is %+v", again)
	}
	h.mustTick()
	if again = h.undelivered()[0]; !again.GivenUp.IsZero() || again.Attempts == 0 {
		t.Errorf("after a retry and a tick it is %+v", again)
	}
	told.fails = nil
	h.clock.Advance(time.Hour)
	h.mustTick()
	if got := told.take(); len(got) != 1 || got[0].ID != left.Event.ID {
		t.Errorf("delivered %+v", got)
	}
	if left := h.undelivered(); len(left) > 0 {
		t.Errorf("left is %+v", left)
	}
}

// TestDeadLetterIsThrownAway: not before 90 days.
func TestDeadLetterIsThrownAway(t *testing.T) {
	t.Parallel()
	told := &recorder{fails: func(context.Context, vault.Event) error {
		return &vault.DeliveryError{Refused: true, Err: errors.New("400 Bad Request")}
	}}
	h, left := oneUndelivered(t, told)
	if left.Reason != vault.DeadRefused || left.Attempts != 1 || left.Answer != "400 Bad Request" {
		t.Errorf("refused at once, it is %+v", left)
	}
	h.clock.Advance(90*day - time.Minute)
	h.mustTick()
	if left := h.undelivered(); len(left) != 1 {
		t.Errorf("before 90 days there is %+v", left)
	}
	h.clock.Advance(time.Minute)
	h.mustTick()
	if left := h.undelivered(); len(left) != 0 {
		t.Errorf("after 90 days there is %+v", left)
	}
}

// TestDestinationSaysWhen: it may ask for more patience than the schedule has,
// but not for more than a day.
func TestDestinationSaysWhen(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]time.Duration{2 * time.Hour: 2 * time.Hour, 48 * time.Hour: 24 * time.Hour} {
		told := &recorder{fails: func(context.Context, vault.Event) error {
			return fmt.Errorf("telling: %w", &vault.DeliveryError{After: after, Err: errors.New("503")})
		}}
		h, left := oneUndelivered(t, told)
		if wait := left.Next.Sub(h.clock.Now()); wait != want || left.Attempts != 1 {
			t.Errorf("asked to wait for %s it waits for %s, want %s", after, wait, want)
		}
	}
}

// TestLostAnswers: what arrived without anybody knowing arrives again, under the
// same ID.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	tries := 0
	told := &recorder{lost: true, fails: func(context.Context, vault.Event) error {
		if tries++; tries <= 3 {
			return errors.New("connection reset")
		}
		return nil
	}}
	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
	h.importLiving("web", 3650*day)
	for range 5 {
		h.mustTick()
		h.clock.Advance(time.Minute)
	}
	got := told.take()
	if len(got) != 4 || len(slices.Compact(got)) != 1 {
		t.Errorf("delivered %+v, want the same four times", got)
	}
	if left := h.undelivered(); len(left) > 0 {
		t.Errorf("left is %+v", left)
	}
}

// TestReceiverIsBack: what happened while a receiver was down for hours arrives
// within the schedule's longest pause, all of it, and elsewhere it arrived at
// once.
func TestReceiverIsBack(t *testing.T) {
	t.Parallel()
	var off atomic.Bool
	off.Store(true)
	siem, other := new(recorder), new(recorder)
	siem.fails = func(ctx context.Context, e vault.Event) error {
		if off.Load() {
			return down(ctx, e)
		}
		return nil
	}
	h := tellingHarness(t, map[string]vault.Destination{"siem": siem, "other": other}, nil)
	const events = 40
	for i := range events {
		h.importLiving(fmt.Sprintf("c%d", i), 3650*day)
		h.mustTick()
		h.clock.Advance(10 * time.Minute)
	}
	if got := other.take(); len(got) != events {
		t.Errorf("the other destination was told of %d", len(got))
	}
	if left := h.undelivered(); len(left) != events || len(siem.take()) > 0 {
		t.Errorf("%d events are left", len(left))
	}
	off.Store(false)
	for range 62 {
		h.clock.Advance(time.Minute)
		h.mustTick()
	}
	ids := make(map[string]bool)
	for _, e := range siem.take() {
		ids[e.ID] = true
	}
	if left := h.undelivered(); len(left) > 0 || len(ids) != events {
		t.Errorf("%d arrived, %d are left", len(ids), len(left))
	}
}

// TestRetryDuringAnAttempt: what an operator asks for meanwhile is not undone by
// what the attempt comes to.
func TestRetryDuringAnAttempt(t *testing.T) {
	t.Parallel()
	var h *harness
	tries := 0
	told := new(recorder)
	told.fails = func(ctx context.Context, e vault.Event) error {
		if tries++; tries > 1 {
			return nil
		}
		if _, err := h.RetryEvent(ctx, vault.Delivery{EventID: e.ID, Destination: "siem"}); err != nil {
			t.Error(err)
		}
		return &vault.DeliveryError{Refused: true, Err: errors.New("400 Bad Request")}
	}
	h = tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
	h.importLiving("web", 3650*day)
	h.mustTick()
	h.mustTick()
	if left := h.undelivered(); len(left) > 0 || tries != 2 || len(told.take()) != 1 {
		t.Errorf("after %d tries %+v is left", tries, left)
	}
}

// TestDestinationThatIsDown: a tick asks it a few times and no more, however much
// there is to tell; when it is back, it is told all of it.
func TestDestinationThatIsDown(t *testing.T) {
	t.Parallel()
	var off atomic.Bool
	var attempts atomic.Int32
	off.Store(true)
	siem, other := new(recorder), new(recorder)
	siem.fails = func(ctx context.Context, e vault.Event) error {
		attempts.Add(1)
		if off.Load() {
			return down(ctx, e)
		}
		return nil
	}
	h := tellingHarness(t, map[string]vault.Destination{"siem": siem, "other": other}, nil)
	const events = 50
	for i := range events {
		h.importLiving(fmt.Sprintf("c%d", i), 3650*day)
	}
	h.mustTick()
	if got := attempts.Load(); got < 3 || got > 6 {
		t.Errorf("a tick asked %d times", got)
	}
	if got := other.take(); len(got) != events {
		t.Errorf("the other destination was told of %d", len(got))
	}
	off.Store(false)
	h.clock.Advance(time.Minute)
	h.mustTick()
	if got := siem.take(); len(got) != events {
		t.Errorf("when it is back it is told of %d", len(got))
	}
}

// TestDestinationTouchesNoOther: neither a panic nor a destination that the
// settings have no more stands in the way of others.
func TestDestinationTouchesNoOther(t *testing.T) {
	t.Parallel()
	told, bad := new(recorder), &recorder{fails: func(context.Context, vault.Event) error { panic("out of cheese") }}
	h := tellingHarness(t, map[string]vault.Destination{"old": told, "bad": bad, "good": told}, nil)
	h.importLiving("web", 3650*day)
	h.Vault = openWith(t, h.store, h.clock, func(cfg *vault.Config) {
		cfg.Destinations = map[string]vault.Destination{"bad": bad, "good": told}
	})
	h.mustTick()
	if got := told.take(); len(got) != 1 {
		t.Errorf("the good one was told %+v", got)
	}
	answers := make(map[string]string)
	for _, left := range h.undelivered() {
		answers[left.Destination] = left.Answer
	}
	want := map[string]string{"bad": "destination bad panicked", "old": "the settings have no destination of this name"}
	if diff := cmp.Diff(want, answers); diff != "" {
		t.Errorf("answers of the others (-want +got):\n%s", diff)
	}
}

func TestUndeliveredPages(t *testing.T) {
	t.Parallel()
	told := &recorder{fails: down}
	h := tellingHarness(t, map[string]vault.Destination{"siem": told, "other": told}, nil)
	for i := range 5 {
		h.importLiving(fmt.Sprintf("c%d", i), 3650*day)
		h.clock.Advance(time.Second)
	}
	var seen []string
	after := ""
	for pages := 0; pages < 5; pages++ {
		list, next, err := h.Undelivered(t.Context(), vault.Page{After: after, Max: 4})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range list {
			seen = append(seen, u.Event.Certificate+" "+u.Destination)
		}
		if after = next; next == "" {
			break
		}
	}
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf("c%d other", i), fmt.Sprintf("c%d siem", i))
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("in pages (-want +got):\n%s", diff)
	}
	for _, after := range []string{"x", "c:web", strings.Repeat("a", 32), strings.Repeat("a", 32) + ":", strings.Repeat("a", 32) + ":b:c"} {
		if _, _, err := h.Undelivered(t.Context(), vault.Page{After: after, Max: 4}); reason(t, err) != vault.BadParameter {
			t.Errorf("page after %q: %v", after, err)
		}
	}
	id := h.undelivered()[0].Event.ID
	for _, unknown := range [][2]string{{"", ""}, {id, ""}, {id, "mail"}, {strings.Repeat("a", 32), "siem"}, {"c", "web"}, {id, "siem:"}} {
		if _, err := h.RetryEvent(t.Context(), vault.Delivery{EventID: unknown[0], Destination: unknown[1]}); reason(t, err) != vault.EventNotFound {
			t.Errorf("retry of %q: %v", unknown, err)
		}
	}
}

// TestEventsCostNoCall: an event is written with its change; what it costs is
// its delivery.
func TestEventsCostNoCall(t *testing.T) {
	t.Parallel()
	calls := func(destinations map[string]vault.Destination) []int {
		h := tellingHarness(t, destinations, nil)
		var calls []int
		count := func(f func() error) {
			t.Helper()
			h.store.ResetCalls()
			if err := f(); err != nil {
				t.Fatal(err)
			}
			calls = append(calls, h.store.Calls().Total())
		}
		n := name(t, "web")
		ctx := t.Context()
		count(func() error { return second(h.Create(ctx, n, vault.CreateParams{Policy: policyFor("Self")})) })
		h.clock.Advance(2 * time.Second)
		count(func() error { return second(h.Operation(ctx, n, "")) })
		count(func() error {
			return second(h.Create(ctx, name(t, "merged"), vault.CreateParams{Policy: policyFor("Unknown")}))
		})
		x5c := []string{signed(t, h.mustOperation("merged").CSR, 9)}
		count(func() error { return second(h.Merge(ctx, name(t, "merged"), vault.MergeParams{X5C: x5c})) })
		imported := vault.ImportParams{Value: newExisting(t, ecP256, h.clock.Now()).pfx(t)}
		count(func() error { return second(h.Import(ctx, name(t, "imported"), imported)) })
		return calls
	}
	told := new(recorder)
	without, with := calls(nil), calls(map[string]vault.Destination{"siem": told, "mail": told})
	if diff := cmp.Diff(without, with); diff != "" {
		t.Errorf("storage calls without and with destinations differ:\n%s", diff)
	}

	h := tellingHarness(t, map[string]vault.Destination{"siem": told}, nil)
	h.importLiving("web", 3650*day)
	h.store.ResetCalls()
	h.mustTick()
	const around = 8 + 1 // queries of two passes, the heartbeat
	if got := h.store.Calls().Total() - around; got != 4 {
		t.Errorf("a delivery takes %d storage calls, want 4: read, claim, read, delete", got)
	}
}
