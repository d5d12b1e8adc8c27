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
	"time"

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
	client                http.Client
}

// StartChallenges installs the server when needed, starts it and returns when it
// answers. ctx bounds the start only; the server runs until Stop, or until this
// process ends.
func StartChallenges(ctx context.Context, cfg ChallengesConfig) (*Challenges, error) {
	program, err := find(ctx, cfg.Checkout, challengesProgram)
	if err != nil {
		return nil, err
	}
	for range starts {
		var c *Challenges
		if c, err = tryChallenges(ctx, program, cfg.Output); err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("starting pebble-challtestsrv: %w", err)
}

func tryChallenges(ctx context.Context, program string, output io.Writer) (*Challenges, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	c := &Challenges{dns: ports[0], http: ports[1], management: ports[2]}
	c.client = http.Client{Timeout: callTimeout, Transport: &http.Transport{}}
	cmd := exec.Command(program,
		"-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-dnsserver", address(c.dns), "-http01", address(c.http), "-management", address(c.management),
		"-https01", "", "-tlsalpn01", "", "-doh", "")
	if c.process, err = start(ctx, cmd, output, c.probe); err != nil {
		return nil, err
	}
	return c, nil
}

// callTimeout bounds one call of a server on this machine.
const callTimeout = 5 * time.Second

// probe reports whether the three ports are the server's own: it goes on when it
// could not listen.
func (c *Challenges) probe(ctx context.Context) error {
	secret := rand.Text()
	host := secret + ".probe.test"
	if err := errors.Join(c.AddHTTP01(ctx, secret, secret), c.AddTXT(ctx, host, secret)); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address(c.http)+"/.well-known/acme-challenge/"+secret, nil)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10)); err != nil || string(body) != secret {
		return fmt.Errorf("HTTP-01 answers %q: %w", body, err)
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
func (c *Challenges) DNS() string { return address(c.dns) }

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
	body, err := json.Marshal(arguments)
	if err != nil {
		return fmt.Errorf("calling %q: %w", path, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address(c.management)+"/"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("calling %q: %w", path, err)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("calling %q: %w", path, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("calling %q: %s", path, response.Status)
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
