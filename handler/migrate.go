package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"

	"github.com/certwright/certwright/handler/internal/settings"
)

const migrateUsage = `handler migrate [flags]

Says that what release 0.1.0 has stored is this vault's own, or that all of it is
migrated. It runs with the app's own settings, as somebody who may use the
key-encryption key and write to storage.

`

// runMigrate begins, or ends, the time in which rows of release 0.1.0 count.
func runMigrate(ctx context.Context, args []string, t terminal) error {
	flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
	flags.SetOutput(t.out)
	flags.Usage = func() {
		fmt.Fprint(t.out, migrateUsage)
		flags.PrintDefaults()
	}
	accept := flags.Bool("accept-unsigned", false, "let rows without MACs count for a day: this vault's root is made where there is none")
	finish := flags.Bool("finish", false, "let them count no more, from now on")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return usageError("migrate: " + err.Error())
	case flags.NArg() > 0:
		return usageError(fmt.Sprintf("migrate: unexpected argument %q", flags.Arg(0)))
	case *accept == *finish:
		return usageError("migrate: give one of -accept-unsigned and -finish")
	}
	s, err := settings.ParseState(t.getenv)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	b, err := s.OpenBackend(slog.New(slog.DiscardHandler)) // what goes wrong is the command's error
	if err != nil {
		return err
	}
	does, done := b.Root.Adopt, "rows without MACs count for a day, unless there was a root before\n"
	if *finish {
		does, done = b.Root.EndAdoption, "rows without MACs count no more: running processes see it within half an hour\n"
	}
	if err := does(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	_, err = fmt.Fprint(t.out, done)
	return err
}
