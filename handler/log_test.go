package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/settings"
)

// TestLogFormats: JSON unless set, with durations in nanoseconds; for people one
// line, whatever is in it, with units and without what is empty.
func TestLogFormats(t *testing.T) {
	t.Parallel()
	written := func(format string) string {
		var out bytes.Buffer
		newLog(settings.Settings{LogFormat: format}, &out).Error("request", "method", "GET", "code", "", "invocation_id", "4711",
			"duration", 1234567*time.Microsecond+89, "error", errors.New("two\nlines"))
		return out.String()
	}
	var line struct {
		Message      string        `json:"msg"`
		Duration     time.Duration `json:"duration"`
		InvocationID string        `json:"invocation_id"`
	}
	text := written("")
	if err := json.Unmarshal([]byte(text), &line); err != nil || line.Message != "request" || line.Duration != 1234567089 || line.InvocationID != "4711" {
		t.Errorf("%v in %s", err, text)
	}
	const want = ` ERR request method=GET duration=1.2346s error="two\nlines"` + "\n"
	if text := written(settings.LogText); len(text) != len("15:04:05")+len(want) || text[len("15:04:05"):] != want {
		t.Errorf("got %q, want a time and %q", text, want)
	}
}
