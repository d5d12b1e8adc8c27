// Schedules, as recorded.

package schedule_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/functionshost/schedule"
)

func readVectors[T any](t *testing.T, name string) []T {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []T }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Vectors
}

// dotNetTime is how .NET prints a time without a zone.
const dotNetTime = "2006-01-02T15:04:05"

// TestVectors checks expressions against what the host's own library makes of
// them: its next occurrences after some moments, or its refusal and what is
// then read as a time span.
func TestVectors(t *testing.T) {
	t.Parallel()
	for _, test := range readVectors[struct {
		Expression string
		Next       []struct {
			After       string
			Occurrences []string
		}
		Error    any
		TimeSpan *string `json:"time_span"`
	}](t, "cron.json") {
		s, err := schedule.Parse(test.Expression)
		if test.Error != nil {
			if err == nil && !s.IsInterval() {
				t.Errorf("%q was read as an expression", test.Expression)
			}
			compareTimeSpan(t, test.Expression, test.TimeSpan)
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", test.Expression, err)
			continue
		}
		for _, next := range test.Next {
			now, err := time.Parse(dotNetTime, next.After) // takes a fraction, too
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range next.Occurrences {
				if now = s.Next(now); now.IsZero() {
					break
				}
				got = append(got, now.Format(dotNetTime))
			}
			if !slices.Equal(got, next.Occurrences) {
				t.Errorf("%q after %s = %v, want %v", test.Expression, next.After, got, next.Occurrences)
			}
		}
	}
}

// compareTimeSpan checks what is read of a text that is no expression.
func compareTimeSpan(t *testing.T, text string, want *string) {
	t.Helper()
	got, err := schedule.ParseTimeSpan(text)
	if text == "10675199.02:48:05.4775807" { // more than a Go duration holds
		want = nil
	}
	switch {
	case want == nil && err == nil:
		t.Errorf("time span %q = %v, want a refusal", text, got)
	case want != nil && (err != nil || dotNetSpan(got) != *want):
		t.Errorf("time span %q = %s, %v, want %s", text, dotNetSpan(got), err, *want)
	}
}

// dotNetSpan prints a time span as .NET does.
func dotNetSpan(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	if days := d / (24 * time.Hour); days > 0 {
		sign += fmt.Sprintf("%d.", days)
	}
	text := fmt.Sprintf("%s%02d:%02d:%02d", sign, d/time.Hour%24, d/time.Minute%60, d/time.Second%60)
	if ticks := d % time.Second / 100; ticks > 0 {
		text += fmt.Sprintf(".%07d", ticks)
	}
	return text
}

// TestVectorsWhenClocksChange checks expressions over changes of clocks
// against what the host's own schedule says, each occurrence counted from the
// one before.
func TestVectorsWhenClocksChange(t *testing.T) {
	t.Parallel()
	for _, test := range readVectors[struct {
		Zone, Expression, After string
		Occurrences             []string
	}](t, "cron-dst.json") {
		zone, err := time.LoadLocation(test.Zone)
		if err != nil {
			t.Skipf("no time zone database: %v", err)
		}
		s, err := schedule.Parse(test.Expression)
		if err != nil {
			t.Errorf("%q: %v", test.Expression, err)
			continue
		}
		now, err := time.Parse(time.RFC3339, test.After)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for now = now.In(zone); len(got) < len(test.Occurrences); {
			now = s.Next(now)
			got = append(got, now.Format("2006-01-02T15:04:05-07:00"))
		}
		if test.Zone == "UTC" {
			for i := range test.Occurrences {
				test.Occurrences[i] = test.Occurrences[i][:19] + "+00:00"
			}
		}
		if !slices.Equal(got, test.Occurrences) {
			t.Errorf("%s, %q after %s =\n     %v\nwant %v", test.Zone, test.Expression, test.After, got, test.Occurrences)
		}
	}
}
