package functionshost

// Timers under a simulated clock.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/functionshost/schedule"
)

// A bubble's clock starts at midnight.
var midnight = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// A run is what a timer's function was told and when.
type run struct {
	at      string // time of day
	pastDue bool
	status  string // Last/Next; empty if not monitored
}

// A bench runs one timer in a bubble.
type bench struct {
	*timer
	took time.Duration // how long a run takes
	err  error         // what comes of it
	runs []run
}

func newBench(t testing.TB, text string, store *statusFile) *bench {
	t.Helper()
	s, err := schedule.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{}
	b.timer = &timer{
		fn:       &Function{Name: "Tick", trigger: &Binding{Type: timerTrigger, Name: "timer"}},
		schedule: s, store: store, requests: make(chan struct{}, maxRequests),
		now: func() time.Time { return time.Now().UTC() }, after: time.After, log: slog.New(slog.DiscardHandler),
	}
	running := false
	b.invoke = func(_ context.Context, info timerInfo) error {
		if running {
			t.Error("two runs at a time")
		}
		running = true
		defer func() { running = false }()
		r := run{at: time.Now().UTC().Format(time.TimeOnly), pastDue: info.IsPastDue}
		if s := info.ScheduleStatus; s != nil {
			r.status = s.Last.Format(time.TimeOnly) + "/" + s.Next.Format(time.TimeOnly)
			if s.Last.IsZero() {
				r.status = "never/" + s.Next.Format(time.TimeOnly)
			}
		}
		b.runs = append(b.runs, r)
		time.Sleep(b.took)
		return b.err
	}
	return b
}

// during runs the timer for a while, then stops it as Stop does.
func (b *bench) during(d time.Duration, asides ...func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		b.run(context.Background(), stop)
		close(done)
	}()
	for _, aside := range asides {
		aside()
	}
	time.Sleep(d)
	close(stop)
	<-done
}

func (b *bench) check(t *testing.T, want ...run) {
	t.Helper()
	if !slices.Equal(b.runs, want) {
		t.Errorf("runs:\n%s\nwant:\n%s", show(b.runs), show(want))
	}
}

func show(runs []run) string {
	var out strings.Builder
	for _, r := range runs {
		fmt.Fprintf(&out, "  %+v\n", r)
	}
	return out.String()
}

func TestTimerKeepsToSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "0 */10 * * * *", &statusFile{})
		b.err = errors.New("a failure does not stop the schedule")
		b.during(25 * time.Minute)
		b.check(t, run{at: "00:10:00", status: "never/00:10:00"}, run{at: "00:20:00", status: "00:10:00/00:20:00"})
	})
}

func TestTimerUnmonitored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "*/30 * * * * *", nil)
		b.during(65 * time.Second)
		b.check(t, run{at: "00:00:30"}, run{at: "00:01:00"})
	})
}

func TestTimerDoesNotOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "0 * * * * *", &statusFile{})
		b.took = 150 * time.Second // 00:02 and 00:03 pass meanwhile and are caught up on once
		b.during(4 * time.Minute)
		b.check(t, run{at: "00:01:00", status: "never/00:01:00"}, run{at: "00:03:30", status: "00:01:00/00:02:00"})
	})
}

func TestTimerInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "00:10:00", &statusFile{})
		b.took = time.Minute // the interval counts from start to start
		b.during(21 * time.Minute)
		b.check(t, run{at: "00:10:00", status: "never/00:10:00"}, run{at: "00:20:00", status: "00:10:00/00:20:00"})
	})
}

func TestTimerRunOnStartup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "0 */10 * * * *", &statusFile{})
		b.fn.trigger.RunOnStartup = true
		b.during(11 * time.Minute)
		b.check(t, run{at: "00:00:00", status: "never/00:10:00"}, run{at: "00:10:00", status: "00:00:00/00:10:00"})
	})
}

func TestTimerNeverFires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "0 0 0 30 2 *", &statusFile{})
		b.during(10000 * time.Hour)
		b.check(t)
	})
}

// TestTimerByHand checks that runs asked for by hand wait for each other and
// for the schedule's, and leave the schedule alone.
func TestTimerByHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "0 */10 * * * *", &statusFile{})
		b.took = time.Minute
		b.during(4*time.Minute, func() {
			time.Sleep(2 * time.Minute)
			b.request()
			b.request()
			time.Sleep(7*time.Minute + 30*time.Second)
			b.request()
		})
		b.check(t, run{at: "00:02:00", status: "never/00:10:00"}, run{at: "00:03:00", status: "never/00:10:00"},
			run{at: "00:09:30", status: "never/00:10:00"}, run{at: "00:10:30", status: "never/00:10:00"})
	})
}

func TestTimerRequestsAreLimited(t *testing.T) {
	t.Parallel()
	b := newBench(t, "0 * * * * *", nil)
	for range maxRequests {
		if !b.request() {
			t.Fatal("a request was refused")
		}
	}
	if b.request() {
		t.Errorf("more than %d requests wait", maxRequests)
	}
}

