package main

import (
	"io"
	"log/slog"
	"regexp"
	"time"

	"github.com/lmittmann/tint"
)

// newLog logs for people, in the lines that the handler has on this machine.
func newLog(to io.Writer) *slog.Logger {
	return slog.New(tint.NewTextHandler(to, &tint.Options{TimeFormat: time.TimeOnly, NoColor: true}))
}

// routine are the lines by which Azurite comes and goes.
var routine = regexp.MustCompile(`^Azurite (Blob|Queue|Table) service (is (starting|successfully listening|closing)|successfully closed)`)

// quiet passes on what is not routine, of writes that are a line each.
type quiet struct {
	to      io.Writer
	routine *regexp.Regexp
}

func (q quiet) Write(line []byte) (int, error) {
	if q.routine.Match(line) {
		return len(line), nil
	}
	return q.to.Write(line)
}
