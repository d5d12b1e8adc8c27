package main

import (
	"io"
	"log/slog"
	"time"

	"github.com/lmittmann/tint"

	"github.com/certwright/certwright/handler/internal/settings"
)

// newLog writes the log of the settings: JSON for programs, one short line for
// people.
func newLog(s settings.Settings, to io.Writer) *slog.Logger {
	if s.LogFormat == settings.LogText {
		return slog.New(tint.NewTextHandler(to, &tint.Options{
			Level: s.LogLevel, TimeFormat: time.TimeOnly, NoColor: true, ReplaceAttr: forPeople,
		}))
	}
	return slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: s.LogLevel}))
}

// notForPeople are ids by which only other logs find a line, and what the URL says.
var notForPeople = map[string]bool{"invocation_id": true, "client_request_id": true, "caller": true, "route": true}

// forPeople leaves out what says nothing to them, and rounds durations, which are
// printed with their unit.
func forPeople(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value; {
	case notForPeople[a.Key], v.Kind() == slog.KindString && v.String() == "":
		return slog.Attr{}
	case v.Kind() == slog.KindDuration:
		a.Value = slog.DurationValue(v.Duration().Round(100 * time.Microsecond))
	}
	return a
}
