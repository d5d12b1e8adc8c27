package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/certwright/certwright/handler/localcloud/identity"
	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// lockName is the file that a running local cloud holds locked, with an
// instance as its content.
const lockName = "up.lock"

const (
	// downGrace is how long an instance may take to end after SIGTERM.
	downGrace = 20 * time.Second
	// killGrace is how long the kernel may take to end it after SIGKILL.
	killGrace = 5 * time.Second
)

// resource is what Key Vault clients get tokens for.
const resource = "https://vault.azure.net"

// instance describes a running local cloud to other commands.
type instance struct {
	PID int `json:"pid"`
	// Ready is false while it starts.
	Ready bool `json:"ready"`
	// URL is the vault, at the front door.
	URL string `json:"url"`
	// HostURL is the Functions host.
	HostURL string `json:"hostUrl"`
	// IdentityEndpoint is the value of IDENTITY_ENDPOINT.
	IdentityEndpoint string `json:"identityEndpoint"`
	// App is the folder of the function app.
	App string `json:"app"`
	// Settings are those of the handler that are Certwright's, NAME=value.
	Settings []string `json:"settings"`
}

// setting is the value of a setting of the handler.
func (i instance) setting(name string) string {
	for _, entry := range i.Settings {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// errNotRunning says that there is no instance.
var errNotRunning = errors.New("no local cloud runs; `make run` starts one")

// announce writes the description of this process into its lock file.
func (i instance) announce(lock *checkout.Lock) error {
	content, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return lock.Write(content)
}

// running returns the instance that runs, or errNotRunning.
func running(c checkout.Checkout) (instance, error) {
	lock, err := c.TryLock(lockName)
	if err == nil {
		return instance{}, errors.Join(errNotRunning, lock.Unlock())
	}
	if !errors.Is(err, checkout.ErrLocked) {
		return instance{}, err
	}
	content, err := os.ReadFile(c.Local(lockName))
	if err != nil {
		return instance{}, fmt.Errorf("reading which local cloud runs: %w", err)
	}
	var i instance
	if err := json.Unmarshal(content, &i); err != nil || i.PID == 0 {
		return instance{}, errors.New("a local cloud is starting or ending; try again in a moment")
	}
	return i, nil
}

// ready returns the instance that runs, if it is ready for clients.
func ready(c checkout.Checkout) (instance, error) {
	i, err := running(c)
	if err == nil && !i.Ready {
		err = fmt.Errorf("the local cloud (process %d) is still starting", i.PID)
	}
	return i, err
}

func status(_ context.Context, args []string, std streams) error {
	p, err := parsePlace("status", args, std)
	if err != nil {
		return err
	}
	i, err := ready(p.state)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "process         %d\nvault           %s\nFunctions host  %s\nsettings        %s\nfiles           %s\nstorage         %s\n",
		i.PID, i.URL, i.HostURL, p.state.Local(environmentName), i.setting(filesSetting), i.setting(storageSetting))
	return nil
}

func token(ctx context.Context, args []string, std streams) error {
	p, err := parsePlace("token", args, std)
	if err != nil {
		return err
	}
	i, err := ready(p.state)
	if err != nil {
		return err
	}
	directory, err := identity.Open(p.state.State())
	if err != nil {
		return err
	}
	bearer, err := identity.RequestToken(ctx, i.IdentityEndpoint, directory.Header(), resource)
	if err != nil {
		return err
	}
	fmt.Fprintln(std.out, bearer)
	return nil
}

func down(ctx context.Context, args []string, std streams) error {
	p, err := parsePlace("down", args, std)
	if err != nil {
		return err
	}
	i, err := running(p.state)
	if err != nil {
		return err
	}
	if err := end(ctx, p.state, i.PID, syscall.SIGTERM, downGrace); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	fmt.Fprintf(std.err, "process %d does not end by itself; killing it\n", i.PID)
	return end(ctx, p.state, i.PID, syscall.SIGKILL, killGrace)
}

// end signals the instance and waits until it has let go of its lock.
func end(ctx context.Context, c checkout.Checkout, pid int, signal syscall.Signal, grace time.Duration) error {
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending process %d: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	lock, err := c.LockWait(ctx, lockName)
	if err != nil {
		return err
	}
	return lock.Unlock()
}
