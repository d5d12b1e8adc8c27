package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certwright/certwright/handler/localcloud/connectproxy"
	"github.com/certwright/certwright/handler/localcloud/frontdoor"
	"github.com/certwright/certwright/handler/localcloud/identity"
	"github.com/certwright/certwright/handler/localcloud/localca"
	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/scripts/localcloud/azurite"
	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/localcloud/supervise"
	"github.com/certwright/certwright/scripts/package/bundle"
)

// cloud is a local cloud that starts and runs.
type cloud struct {
	place place
	ports ports
	// app is the folder of the function app; empty: build the working copy's.
	app string

	console *supervise.Console
	log     *slog.Logger
	out     io.Writer
	started time.Time
	group   *supervise.Group

	directory *identity.Directory
	leaf      tls.Certificate
	bundle    string // path of the trusted roots
	storage   *azurite.Server
	listeners struct{ frontDoor, proxy, identity net.Listener }
}

func up(ctx context.Context, args []string, std streams) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	where, choice := placeFlag(flags), portFlags(flags)
	names := flags.String("names", "", "write .local/hosts, which leads the vaults of these `names`, separated by commas, to the front door: for programs that ignore proxies, with -port 443")
	app := flags.String("app", "", "run the function app in this `folder` instead of building the working copy's")
	if err := parse(flags, args, std); err != nil {
		return err
	}
	p, err := where()
	if err != nil {
		return err
	}
	chosen, err := choice()
	if err != nil {
		return err
	}
	if err := writeHosts(p.state, *names); err != nil {
		return err
	}
	lock, err := p.state.TryLock(lockName)
	if errors.Is(err, checkout.ErrLocked) {
		return already(p.state)
	}
	if err != nil {
		return err
	}
	console := &supervise.Console{To: std.out}
	c := &cloud{
		place:   p,
		ports:   chosen,
		app:     *app,
		console: console,
		log:     newLog(console.Writer("localcloud")),
		out:     console.Writer("localcloud"),
		started: time.Now(),
	}
	return errors.Join(c.run(ctx, lock), lock.Unlock())
}

// already is the error of a second start.
func already(c checkout.Checkout) error {
	i, err := running(c)
	if err != nil {
		return err
	}
	return fmt.Errorf("a local cloud runs already, as process %d at %s; `make stop` ends it", i.PID, i.URL)
}

// run starts everything and returns when ctx ends (nil), or with an error that
// names the part that could not start or ended by itself. Everything that was
// started has ended then.
func (c *cloud) run(ctx context.Context, lock *checkout.Lock) (err error) {
	var alive context.Context
	c.group, alive = supervise.NewGroup(ctx)
	defer func() {
		if ctx.Err() != nil { // the user ended it, whatever that interrupted
			c.progress("ending")
			err = nil
		}
		err = errors.Join(err, removeEnvironment(c.place.state), c.group.Stop())
	}()
	if err := errors.Join(removeEnvironment(c.place.state), c.listen(), c.announce(lock, false)); err != nil {
		return err
	}
	if err := c.prepare(alive); err != nil {
		return err
	}
	if err := c.serve(); err != nil {
		return err
	}
	if err := c.awaitHealth(alive); err != nil {
		return err
	}
	env, err := writeEnvironment(c.place.state, c.endpoints())
	if err != nil {
		return err
	}
	if err := c.announce(lock, true); err != nil {
		return err
	}
	c.welcome(env)
	<-alive.Done()
	return context.Cause(alive)
}

// listen takes or probes every port before anything is started.
func (c *cloud) listen() error {
	var errs []error
	for _, each := range []struct {
		port     *port
		listener *net.Listener
	}{
		{&c.ports.frontDoor, &c.listeners.frontDoor},
		{&c.ports.proxy, &c.listeners.proxy},
		{&c.ports.identity, &c.listeners.identity},
	} {
		var err error
		if *each.listener, err = loopback.Listen(each.port.number); err != nil {
			errs = append(errs, each.port.explain(err))
			continue
		}
		each.port.number = loopback.Port(*each.listener)
	}
	// Azurite takes a free port for 0 by itself.
	for _, each := range []*port{&c.ports.blob, &c.ports.queue, &c.ports.table} {
		if each.number != 0 {
			errs = append(errs, each.probe())
		}
	}
	errs = append(errs, c.ports.host.probe())
	err := errors.Join(errs...)
	if _, taken := errors.AsType[*loopback.PortTakenError](err); taken {
		return errors.Join(err, errFreePorts)
	}
	return err
}

// prepare makes what the app needs, everything at the same time: storage, the
// keys of this working copy, and the app itself.
func (c *cloud) prepare(ctx context.Context) error {
	if err := checkKEK(c.place.state); err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return c.startStorage(ctx) })
	all.Go(c.openKeys)
	all.Go(func() error { return c.stage(ctx) })
	if err := all.Wait(); err != nil {
		if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && cause != nil {
			return cause
		}
		return err
	}
	return nil
}

