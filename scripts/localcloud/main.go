// Command localcloud runs Certwright on one machine with the parts of Azure that
// are around it: storage, the Functions host, a TLS front door, a managed
// identity, and a proxy by which every vault's name leads here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

const usage = `usage: localcloud COMMAND [flags]

  up             run everything until Ctrl-C
  down           end the local cloud that runs
  status         say whether one runs, and where
  token          print a bearer token for curl
  tick           bring a tick of the timer at once
  handler        run a command of the handler, such as ca make, in the settings of the
                 local cloud that runs
  reset          remove certificates, keys and files, for a new start
  webhook        run the sample of a CA behind a webhook
  receiver       run the sample of an endpoint that takes events
  functionshost  run a function app on the stand-in for the Azure Functions host

"localcloud COMMAND -h" lists the flags of a command.
`

// command runs one subcommand until it is done or ctx ends.
type command func(ctx context.Context, args []string, std streams) error

// streams are where a command writes.
type streams struct{ out, err io.Writer }

// errUsage says that the flag package has already explained what is wrong.
var errUsage = errors.New("wrong usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// After the first signal the next one has its usual effect.
	context.AfterFunc(ctx, stop)
	switch err := run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr}); {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "localcloud:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, std streams) error {
	commands := map[string]command{
		"up":            up,
		"down":          down,
		"status":        status,
		"token":         token,
		"tick":          tick,
		handlerName:     handlerCommand,
		"reset":         reset,
		"webhook":       webhookSample,
		"receiver":      receiverSample,
		"functionshost": functionsHost,
	}
	if len(args) > 0 {
		if chosen, ok := commands[args[0]]; ok {
			return chosen(ctx, args[1:], std)
		}
		if help := strings.TrimLeft(args[0], "-"); help == "h" || help == "help" {
			fmt.Fprint(std.out, usage)
			return nil
		}
		fmt.Fprintf(std.err, "localcloud: there is no command %q\n\n", args[0])
	}
	fmt.Fprint(std.err, usage)
	return errUsage
}

// parse parses a command's flags, which take no arguments.
func parse(flags *flag.FlagSet, args []string, std streams) error {
	flags.SetOutput(std.err)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(std.err, "localcloud %s takes no argument %q\n", flags.Name(), flags.Arg(0))
		return errUsage
	}
	return nil
}

// place is where a local cloud keeps what it generates.
type place struct {
	// tree is the working copy.
	tree checkout.Checkout
	// state has the `.local` with keys, data and settings; the working copy,
	// unless chosen.
	state checkout.Checkout
}

// placeFlag adds the flag that chooses the place.
func placeFlag(flags *flag.FlagSet) func() (place, error) {
	dir := flags.String("in", "", "keep .local, with keys, data and settings, in this `folder` instead of the working copy")
	return func() (place, error) {
		tree, err := checkout.Find(".")
		if err != nil {
			return place{}, err
		}
		if *dir == "" {
			return place{tree, tree}, nil
		}
		return place{tree, checkout.Checkout{Root: *dir}}, nil
	}
}

// parsePlace parses the flags of a command that has none but the place's.
func parsePlace(command string, args []string, std streams) (place, error) {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	where := placeFlag(flags)
	if err := parse(flags, args, std); err != nil {
		return place{}, err
	}
	return where()
}
