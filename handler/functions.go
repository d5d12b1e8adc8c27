package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/funchost"
	"github.com/certwright/certwright/handler/internal/issuers/privateca"
	"github.com/certwright/certwright/handler/internal/vault"
)

// The timer function: its folder, which the host calls by name, and the binding
// in its function.json.
const (
	timerFunction = "AdvanceIssuance"
	timerBinding  = "timer"
)

// tickDeadline ends a tick before the host's functionTimeout kills the process.
const tickDeadline = 100 * time.Second

// functions gives each of the host's calls to what serves it.
type functions struct {
	vault      *vault.Vault
	api        http.Handler
	challenges vault.Challenges
	cas        map[string]*privateca.Issuer // by the name of their files
	log        *slog.Logger
}

func (f *functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.EscapedPath(); {
	case funchost.IsTimer(r, timerFunction):
		f.tick(w, r)
	case path == "/":
		w.WriteHeader(http.StatusOK) // the host asks whether the process is ready
	case path == "/health":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, `{"status":"ok"}`)
	case strings.HasPrefix(path, "/.well-known/"):
		f.wellKnown(w, r, strings.TrimPrefix(path, "/.well-known/"))
	default:
		f.api.ServeHTTP(w, r)
	}
}

// tick is one call of the timer.
func (f *functions) tick(w http.ResponseWriter, r *http.Request) {
	timer, err := funchost.DecodeTimer(r.Body, timerBinding)
	if err != nil {
		f.log.Error("timer call refused", "error", err)
		funchost.ReplyError(w, []string{err.Error()})
		return
	}
	// The host does not end a tick with its connection, and a tick that is cut
	// off leaves claims behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), tickDeadline)
	defer cancel()
	report, err := f.vault.Advance(ctx)
	f.refreshCRLs(ctx)
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