func TestTimerPastDue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		before, after string // schedules of the first and the second host
		first, pause  time.Duration
		want          []run // of the second host, for 30 minutes
	}{
		{"missed once and again, caught up once", "0 */10 * * * *", "0 */10 * * * *", 15 * time.Minute, 30 * time.Minute, []run{
			{at: "00:45:00", pastDue: true, status: "00:10:00/00:20:00"}, {at: "00:50:00", status: "00:45:00/00:50:00"}, {at: "01:00:00", status: "00:50:00/01:00:00"}, {at: "01:10:00", status: "01:00:00/01:10:00"},
		}},
		{"nothing missed", "0 */30 * * * *", "0 */30 * * * *", 31 * time.Minute, time.Minute, []run{{at: "01:00:00", status: "00:30:00/01:00:00"}}},
		{"missed before it ever ran", "0 */10 * * * *", "0 */10 * * * *", time.Minute, 40 * time.Minute, []run{
			{at: "00:41:00", pastDue: true, status: "never/00:10:00"}, {at: "00:50:00", status: "00:41:00/00:50:00"}, {at: "01:00:00", status: "00:50:00/01:00:00"}, {at: "01:10:00", status: "01:00:00/01:10:00"},
		}},
		{"another schedule is not past due", "0 */10 * * * *", "0 */25 * * * *", 15 * time.Minute, 30 * time.Minute, []run{
			{at: "00:50:00", status: "never/00:50:00"}, {at: "01:00:00", status: "00:50:00/01:00:00"},
		}},
		{"another schedule whose next is to come", "0 */10 * * * *", "0 58 * * * *", 15 * time.Minute, 30 * time.Minute, []run{{at: "00:58:00", status: "never/00:58:00"}}},
		{"an interval", "00:10:00", "00:10:00", 15 * time.Minute, 12 * time.Minute, []run{
			{at: "00:27:00", pastDue: true, status: "00:10:00/00:20:00"}, {at: "00:37:00", status: "00:27:00/00:37:00"}, {at: "00:47:00", status: "00:37:00/00:47:00"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				newBench(t, test.before, newStatusFile(dir, "Tick")).during(test.first)
				time.Sleep(test.pause)
				b := newBench(t, test.after, newStatusFile(dir, "Tick"))
				b.fn.trigger.RunOnStartup = false
				b.during(30*time.Minute - time.Second)
				b.check(t, test.want...)
			})
		})
	}
}

// TestTimerPastDueInsteadOfStartup checks that a past due run replaces the one
// at startup.
func TestTimerPastDueInsteadOfStartup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		newBench(t, "0 */10 * * * *", newStatusFile(dir, "Tick")).during(time.Minute)
		time.Sleep(10 * time.Minute)
		b := newBench(t, "0 */10 * * * *", newStatusFile(dir, "Tick"))
		b.fn.trigger.RunOnStartup = true
		b.during(time.Minute)
		b.check(t, run{at: "00:11:00", pastDue: true, status: "never/00:10:00"})
	})
}

// TestTimerCutShort checks that a run that the end of the host cut short is
// past due for the next host.
func TestTimerCutShort(t *testing.T) {
	t.Parallel()
	store := newStatusFile(t.TempDir(), "Tick")
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "0 */10 * * * *", store)
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Minute)
		defer cancel()
		b.invoke = func(ctx context.Context, _ timerInfo) error {
			<-ctx.Done()
			return ctx.Err()
		}
		b.run(ctx, nil)
		status, ok, err := store.read()
		if want := midnight.Add(10 * time.Minute); err != nil || !ok || !status.Next.Equal(want) || !status.Last.IsZero() {
			t.Errorf("status = %+v, %v, %v", status, ok, err)
		}
	})
}

// TestTimerWokenEarly checks that a clock that fires too early does not make an
// occurrence run twice.
func TestTimerWokenEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "0 */10 * * * *", &statusFile{})
		b.after = func(d time.Duration) <-chan time.Time { return time.After(max(0, d-time.Millisecond)) }
		b.during(25 * time.Minute)
		if len(b.runs) != 2 {
			t.Errorf("runs:\n%s", show(b.runs))
		}
	})
}

func TestStatusFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newStatusFile(dir, "Tick")
	if _, ok, err := f.read(); ok || err != nil {
		t.Errorf("read of none = %v, %v", ok, err)
	}
	status := scheduleStatus{Next: dotNetTime{midnight.Add(1234567 * tick)}}
	if err := f.write(status); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := f.read(); err != nil || !ok || !got.Next.Equal(status.Next.Time) || !got.Last.IsZero() {
		t.Errorf("read = %+v, %v, %v", got, ok, err)
	}
	if names, err := filepath.Glob(dir + "/*"); err != nil || len(names) != 1 {
		t.Errorf("files = %q, %v", names, err)
	}
	if err := newStatusFile(dir+"/missing", "Tick").write(status); err == nil {
		t.Error("write to a missing folder succeeded")
	}
}
