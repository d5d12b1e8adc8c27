package schedule_test

// Schedules: when they fire next.

import (
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/functionshost/schedule"
)

// at reads a UTC time such as "2026-09-24 13:08:00".
func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.DateTime, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, base string
		want       []string // successive occurrences; "" for never
	}{
		{"*/5 * * * * *", "2026-09-24 13:08:00", []string{"2026-09-24 13:08:05", "2026-09-24 13:08:10"}},
		{"0 * * * * *", "2026-09-24 13:08:00", []string{"2026-09-24 13:09:00", "2026-09-24 13:10:00"}}, // strictly after
		{"* * * * *", "2026-09-24 13:08:01", []string{"2026-09-24 13:09:00"}},                          // five fields: second 0
		{"0 30 9 * * 1-5", "2026-09-25 09:30:00", []string{"2026-09-28 09:30:00"}},                     // Friday to Monday
		{"0 30 9 * * mon-FRI", "2026-09-25 09:30:00", []string{"2026-09-28 09:30:00"}},
		{"0 0 0 * * 0", "2026-09-24 00:00:00", []string{"2026-09-27 00:00:00", "2026-10-04 00:00:00"}},  // Sunday is 0
		{"0 0 0 13 * 5", "2026-01-01 00:00:00", []string{"2026-02-13 00:00:00", "2026-03-13 00:00:00"}}, // both must match
		{"0 0 0 1 J *", "2026-05-01 00:00:00", []string{"2027-01-01 00:00:00"}},                         // first of Jan, Jun, Jul
		{"0 0 0 * * T", "2026-09-24 00:00:00", []string{"2026-09-29 00:00:00"}},                         // Tuesday
		{"50-10/20 * * * * *", "2026-09-24 13:08:00", []string{"2026-09-24 13:08:10", "2026-09-24 13:08:30", "2026-09-24 13:08:50"}},
		{"0 50/5 * * * *", "2026-09-24 13:08:00", []string{"2026-09-24 13:50:00", "2026-09-24 13:55:00", "2026-09-24 14:50:00"}},
		{"0 0,10 8-9 * * *", "2026-09-24 08:10:00", []string{"2026-09-24 09:00:00", "2026-09-24 09:10:00", "2026-09-25 08:00:00"}},
		{"30 59 23 31 12 *", "2026-01-01 00:00:00", []string{"2026-12-31 23:59:30", "2027-12-31 23:59:30"}},
		{"15 20 * * * *", "2026-09-24 13:20:15", []string{"2026-09-24 14:20:15"}},
		{"0 0 0 29 2 *", "2026-01-01 00:00:00", []string{"2028-02-29 00:00:00", "2032-02-29 00:00:00"}},
		{"0 0 0 29 2 1", "2096-02-29 00:00:00", []string{"2112-02-29 00:00:00", "2140-02-29 00:00:00"}},
		{"0 0 0 30 2 *", "2026-01-01 00:00:00", []string{""}},
		{"00:30:00", "2026-09-24 13:08:01", []string{"2026-09-24 13:38:01", "2026-09-24 14:08:01"}},
		{" 1.00:00:00 ", "2026-09-24 13:08:01", []string{"2026-09-25 13:08:01"}},
	} {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			s, err := schedule.Parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			now := at(t, test.base)
			for _, text := range test.want {
				next := s.Next(now)
				if text == "" {
					if !next.IsZero() {
						t.Fatalf("after %v = %v, want never", now, next)
					}
					break
				}
				if want := at(t, text); !next.Equal(want) {
					t.Fatalf("after %v = %v, want %v", now, next, want)
				}
				now = next
			}
		})
	}
}

