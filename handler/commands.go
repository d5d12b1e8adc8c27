package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/certwright/certwright/handler/internal/ca"
	"github.com/certwright/certwright/handler/internal/ops"
)

const usage = `usage: handler [COMMAND]

Without a command it serves, as the Azure Functions host starts it. With one it is a
tool of operators:

  ca       the private CAs of the settings: makes, imports and shows them
  ops      what is stuck at CAs, and what to do about it
  check    says what is wrong with the settings, and serves nothing
  migrate  how far what an earlier release stored has been brought to this one's form
  rewrap   wraps the root of all keys anew, after its key-encryption key changed
  version  prints the version
  help     prints this

handler ca help and handler ops help list the commands of those two. The exit code is 0
when the command is done, 1 when it failed, and 2 when the command line is wrong.
`

// terminal is where a command runs: its settings, its input and its output.
type terminal struct {
	getenv func(string) string
	in     io.Reader
	out    io.Writer
}

// usageError is a fault in the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

// commands are what the program does when its first argument says so. The
// Functions host starts it without any: it serves.
var commands = map[string]func(ctx context.Context, args []string, t terminal) error{
	"ca":      runCA,
	"migrate": runMigrate,
	"ops":     runOps,
	"check":   runCheck,
	"rewrap":  runRewrap,
	"version": func(_ context.Context, args []string, t terminal) error {
		return printed("version", args, t, "certwright "+version+"\n")
	},
	"help": func(_ context.Context, args []string, t terminal) error { return printed("help", args, t, usage) },
}

// run does what the arguments say.
func run(ctx context.Context, args []string, t terminal) error {
	if len(args) == 0 {
		return serve(t.getenv)
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-version", "--version":
		name = "version"
	}
	command, ok := commands[name]
	if !ok {
		return usageError(fmt.Sprintf("unknown command %q: there are %s; without one it serves", args[0], strings.Join(slices.Sorted(maps.Keys(commands)), ", ")))
	}
	return command(ctx, args[1:], t)
}

// exitCode is 0 for success, 2 for a fault in the command line, and 1 otherwise.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	_, here := errors.AsType[usageError](err)
	_, inCA := errors.AsType[ca.UsageError](err)
	_, inOps := errors.AsType[ops.UsageError](err)
	if here || inCA || inOps {
		return 2
	}
	return 1
}

// noArguments refuses arguments of a command that takes none.
func noArguments(name string, args []string) error {
	if len(args) > 0 {
		return usageError(fmt.Sprintf("%s takes no argument %q", name, args[0]))
	}
	return nil
}

// printed is a command that prints a text.
func printed(name string, args []string, t terminal, text string) error {
	if err := noArguments(name, args); err != nil {
		return err
	}
	_, err := io.WriteString(t.out, text)
	return err
}

// runCheck makes everything that serving needs before it listens.
func runCheck(_ context.Context, args []string, t terminal) error {
	if err := noArguments("check", args); err != nil {
		return err
	}
	cfg, err := readSettings(t.getenv)
	if err != nil {
		return err
	}
	if _, err := newFunctions(cfg, newLog(cfg, t.out)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.out, "the settings are right")
	return err
}

// runCA makes, imports and shows the private CAs of the settings.
func runCA(ctx context.Context, args []string, t terminal) error {
	return ca.Run(ctx, ca.Config{Args: args, Getenv: t.getenv, Stdin: t.in, Stdout: t.out, Now: time.Now})
}

// runOps is the operators' client of a vault, which need not run here. It obeys
// proxy variables, as other clients do.
func runOps(ctx context.Context, args []string, t terminal) error {
	return ops.Run(ctx, ops.Config{
		Args:      args,
		Getenv:    t.getenv,
		Stdout:    t.out,
		Transport: http.DefaultTransport,
		Credential: func() (azcore.TokenCredential, error) {
			return azidentity.NewDefaultAzureCredential(nil)
		},
		Now: time.Now,
	})
}
