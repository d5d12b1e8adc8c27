package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// healthPoll is how often the front door is asked while the app starts.
	healthPoll = 50 * time.Millisecond
	// healthTimeout bounds one answer, healthLimit the whole start.
	healthTimeout = 5 * time.Second
	healthLimit   = 2 * time.Minute
)

// awaitHealth returns when the app answers, first at the Functions host and then
// through the front door, as it does to a client.
func (c *cloud) awaitHealth(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	roots := x509.NewCertPool()
	for _, der := range c.leaf.Certificate[1:] {
		authority, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("reading the authority: %w", err)
		}
		roots.AddCert(authority)
	}
	client := &http.Client{Timeout: healthTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	e := c.endpoints()
	for _, base := range []string{e.hostURL, e.url} {
		if err := await(ctx, client, base+"/health"); err != nil {
			return err
		}
	}
	return nil
}

// await asks until the answer is 200 or ctx ends.
func await(ctx context.Context, client *http.Client, address string) error {
	tick := time.NewTicker(healthPoll)
	defer tick.Stop()
	for {
		last := health(ctx, client, address)
		if last == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return cause
			}
			return fmt.Errorf("the app does not become healthy: %w", last)
		}
	}
}

func health(ctx context.Context, client *http.Client, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, response.Status)
	}
	return nil
}

// welcome prints what a newcomer needs, once.
func (c *cloud) welcome(env string) {
	if wd, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(wd, env); err == nil && !strings.HasPrefix(relative, "..") {
			env = relative
		}
	}
	e := c.endpoints()
	fmt.Fprintf(c.console.To, `
Certwright is ready, %.1f s after its start. Ctrl-C ends everything.

  Vault           %s, and every https://NAME.vault.azure.net by the proxy
  Functions host  %s
  A token         make -s token

In another shell, to make every Key Vault this one and try it:

  . %s
  curl -sH "Authorization: Bearer $(make -s token)" "$CERTWRIGHT_URL/certificates?api-version=7.4"
  make quickstart

`, time.Since(c.started).Seconds(), e.url, e.hostURL, env)
}