func TestNextWhenClocksChange(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skipf("no time zone database: %v", err)
	}
	for _, test := range []struct {
		name, text, base string   // base in UTC
		want             []string // in UTC
	}{
		// 2026-03-29 02:00 → 03:00 is 01:00 UTC.
		{"repeat over the gap", "0 */30 * * * *", "2026-03-29 00:30:00", []string{"2026-03-29 01:00:00", "2026-03-29 01:30:00"}},
		{"repeat resumes after the gap", "0 15-16 * * * *", "2026-03-29 00:16:00", []string{"2026-03-29 01:15:00"}},
		{"point in the gap fires an hour later", "0 30 2 * * *", "2026-03-28 01:30:00", []string{"2026-03-29 01:30:00", "2026-03-30 00:30:00"}},
		// 2026-10-25 03:00 → 02:00 is 01:00 UTC.
		{"repeat runs through both hours", "0 */30 * * * *", "2026-10-25 00:00:00", []string{"2026-10-25 00:30:00", "2026-10-25 01:00:00", "2026-10-25 01:30:00", "2026-10-25 02:00:00"}},
		{"point fires once, at the first", "0 30 2 * * *", "2026-10-24 00:30:00", []string{"2026-10-25 00:30:00", "2026-10-26 01:30:00"}},
		{"point has passed in the second hour", "0 30 2 * * *", "2026-10-25 01:10:00", []string{"2026-10-26 01:30:00"}},
		{"day is local", "0 0 0 * * *", "2026-07-01 21:59:59", []string{"2026-07-01 22:00:00", "2026-07-02 22:00:00"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := schedule.Parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			now := at(t, test.base).In(berlin)
			for _, text := range test.want {
				next := s.Next(now)
				if want := at(t, text); !next.Equal(want) {
					t.Fatalf("after %v = %v, want %v", now, next.UTC(), want)
				}
				now = next
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "* * * *", "* * * * * * *", "@daily",
		"60 * * * * *", "* 60 * * * *", "* * 24 * * *", "* * * 0 * *", "* * * 32 * *", "* * * * 13 *", "* * * * * 7",
		"*/x * * * * *", "1,,2 * * * * *", "1, * * * * *", "-5 * * * * *", "1- * * * * *",
		"1-2-3 * * * * *", "a * * * * *", "* * * ? * *", "* * * L * *", "* * * 15W * *", "* * * * * 1#2", "* * * * Foo *",
		"* * * * Januaryy *", "00:00:00", "-00:30:00", "24:24:00", "00:60:00", "00:00:60", "1:2:3.12345678", "999999", "%NAME%",
	} {
		if s, err := schedule.Parse(text); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", text, s)
		}
	}
}

func TestSubMinute(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"*/5 * * * * *":   true,
		"0,30 * * * * *":  true,
		"0 * * * * *":     false,
		"* */20 * * * *":  false, // every second, but not all the time
		"* 59 11 * * 1-5": false,
		"00:00:59":        true,
		"00:01:00":        false,
	} {
		s, err := schedule.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.SubMinute(); got != want {
			t.Errorf("SubMinute(%q) = %v, want %v", text, got, want)
		}
		if got := s.IsInterval(); got != !strings.Contains(text, " ") {
			t.Errorf("IsInterval(%q) = %v", text, got)
		}
	}
}

func TestParseTimeSpan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"00:00:30":       30 * time.Second,
		"00:02":          2 * time.Minute,
		"1.02:03:04.5":   26*time.Hour + 3*time.Minute + 4*time.Second + 500*time.Millisecond,
		"3":              72 * time.Hour,
		"-1":             -24 * time.Hour,
		"-00:00:01":      -time.Second,
		"0:0:0.0000001":  100 * time.Nanosecond,
		"24:01:02":       24*24*time.Hour + time.Hour + 2*time.Minute, // no hour of the day: days, hours, minutes
		" 00:10:00 ":     10 * time.Minute,
		"99999.23:59:59": 99999*24*time.Hour + 24*time.Hour - time.Second,
	} {
		if got, err := schedule.ParseTimeSpan(text); err != nil || got != want {
			t.Errorf("ParseTimeSpan(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

// FuzzParse checks that whatever parses has occurrences strictly after their
// base, in order, with nothing between them that repeats the first.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"*/5 * * * * *", "0 30 9 * * mon-fri", "* * * * *", "0 0 0 29 2 1", "1-5/2,7 50-10 J * 2 T", "00:30:00", "3", "*/0 * * * * *", "%NAME%"} {
		f.Add(text, int64(1774746000))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		const latest = 4102444800 // 2100
		s, err := schedule.Parse(text)
		if err != nil || unix < 0 || unix > latest {
			return
		}
		base := time.Unix(unix, 0).UTC()
		first := s.Next(base)
		if first.IsZero() {
			return
		}
		if !first.After(base) {
			t.Fatalf("%q after %v = %v", text, base, first)
		}
		if s.IsInterval() {
			return
		}
		if again := s.Next(first.Add(-time.Second)); !again.Equal(first) {
			t.Fatalf("%q a second before %v = %v", text, first, again)
		}
		if middle := base.Add(first.Sub(base) / 2); !s.Next(middle).Equal(first) && middle.Before(first) {
			t.Fatalf("%q after %v = %v, but after %v = %v", text, base, first, middle, s.Next(middle))
		}
	})
}
