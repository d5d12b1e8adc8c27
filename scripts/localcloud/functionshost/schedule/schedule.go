// Package schedule reads the schedules of Azure Functions timer triggers and
// computes when they fire.
//
// A schedule is an NCRONTAB expression of six fields,
//
//	{second} {minute} {hour} {day} {month} {day of week}
//
// or of five (the second is then 0), or else a .NET TimeSpan such as
// "00:30:00". Expressions follow the NCrontab library that the Functions host
// uses, which differs from Vixie cron: day and day of week must both match,
// Sunday is 0 and 7 is an error, a reversed range is swapped, and there is no
// "?", "L", "W", "#" or "@daily".
package schedule

import (
	"fmt"
	"time"
)

// A Schedule says when a timer fires. The zero Schedule never fires.
type Schedule struct {
	cron     *cron         // nil for an interval
	interval time.Duration // for an interval, more than zero
}

// Parse reads an NCRONTAB expression or, failing that, a TimeSpan of more than
// zero.
func Parse(text string) (Schedule, error) {
	c, cronErr := parseCron(text)
	if cronErr == nil {
		return Schedule{cron: c}, nil
	}
	d, err := ParseTimeSpan(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q is neither a cron expression (%w) nor a time span", text, cronErr)
	}
	if d <= 0 {
		return Schedule{}, fmt.Errorf("schedule %q is not an interval of more than zero", text)
	}
	return Schedule{interval: d}, nil
}

// Next returns the first occurrence after base, on the wall clock of base's
// location. It is the zero Time if the schedule never fires again
// ("0 0 0 30 2 *").
//
// When clocks are put back, a schedule that repeats within the day keeps its
// rhythm in real time, and one that names points of the day fires at the first
// of two equal times. A point that is skipped when clocks are put forward fires
// as much later as they are put forward. What repeats within a part of the day
// can fire once too often, as in the host: "0 0,30 1,2 * * *" fires an hour
// early after the hour that comes twice.
func (s Schedule) Next(base time.Time) time.Time {
	switch {
	case s.cron != nil:
		return s.cron.next(base)
	case s.interval > 0:
		return base.Add(s.interval)
	}
	return time.Time{}
}

// IsInterval reports whether the schedule is a constant interval rather than a
// cron expression.
func (s Schedule) IsInterval() bool { return s.cron == nil }

// SubMinute reports whether the schedule fires more than once a minute all the
// time. The host does not store the status of such a timer, so that it is
// never past due.
func (s Schedule) SubMinute() bool {
	if s.cron == nil {
		return s.interval < time.Minute
	}
	return s.cron.subMinute()
}
