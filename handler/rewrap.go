package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"github.com/certwright/certwright/handler/internal/settings"
)

const rewrapUsage = `handler rewrap [flags]

Wraps and signs the root of this installation's keys with the current version of
the key-encryption key, and counts what release 0.1.0 sealed: earlier versions must
stay enabled until that is 0.

`

// runRewrap changes the root of all keys as its flags say.
func runRewrap(ctx context.Context, args []string, t terminal) error {
	flags := flag.NewFlagSet("rewrap", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is said once, as the command's error
	flags.Usage = func() {}
	rotate := flags.Bool("rotate", false, "begin a new root first; what was written under the one before still counts, and ticks bring it under the new one")
	forget := flags.String("forget", "", "remove the earlier root with this `id`, an hour after it was replaced or later: what is signed or sealed under it, backups too, counts no more")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(t.out, rewrapUsage)
		flags.SetOutput(t.out)
		flags.PrintDefaults()
		return nil
	case err != nil:
		return usageError("rewrap: " + err.Error() + "; `handler rewrap -h` lists the flags")
	case flags.NArg() > 0:
		return usageError(fmt.Sprintf("rewrap: unexpected argument %q", flags.Arg(0)))
	case *rotate && *forget != "":
		return usageError("rewrap: give one of -rotate and -forget")
	}
	s, err := settings.ParseState(t.getenv)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	b, err := s.OpenBackend(slog.New(slog.DiscardHandler)) // what goes wrong is the command's error
	if err != nil {
		return err
	}
	if err := rewrap(ctx, b, *rotate, *forget, t); err != nil {
		return fmt.Errorf("rewrap: %w", err)
	}
	return nil
}

func rewrap(ctx context.Context, b settings.Backend, rotate bool, forget string, t terminal) error {
	if err := b.Root.Open(ctx); err != nil {
		return err
	}
	if rotate {
		id, err := b.Root.Rotate(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(t.out, "new root: %s\n", id)
	}
	if forget != "" {
		if err := b.Root.Forget(ctx, forget); err != nil {
			return err
		}
		fmt.Fprintf(t.out, "forgotten: %s\n", forget)
	}
	n, err := b.Root.Rewrap(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "roots wrapped and signed anew: %d\n", n)
	left, err := b.Root.Leftovers(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "values that release 0.1.0 sealed: %d\n", left)
	return nil
}
