package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// A field is one position of a cron expression: its name for errors, its
// bounds, and the names of its values, if it has any, from min upwards.
type field struct {
	name     string
	min, max int
	names    []string
}

// The positions of an expression, in order.
const (
	second = iota
	minute
	hour
	day
	month
	weekday
	positions
)

var fields = [positions]field{
	second: {name: "second", min: 0, max: 59},
	minute: {name: "minute", min: 0, max: 59},
	hour:   {name: "hour", min: 0, max: 23},
	day:    {name: "day", min: 1, max: 31},
	month: {name: "month", min: 1, max: 12, names: []string{"January", "February", "March", "April", "May", "June",
		"July", "August", "September", "October", "November", "December"}},
	weekday: {name: "day of week", min: 0, max: 6, names: []string{"Sunday", "Monday", "Tuesday", "Wednesday",
		"Thursday", "Friday", "Saturday"}},
}

// A set holds the values that a field allows, one bit each.
type set uint64

func (s set) has(value int) bool { return s&(1<<value) != 0 }

// from returns the least value of s that is not below value, or -1.
func (s set) from(value int) int {
	if rest := s >> value << value; rest != 0 {
		return bits.TrailingZeros64(uint64(rest))
	}
	return -1
}

// A cron is a parsed expression: a set of values for each position. A moment
// matches if every one of its parts is in its set, day and day of week included.
type cron [positions]set

func parseCron(text string) (*cron, error) {
	tokens := strings.FieldsFunc(strings.TrimSpace(text), func(r rune) bool { return r == ' ' }) // a tab separates nothing
	switch len(tokens) {
	case positions:
	case positions - 1:
		tokens = append([]string{"0"}, tokens...)
	default:
		return nil, fmt.Errorf("it has %d fields, not six or five", len(tokens))
	}
	var c cron
	for i, token := range tokens {
		for item := range strings.SplitSeq(token, ",") {
			values, err := fields[i].parse(item)
			if err != nil {
				return nil, fmt.Errorf("%s %q: %w", fields[i].name, token, err)
			}
			c[i] |= values
		}
	}
	return &c, nil
}

// parse reads one item of a list: "*", "n", "a-b", each with an optional "/step".
func (f field) parse(item string) (set, error) {
	span, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		var err error
		if step, err = strconv.Atoi(stepText); err != nil {
			return 0, fmt.Errorf("step %q is not a whole number", stepText)
		}
		step = max(step, 1) // as NCrontab reads it
	}
	first, last := f.min, f.max
	if span != "*" {
		from, to, ranged := strings.Cut(span, "-")
		var err error
		if first, err = f.value(from); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if last, err = f.value(to); err != nil {
				return 0, err
			}
		case !stepped:
			last = first
		}
	}
	if first > last { // NCrontab swaps the ends; it does not wrap around
		first, last = last, first
	}
	var values set
	for v := first; v <= last && v >= first; v += step {
		values |= 1 << v
	}
	return values, nil
}

// value reads a number or the beginning of a name. The first name that fits
// wins: "J" is January, "M" is March or Monday, "T" is Tuesday.
func (f field) value(text string) (int, error) {
	if text == "" {
		return 0, errors.New("a value is missing")
	}
	if text[0] >= '0' && text[0] <= '9' {
		v, err := strconv.Atoi(text)
		if err != nil || v < f.min || v > f.max {
			return 0, fmt.Errorf("value %q is not a number from %d to %d", text, f.min, f.max)
		}
		return v, nil
	}
	for i, name := range f.names {
		if len(text) <= len(name) && strings.EqualFold(name[:len(text)], text) {
			return f.min + i, nil
		}
	}
	return 0, fmt.Errorf("value %q is neither a number nor a name", text)
}

// subMinute follows the host's rule: everything but the second is free, and
// there is more than one second.
func (c *cron) subMinute() bool {
	for i := minute; i < positions; i++ {
		for v := fields[i].min; v <= fields[i].max; v++ {
			if !c[i].has(v) {
				return false
			}
		}
	}
	return bits.OnesCount64(uint64(c[second])) > 1
}

// repeats reports whether the expression repeats within the day rather than
// naming points of it: the host looks for a range or "*" in the second, the
// minute or the hour after NCrontab has normalised them.
func (c *cron) repeats() bool {
	for _, s := range c[second : hour+1] {
		if s&(s>>1) != 0 {
			return true
		}
	}
	return false
}

