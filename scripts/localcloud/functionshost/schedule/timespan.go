package schedule

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var timeSpan = regexp.MustCompile(`^(-)?(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?$`)

var wholeDays = regexp.MustCompile(`^(-)?(\d{1,5})$`)

// ParseTimeSpan reads a .NET TimeSpan: "[-][d.]hh:mm[:ss[.fffffff]]", or
// "d:hh:mm" if d cannot be an hour, or a whole number of days. It refuses what a [time.Duration] cannot hold.
func ParseTimeSpan(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	if m := wholeDays.FindStringSubmatch(text); m != nil {
		return sum(m[1], m[2], "", "", "", "")
	}
	m := timeSpan.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is not a time span like 00:30:00", text)
	}
	if hours, err := strconv.Atoi(m[3]); err == nil && hours > 23 && m[2] == "" && m[5] != "" && m[6] == "" {
		return sum(m[1], m[3], m[4], m[5], "", "")
	}
	return sum(m[1], m[2], m[3], m[4], m[5], m[6])
}

func sum(sign, days, hours, minutes, seconds, fraction string) (time.Duration, error) {
	const maxDays = 100_000 // 292 years would overflow
	var total time.Duration
	for _, part := range []struct {
		text  string
		limit int
		unit  time.Duration
	}{
		{days, maxDays, 24 * time.Hour},
		{hours, 23, time.Hour},
		{minutes, 59, time.Minute},
		{seconds, 59, time.Second},
		{(fraction + "0000000")[:7], 9_999_999, 100 * time.Nanosecond},
	} {
		if part.text == "" {
			continue
		}
		n, err := strconv.Atoi(part.text)
		if err != nil || n > part.limit {
			return 0, fmt.Errorf("time span part %q is more than %d", part.text, part.limit)
		}
		total += time.Duration(n) * part.unit
	}
	if sign != "" {
		total = -total
	}
	return total, nil
}
