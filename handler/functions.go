package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/certwright/certwright/handler/internal/app"
	"github.com/certwright/certwright/handler/internal/funchost"
	"github.com/certwright/certwright/handler/internal/settings"
)

// The timer function: its folder, which the host calls by name, and the binding
// in its function.json.
const (
	timerFunction = "AdvanceIssuance"
	timerBinding  = "timer"
)

// tickDeadline ends a tick before the host's functionTimeout kills the process.
const tickDeadline = 100 * time.Second

// tickPause is between two ticks at least. In a request that a host forwards there
// is nothing that tells the timer's call from a client's for certain: a client can
// have the host make any path of its own, and send any field. So a call that looks
// like the timer's causes no more than the timer does, whoever made it: one tick at
// a time, and the next not at once.
const tickPause = 500 * time.Millisecond

// functions is the app as the Functions host calls it.
type functions struct {
	app *app.App
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	at    bool      // a tick is under way
	ended time.Time // the last one
}

// begin reports whether a tick may begin, which then must end.
func (f *functions) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at || f.now().Sub(f.ended) < tickPause {
		return false
	}
	f.at = true
	return true
}

func (f *functions) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.ended = false, f.now()
}

// newFunctions makes the app of the settings. It touches no network.
func newFunctions(s settings.Settings, log *slog.Logger) (*functions, error) {
	a, err := app.New(s, version, log)
	if err != nil {
		return nil, err
	}
	return &functions{app: a, log: log, now: time.Now}, nil
}

func (f *functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if funchost.IsTimer(r, timerFunction) {
		f.tick(w, r)
		return
	}
	f.app.ServeHTTP(w, r)
}

// tick is one call of the timer.
func (f *functions) tick(w http.ResponseWriter, r *http.Request) {
	timer, err := funchost.DecodeTimer(r.Body, timerBinding)
	if err != nil {
		f.log.Error("timer call refused", "error", err)
		funchost.ReplyError(w, []string{err.Error()})
		return
	}
	if !f.begin() {
		funchost.Reply(w, nil) // what is due is being done, or was a moment ago
		return
	}
	defer f.end()
	// The host does not end a tick with its connection, and a tick that is cut
	// off leaves claims behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), tickDeadline)
	defer cancel()
	report, err := f.app.Tick(ctx)
	if err != nil {
		f.log.Error("tick failed", "error", err)
		funchost.ReplyError(w, []string{err.Error()})
		return
	}
	var logs []string
	if report.Advanced > 0 { // most ticks have nothing to tell
		f.log.Info("tick", "advanced", report.Advanced, "failed", report.Failed, "took", report.Took, "past_due", timer.PastDue)
		logs = append(logs, fmt.Sprintf("advanced %d, of which failed %d", report.Advanced, report.Failed))
	}
	funchost.Reply(w, logs)
}