func (c *cloud) startStorage(ctx context.Context) error {
	if _, err := os.Stat(c.place.tree.Local("azurite")); err != nil {
		c.progress("installing Azurite, once for this working copy: 370 MB, about half a minute")
	}
	server, err := azurite.Start(ctx, azurite.Config{
		Checkout:  c.place.tree,
		Location:  c.place.state.Local(dataName),
		BlobPort:  c.ports.blob.number,
		QueuePort: c.ports.queue.number,
		TablePort: c.ports.table.number,
		Output:    quiet{c.console.Writer("azurite"), routine},
	})
	if err != nil {
		return err
	}
	c.storage = server
	return c.group.Add("azurite", server)
}

// checkKEK refuses to begin with a new key-encryption key where there is data that
// only the lost one opens.
func checkKEK(state checkout.Checkout) error {
	_, kek := os.Stat(state.Local(kekName))
	_, data := os.Stat(state.Local(dataName))
	if errors.Is(kek, fs.ErrNotExist) && data == nil {
		return fmt.Errorf("%s is gone, and what is in %s opens with it alone: put it back, or remove %s to begin anew",
			state.Local(kekName), state.Local(dataName), state.Local(dataName))
	}
	return nil
}

// openKeys opens the directory, the authority and the key-encryption key, and makes
// the folder of files.
func (c *cloud) openKeys() error {
	if _, err := c.place.state.State().Make(filesName); err != nil {
		return err
	}
	now := time.Now()
	authority, err := localca.Open(c.place.state.State(), now)
	if err != nil {
		return err
	}
	if c.leaf, err = authority.Leaf(now); err != nil {
		return err
	}
	if c.bundle, err = authority.WriteBundle(c.place.state.State(), os.Getenv("SSL_CERT_FILE")); err != nil {
		return err
	}
	if c.directory, err = identity.Open(c.place.state.State()); err != nil {
		return err
	}
	_, err = c.place.state.State().ReadOrCreate(kekName, func() ([]byte, error) {
		key := make([]byte, 32)
		rand.Read(key)
		return []byte(base64.StdEncoding.EncodeToString(key)), nil
	})
	if err == nil {
		c.progress("keys and certificates are in %s", c.place.state.Local())
	}
	return err
}

// stage builds the app, unless one was given.
func (c *cloud) stage(ctx context.Context) error {
	if c.app != "" {
		return nil
	}
	c.app = c.place.state.Local("app")
	c.progress("building the function app: at first a minute, then seconds")
	if err := bundle.Build(ctx, c.place.tree.Root, c.app, bundle.Here); err != nil {
		return err
	}
	c.progress("the function app is built")
	return copySettings(c.place.tree.Root, c.app)
}

// serve starts the Functions host and the servers around it.
func (c *cloud) serve() error {
	identityServer := loopback.Serve(c.listeners.identity, identity.New(identity.Config{
		Directory: c.directory, Issuer: c.identityURL(), Now: time.Now,
	}), nil, c.log)
	if err := c.group.Add("the identity endpoint", identityServer); err != nil {
		return err
	}
	timers, err := c.place.state.State().Make("timers")
	if err != nil {
		return err
	}
	if err := c.checkSettings(); err != nil {
		return err
	}
	host, kind, err := startHost(c.app, timers, c.ports.host.number, c.settings(), c.console)
	if err != nil {
		return err
	}
	c.progress("the Functions host (%s) starts", kind)
	if err := c.group.Add("the Functions host", host); err != nil {
		return err
	}
	door := loopback.Serve(c.listeners.frontDoor, frontdoor.New(frontdoor.Config{
		Upstream: loopback.Address(c.ports.host.number), Log: c.log,
	}), &c.leaf, c.log)
	if err := c.group.Add("the front door", door); err != nil {
		return err
	}
	proxy := loopback.Serve(c.listeners.proxy, connectproxy.New(connectproxy.Config{
		Target: loopback.Address(c.ports.frontDoor.number), Log: c.log,
	}), nil, c.log)
	return c.group.Add("the proxy", proxy)
}

// checkSettings lets the handler say what is wrong with its settings, once: the
// Functions host would start it again and again. A handler that was not packaged
// here, or is older (0.1.0), has no such command.
func (c *cloud) checkSettings() error {
	program := filepath.Join(c.app, bundle.Binary)
	if _, err := os.Stat(program); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	cmd := exec.Command(program, "check")
	cmd.Dir, cmd.Env = c.app, c.settings()
	var message bytes.Buffer
	cmd.Stderr = &message
	if err := cmd.Run(); err != nil && !bytes.Contains(message.Bytes(), []byte(`unknown command "check"`)) {
		return fmt.Errorf("the handler refuses its settings (%w):\n%s", err, bytes.TrimSpace(message.Bytes()))
	}
	return nil
}

func (c *cloud) announce(lock *checkout.Lock, ready bool) error {
	e := c.endpoints()
	i := instance{PID: os.Getpid(), Ready: ready, URL: e.url, HostURL: e.hostURL, IdentityEndpoint: e.identityEndpoint, App: c.app}
	if ready {
		i.Settings = c.certwrightSettings()
	}
	return i.announce(lock)
}

func (c *cloud) progress(format string, values ...any) {
	fmt.Fprintf(c.out, format+"\n", values...)
}
