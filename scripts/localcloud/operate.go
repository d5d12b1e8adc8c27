package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/package/bundle"
)

// timerFunction is the function that a tick runs.
const timerFunction = "AdvanceIssuance"

// tick brings a tick at once, as the host's admin endpoint does for anybody.
func tick(ctx context.Context, args []string, std streams) error {
	p, err := parsePlace("tick", args, std)
	if err != nil {
		return err
	}
	i, err := ready(p.state)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.HostURL+"/admin/functions/"+timerFunction, strings.NewReader(`{"input":""}`))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := loopback.NewClient(nil).Do(request)
	if err != nil {
		return fmt.Errorf("asking for a tick: %w", err)
	}
	response.Body.Close()
	switch response.StatusCode {
	case http.StatusAccepted:
		_, err = fmt.Fprintln(std.out, "a tick begins")
	case http.StatusTooManyRequests:
		_, err = fmt.Fprintln(std.out, "a tick waits already for its turn")
	default:
		err = fmt.Errorf("the Functions host answers %s", response.Status)
	}
	return err
}

// handlerName is the command that runs the handler's own commands.
const handlerName = "handler"

// handlerCommand becomes the handler with arguments, in the settings of the local
// cloud that runs: how `handler ca` finds its storage, whatever its ports are.
func handlerCommand(_ context.Context, args []string, std streams) error {
	flags := flag.NewFlagSet(handlerName, flag.ContinueOnError)
	where := placeFlag(flags)
	flags.SetOutput(std.err)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return errUsage
	}
	if flags.NArg() == 0 {
		fmt.Fprintln(std.err, "localcloud handler: say which command of the handler, such as ca show; handler help lists them")
		return errUsage
	}
	p, err := where()
	if err != nil {
		return err
	}
	i, err := ready(p.state)
	if err != nil {
		return err
	}
	program := filepath.Join(i.App, bundle.Binary)
	environ := slices.Concat(ownEnviron(os.Environ()), i.Settings) // the last of a name counts
	return fmt.Errorf("starting %q: %w", program, syscall.Exec(program, append([]string{bundle.Binary}, flags.Args()...), environ))
}

// kept is what reset removes: all that belongs to the certificates of a local
// cloud. What was installed stays.
var kept = []string{"data", "timers", filesName, kekName, "ca", "identity"}

// reset begins anew.
func reset(_ context.Context, args []string, std streams) error {
	p, err := parsePlace("reset", args, std)
	if err != nil {
		return err
	}
	lock, err := p.state.TryLock(lockName)
	if errors.Is(err, checkout.ErrLocked) {
		return errors.New("a local cloud runs; `make stop` ends it")
	}
	if err != nil {
		return err
	}
	errs := []error{removeEnvironment(p.state)}
	for _, name := range kept {
		errs = append(errs, os.RemoveAll(p.state.Local(name)))
	}
	if err := errors.Join(append(errs, lock.Unlock())...); err != nil {
		return fmt.Errorf("removing what was kept: %w", err)
	}
	_, err = fmt.Fprintf(std.out, "removed from %s: %s\n", p.state.Local(), strings.Join(kept, ", "))
	return err
}