// next is computed on the wall clock and then put right where clocks change,
// step by step as the host does it, oddities included.
func (c *cron) next(base time.Time) time.Time {
	loc := base.Location()
	wall := c.nextWall(wallClock(base))
	if wall.IsZero() {
		return time.Time{}
	}
	next, twice := instant(wall, loc)
	_, nowTwice := instant(wallClock(base), loc)
	_, offset := base.Zone()
	_, nextOffset := next.Zone()
	change := time.Duration(nextOffset-offset) * time.Second
	switch {
	case change != 0 && (twice || nowTwice && c.repeats()):
		// The first of two equal times, or for what repeats the one that
		// keeps the rhythm.
		return next.Add(change)
	case change == 0 && twice && !c.repeats():
		// The second of two equal times: what names points of the day has
		// run at the first.
		for twice && !wall.IsZero() {
			wall = c.nextWall(wall)
			next, twice = instant(wall, loc)
		}
		if wall.IsZero() {
			return time.Time{}
		}
	}
	return next
}

// horizon is how many years ahead an occurrence is looked for. A 29 February
// on a given day of the week can be 40 years away.
const horizon = 41

// nextWall returns the first wall-clock time after wall that matches, or the
// zero Time. Wall-clock times are written as UTC.
func (c *cron) nextWall(wall time.Time) time.Time {
	wall = wall.Truncate(time.Second).Add(time.Second)
	year, mon, dom := wall.Date()
	if s, ok := c.clockFrom(wall.Hour(), wall.Minute(), wall.Second()); ok && c.hasDate(wall) {
		return time.Date(year, mon, dom, 0, 0, s, 0, time.UTC)
	}
	s, _ := c.clockFrom(0, 0, 0)
	limit := wall.AddDate(horizon, 0, 0)
	for date := time.Date(year, mon, dom+1, 0, 0, 0, 0, time.UTC); date.Before(limit); {
		switch {
		case !c[month].has(int(date.Month())):
			date = time.Date(date.Year(), date.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.hasDate(date):
			date = date.AddDate(0, 0, 1)
		default:
			return date.Add(time.Duration(s) * time.Second)
		}
	}
	return time.Time{}
}

func (c *cron) hasDate(t time.Time) bool {
	return c[month].has(int(t.Month())) && c[day].has(t.Day()) && c[weekday].has(int(t.Weekday()))
}

// clockFrom returns the first matching time of day that is not before h:m:s,
// in seconds.
func (c *cron) clockFrom(h, m, s int) (int, bool) {
	for hh := c[hour].from(h); hh >= 0; hh = c[hour].from(hh + 1) {
		if hh > h { // m and s bound the hour asked for only
			m, s = 0, 0
		}
		for mm := c[minute].from(m); mm >= 0; mm = c[minute].from(mm + 1) {
			if mm > m {
				s = 0
			}
			if ss := c[second].from(s); ss >= 0 {
				return hh*3600 + mm*60 + ss, true
			}
		}
	}
	return 0, false
}

// wallClock is what clocks show at t, written as UTC.
func wallClock(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instant is when clocks in loc show wall, and whether they do so twice: it is
// the second time then. If they never do, because they are put forward, it is
// when they would have without that.
func instant(wall time.Time, loc *time.Location) (t time.Time, twice bool) {
	y, mon, d := wall.Date()
	t = time.Date(y, mon, d, wall.Hour(), wall.Minute(), wall.Second(), 0, loc)
	start, end := t.ZoneBounds()
	at := func(moment time.Time) time.Time { // in the offset that is in force at moment
		_, offset := moment.Zone()
		return wall.Add(-time.Duration(offset) * time.Second).In(loc)
	}
	if !wallClock(t).Equal(wall) { // Go takes the offset of one of both sides
		if wallClock(t).Before(wall) {
			return at(end.Add(-time.Second)), false
		}
		return at(start.Add(-time.Second)), false
	}
	if !end.IsZero() {
		if later := at(end); !later.Before(end) && wallClock(later).Equal(wall) {
			return later, true
		}
	}
	if !start.IsZero() {
		if earlier := at(start.Add(-time.Second)); earlier.Before(start) && wallClock(earlier).Equal(wall) {
			return t, true
		}
	}
	return t, false
}
