package functionshost

import (
	"context"
	"log/slog"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/functionshost/schedule"
)

// maxRequests is how many runs may wait that were asked for by hand.
const maxRequests = 16

// A timer fires one function, never twice at a time.
type timer struct {
	fn       *Function
	schedule schedule.Schedule
	store    *statusFile // nil if the status is not monitored
	status   scheduleStatus
	requests chan struct{} // runs asked for by hand

	invoke func(ctx context.Context, info timerInfo) error
	now    func() time.Time
	after  func(time.Duration) <-chan time.Time
	log    *slog.Logger
}

// timerInfo is a timer trigger's data.
type timerInfo struct {
	Schedule struct {
		AdjustForDST bool `json:"AdjustForDST"`
	} `json:"Schedule"`
	ScheduleStatus *scheduleStatus `json:"ScheduleStatus"` // nil if not monitored
	IsPastDue      bool            `json:"IsPastDue"`
}

// newTimer makes the timer of a function.
func (h *Host) newTimer(fn *Function) *timer {
	t := &timer{
		fn: fn, schedule: fn.schedule, requests: make(chan struct{}, maxRequests),
		now: h.cfg.Now, after: h.cfg.After, log: h.cfg.Log.With("function", fn.Name),
	}
	if monitor := fn.trigger.UseMonitor; (monitor == nil || *monitor) && !t.schedule.SubMinute() {
		t.store = newStatusFile(h.cfg.StatusDir, fn.Name)
	}
	t.invoke = func(ctx context.Context, info timerInfo) error {
		ctx, cancel, err := h.begin(ctx)
		if err != nil {
			return err
		}
		defer cancel()
		_, err = h.send(ctx, fn, h.cfg.NewID(), invocation{
			Data:     map[string]any{fn.trigger.Name: info},
			Metadata: map[string]any{"sys": h.system(fn)},
		})
		return err
	}
	return t
}

// run fires the timer until stop is closed, between runs, or ctx is done. The
// next run is counted from the start of the last; one that became due
// meanwhile follows at once, and only once.
func (t *timer) run(ctx context.Context, stop <-chan struct{}) {
	start := t.now()
	pastDue := t.restore(start)
	switch {
	case pastDue:
		t.log.Info("the timer is past due", "since", t.status.Next.Time)
		t.fire(ctx, start, true, false)
	case t.fn.trigger.RunOnStartup:
		t.fire(ctx, start, false, true)
	}
	for {
		var due <-chan time.Time // never, if there is no next occurrence
		if next := t.status.Next.Time; !next.IsZero() {
			due = t.after(next.Sub(t.now()))
		}
		select { // an end comes before a run that is due as well
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-t.requests:
			t.call(ctx, false)
		case <-due:
			t.fire(ctx, t.now(), false, false)
		}
	}
}

// restore takes up the stored status, and reports whether an occurrence was
// missed while no host ran. A status of another schedule counts anew.
func (t *timer) restore(now time.Time) (pastDue bool) {
	t.status = scheduleStatus{Next: dotNetTime{t.schedule.Next(now)}}
	if t.store == nil {
		return false
	}
	stored, ok, err := t.store.read()
	if err != nil {
		t.log.Error("reading the status of the timer", "error", err)
	}
	if !ok {
		t.status.LastUpdated = dotNetTime{now}
		t.save()
		return false
	}
	base := now
	for _, known := range []dotNetTime{stored.LastUpdated, stored.Last} {
		if !known.IsZero() {
			base = known.In(now.Location())
		}
	}
	expected := t.schedule.Next(base)
	if stored.Next.Equal(expected) {
		t.status = stored
		return now.After(expected) && !expected.IsZero()
	}
	if now.After(expected) {
		expected, base = t.schedule.Next(now), now
	}
	t.status = scheduleStatus{Next: dotNetTime{expected}, LastUpdated: dotNetTime{base}}
	t.save()
	return false
}

// fire runs an occurrence and moves the status on, whatever came of it.
func (t *timer) fire(ctx context.Context, start time.Time, pastDue, startup bool) {
	t.call(ctx, pastDue)
	if ctx.Err() != nil {
		return // it was cut short: the next host is to see that
	}
	if next := t.status.Next.Time; !pastDue && !startup && next.After(start) {
		start = next // the clock woke it early
	}
	start = start.Truncate(tick)
	t.status = scheduleStatus{
		Last: dotNetTime{start}, Next: dotNetTime{t.schedule.Next(start)}, LastUpdated: dotNetTime{start},
	}
	t.save()
}

// call runs the function once.
func (t *timer) call(ctx context.Context, pastDue bool) {
	info := timerInfo{IsPastDue: pastDue}
	info.Schedule.AdjustForDST = !t.schedule.IsInterval()
	if t.store != nil {
		status := t.status
		info.ScheduleStatus = &status
	}
	if err := t.invoke(ctx, info); err != nil && ctx.Err() == nil {
		t.log.Error("a timer run failed", "error", err)
	}
}

func (t *timer) save() {
	if t.store == nil {
		return
	}
	if err := t.store.write(t.status); err != nil {
		t.log.Error("storing the status of the timer", "error", err)
	}
}

// request asks for a run besides the schedule. It reports false if too many wait.
func (t *timer) request() bool {
	select {
	case t.requests <- struct{}{}:
		return true
	default:
		return false
	}
}
