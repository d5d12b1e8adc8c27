package pebble

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/scripts/localcloud/checkout"
	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// ChallengesConfig says how to run the server that answers challenges.
type ChallengesConfig struct {
	// Checkout is where the programs are installed; zero: the working copy that
	// the working directory lies in.
	Checkout checkout.Checkout
	// Output receives what the server prints; nil: nobody.
	Output io.Writer
}

// Challenges is a running pebble-challtestsrv: a DNS server in which every name
// has the address 127.0.0.1, and a web server for HTTP-01. Its methods may be
// called concurrently.
type Challenges struct {
	process               *supervise.Process
	dns, http, management int
	client                *http.Client
}

// StartChallenges installs the server when needed, starts it and returns when it
// answers. ctx bounds the start only; the server runs until Stop, or until this
// process ends.
func StartChallenges(ctx context.Context, cfg ChallengesConfig) (*Challenges, error) {
	program, err := find(ctx, cfg.Checkout, challengesProgram)
	if err != nil {
		return nil, err
	}
	c, err := supervise.OnPorts(ctx, []int{0, 0, 0}, func(ports []int) (*Challenges, error) {
		return startChallenges(ctx, program, cfg.Output, ports)
	})
	if err != nil {
		return nil, fmt.Errorf("starting pebble-challtestsrv: %w", err)
	}
	return c, nil
}

func startChallenges(ctx context.Context, program string, output io.Writer, ports []int) (*Challenges, error) {
	c := &Challenges{dns: ports[0], http: ports[1], management: ports[2], client: loopback.NewClient(nil)}
	cmd := exec.Command(program,
		"-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-dnsserver", loopback.Address(c.dns), "-http01", loopback.Address(c.http), "-management", loopback.Address(c.management),
		"-https01", "", "-tlsalpn01", "", "-doh", "")
	var err error
	c.process, err = supervise.StartReady(ctx, cmd, stopGrace, output, c.probe)
	return c, err
}

// probe reports whether the three ports are the server's own: it goes on when it
// could not listen.
func (c *Challenges) probe(ctx context.Context) error {
	secret := rand.Text()
	host := secret + ".probe.test"
	if err := errors.Join(c.AddHTTP01(ctx, secret, secret), c.AddTXT(ctx, host, secret)); err != nil {
		return err
	}
	body, err := loopback.Get(ctx, c.client, "http://"+loopback.Address(c.http)+"/.well-known/acme-challenge/"+secret)
	if err != nil {
		return err
	}
	if string(body) != secret {
		return fmt.Errorf("HTTP-01 answers %q", body)
	}
	texts, err := c.Resolver().LookupTXT(ctx, host+".")
	if err != nil {
		return err
	}
	if !slices.Contains(texts, secret) {
		return fmt.Errorf("DNS answers %q", texts)
	}
	return errors.Join(c.RemoveHTTP01(ctx, secret), c.ClearTXT(ctx, host))
}

// DNS returns the address of the DNS server, host:port for UDP and TCP.
func (c *Challenges) DNS() string { return loopback.Address(c.dns) }

// Resolver returns a resolver that asks the DNS server.
func (c *Challenges) Resolver() *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, c.DNS())
		},
	}
}

// AddTXT adds a TXT record.
func (c *Challenges) AddTXT(ctx context.Context, host, value string) error {
	return c.call(ctx, "set-txt", map[string]string{"host": rooted(host), "value": value})
}

// ClearTXT removes all TXT records of a name.
func (c *Challenges) ClearTXT(ctx context.Context, host string) error {
	return c.call(ctx, "clear-txt", map[string]string{"host": rooted(host)})
}

// SetCNAME makes a name an alias.
func (c *Challenges) SetCNAME(ctx context.Context, host, target string) error {
	return c.call(ctx, "set-cname", map[string]string{"host": rooted(host), "target": rooted(target)})
}

// SetServFail makes the DNS server fail for a name.
func (c *Challenges) SetServFail(ctx context.Context, host string) error {
	return c.call(ctx, "set-servfail", map[string]string{"host": rooted(host)})
}

// ClearServFail makes the DNS server answer for a name again.
func (c *Challenges) ClearServFail(ctx context.Context, host string) error {
	return c.call(ctx, "clear-servfail", map[string]string{"host": rooted(host)})
}

// AddHTTP01 serves a key authorization under its token, for every host.
func (c *Challenges) AddHTTP01(ctx context.Context, token, content string) error {
	return c.call(ctx, "add-http01", map[string]string{"token": token, "content": content})
}

// RemoveHTTP01 serves a token no longer.
func (c *Challenges) RemoveHTTP01(ctx context.Context, token string) error {
	return c.call(ctx, "del-http01", map[string]string{"token": token})
}

func (c *Challenges) call(ctx context.Context, path string, arguments map[string]string) error {
	return post(ctx, c.client, "http://"+loopback.Address(c.management)+"/"+path, arguments)
}

// post sends arguments, in JSON, to a program's management.
func post(ctx context.Context, client *http.Client, url string, arguments map[string]string) error {
	body, err := json.Marshal(arguments)
	if err != nil {
		return fmt.Errorf("calling %q: %w", url, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("calling %q: %w", url, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("calling %q: %w", url, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("calling %q: %s", url, response.Status)
	}
	return nil
}

// PID returns the id of the process.
func (c *Challenges) PID() int { return c.process.PID() }

// Stop ends the process.
func (c *Challenges) Stop() error {
	c.client.CloseIdleConnections()
	return c.process.Stop()
}

func rooted(name string) string { return strings.TrimSuffix(name, ".") + "." }
