package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"

	"github.com/certwright/certwright/handler/localcloud/loopback"
)

// port is a port of 127.0.0.1 that the user can choose; 0 is any free one.
type port struct {
	number    int
	flag, env string
}

// ports are all that a local cloud listens on.
type ports struct {
	frontDoor, host, proxy, identity, blob, queue, table port
}

// portFlags adds a flag for each port. Without it the environment decides, else
// the default.
func portFlags(flags *flag.FlagSet) func() (ports, error) {
	var p ports
	var errs []error
	free := flags.Bool("free-ports", false, "use free ports where none is chosen")
	for _, each := range []struct {
		port      *port
		otherwise int
		flag, env string
		what      string
	}{
		{&p.frontDoor, 8443, "port", "CERTWRIGHT_PORT", "front door (the vault)"},
		{&p.host, 7071, "host-port", "CERTWRIGHT_HOST_PORT", "Functions host"},
		{&p.proxy, 8444, "proxy-port", "CERTWRIGHT_PROXY_PORT", "CONNECT proxy"},
		{&p.identity, 8445, "identity-port", "CERTWRIGHT_IDENTITY_PORT", "identity endpoint"},
		{&p.blob, 10000, "blob-port", "CERTWRIGHT_BLOB_PORT", "Blob Storage"},
		{&p.queue, 10001, "queue-port", "CERTWRIGHT_QUEUE_PORT", "Queue Storage"},
		{&p.table, 10002, "table-port", "CERTWRIGHT_TABLE_PORT", "Table Storage"},
	} {
		*each.port = port{number: each.otherwise, flag: each.flag, env: each.env}
		if value := os.Getenv(each.env); value != "" {
			number, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s is %q, not a port", each.env, value))
			}
			each.port.number = int(number)
		}
		flags.IntVar(&each.port.number, each.flag, each.port.number, fmt.Sprintf("`port` of the %s; 0: a free one (%s)", each.what, each.env))
	}
	return func() (ports, error) {
		if *free {
			chosen := make(map[string]bool)
			flags.Visit(func(f *flag.Flag) { chosen[f.Name] = true })
			for _, each := range p.all() {
				if os.Getenv(each.env) == "" && !chosen[each.flag] {
					each.number = 0
				}
			}
		}
		return p, errors.Join(errs...)
	}
}

func (p *ports) all() []*port {
	return []*port{&p.frontDoor, &p.host, &p.proxy, &p.identity, &p.blob, &p.queue, &p.table}
}

// explain says how to choose another port when err is that p is taken.
func (p port) explain(err error) error {
	var taken *loopback.PortTakenError
	if !errors.As(err, &taken) {
		return err
	}
	if p.env == "" { // of a sample
		return fmt.Errorf("%w: choose another with -%s (0: a free one)", err, p.flag)
	}
	return fmt.Errorf("%w: choose another with -%s or %s (0: a free one)", err, p.flag, p.env)
}

// errFreePorts is the way out where several ports are taken.
var errFreePorts = errors.New("or have free ports instead of all that are not chosen: make run UP=-free-ports")

// probe reports whether a child can listen on the port, and chooses a free one
// for 0. It is free again when probe returns; so that it still is when the child
// comes to it, it is chosen from below the ports that the system gives out.
func (p *port) probe() error {
	if p.number != 0 {
		return p.tryListen(p.number)
	}
	var err error
	for range 100 {
		number := 15_000 + rand.IntN(15_000)
		if err = p.tryListen(number); err == nil {
			p.number = number
			return nil
		}
	}
	return err
}

func (p *port) tryListen(number int) error {
	listener, err := loopback.Listen(number)
	if err != nil {
		return p.explain(err)
	}
	return listener.Close()
}
