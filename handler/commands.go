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

// terminal is where a command runs: its settings, its input and its output.
type terminal struct {
	getenv func(string) string
	in     io.Reader
	out    io.Writer
}

// commands are what the program does when its first argument says so. The
// Functions host starts it without any: it serves.
var commands = map[string]func(ctx context.Context, args []string, t terminal) error{
	"ca":      runCA,
	"migrate": runMigrate,
	"ops":     runOps,
	"rewrap":  runRewrap,
}

// run does what the arguments say.
func run(ctx context.Context, args []string, t terminal) error {
	if len(args) == 0 {
		return serve(t.getenv)
	}
	command, ok := commands[args[0]]
	if !ok {
		return fmt.Errorf("unknown command %q: there are %s; without one it serves", args[0], strings.Join(slices.Sorted(maps.Keys(commands)), ", "))
	}
	return command(ctx, args[1:], t)
}

// exitCode is 0 for success, 2 for a fault in the command line of a command, and
// 1 otherwise.
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
