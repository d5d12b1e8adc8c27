// Package supervisetest runs programs for tests.
package supervisetest

import (
	"context"
	"syscall"
	"testing"
	"time"
)

// StartLimit bounds the start of a program. It covers an installation from empty
// caches.
const StartLimit = 10 * time.Minute

// Server is a program that runs.
type Server interface {
	PID() int
	Stop() error
}

// Run starts a server that runs until the test ends.
func Run[C any, S Server](t testing.TB, start func(context.Context, C) (S, error), cfg C) S {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), StartLimit)
	defer cancel()
	server, err := start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// StopEnds tests that Stop ends a server's process.
func StopEnds(t testing.TB, server Server) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(server.PID(), 0); err != syscall.ESRCH {
		t.Errorf("signalling the stopped process: %v, want ESRCH", err)
	}
}
