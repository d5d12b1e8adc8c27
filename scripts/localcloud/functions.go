package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/scripts/localcloud/functionshost"
	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

const (
	// drainGrace is how long running invocations may take when the host stops.
	drainGrace = 3 * time.Second
	// hostGrace is how long the host's process may take to end.
	hostGrace = 6 * time.Second
)

// functionsHost runs the stand-in in this process, as `func start` does the real
// host. The handler's output goes to standard output, the host's to standard error.
func functionsHost(ctx context.Context, args []string, std streams) error {
	flags := flag.NewFlagSet("functionshost", flag.ContinueOnError)
	root := flags.String("root", ".", "the function app: `folder` of host.json, the functions and the handler")
	number := flags.Int("port", 7071, "`port` to listen on; 0: a free one")
	timers := flags.String("timers", "", "`folder` for the status of timers, by which a late run is recognised")
	if err := parse(flags, args, std); err != nil {
		return err
	}
	host, err := functionshost.Start(context.WithoutCancel(ctx), functionshost.Config{
		Root:          *root,
		Address:       loopback.Address(*number),
		StatusDir:     *timers,
		HandlerOutput: std.out,
		Log:           newLog(std.err),
	})
	if err != nil {
		return err
	}
	select {
	case <-host.Done():
		return host.Wait()
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainGrace)
	defer cancel()
	if err := host.Stop(drain); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// startHost starts the real Functions host if it is installed, else the
// stand-in, as a child process with the settings in its environment.
func startHost(app, timers string, number int, environ []string, console *supervise.Console) (*supervise.Process, string, error) {
	var cmd *exec.Cmd
	var output io.Writer
	kind := "func start"
	if tools, err := exec.LookPath("func"); err == nil {
		cmd = exec.Command(tools, "start", "--port", strconv.Itoa(number))
		output = console.Writer("func")
	} else {
		kind = "stand-in"
		self, err := os.Executable()
		if err != nil {
			return nil, "", fmt.Errorf("finding the stand-in for the Functions host: %w", err)
		}
		cmd = exec.Command(self, "functionshost", "-root", app, "-port", strconv.Itoa(number), "-timers", timers)
		output = console.Writer("handler")
	}
	cmd.Dir = app
	cmd.Env = environ
	cmd.Stdout, cmd.Stderr = output, console.Writer("host")
	process, err := supervise.Start(cmd, hostGrace)
	if err != nil {
		return nil, "", fmt.Errorf("starting the Functions host: %w", err)
	}
	return process, kind, nil
}

// copySettings puts local.settings.json beside host.json, where `func` wants it.
// A package for deployment never has it.
func copySettings(root, app string) error {
	content, err := os.ReadFile(filepath.Join(root, "local.settings.json"))
	if err != nil {
		return fmt.Errorf("staging the local settings: %w", err)
	}
	return os.WriteFile(filepath.Join(app, "local.settings.json"), content, 0o600)
}
