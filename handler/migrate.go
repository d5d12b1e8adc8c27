package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/certwright/certwright/handler/internal/settings"
)

// acceptUnsigned is the flag of handler migrate that needs storage itself: without a
// root the app answers nothing.
var acceptUnsigned = []string{"-accept-unsigned", "--accept-unsigned"}

// runMigrate asks the app how far a migration is, and changes it, but for the flag
// that makes an app answer which finds rows without a root.
func runMigrate(ctx context.Context, args []string, t terminal) error {
	if !slices.ContainsFunc(args, func(arg string) bool { return slices.Contains(acceptUnsigned, arg) }) {
		return runOps(ctx, append([]string{"migrate"}, args...), t)
	}
	if len(args) > 1 {
		return usageError("migrate: -accept-unsigned stands alone")
	}
	s, err := settings.ParseState(t.getenv)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	b, err := s.OpenBackend(slog.New(slog.DiscardHandler)) // what goes wrong is the command's error
	if err != nil {
		return err
	}
	if err := b.Root.Adopt(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	fmt.Fprintln(t.out, "Rows without a MAC count for a day, or until everything has been written anew. `handler migrate` says how far that is.")
	return nil
}
