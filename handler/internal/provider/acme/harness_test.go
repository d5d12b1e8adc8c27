package acme_test

// A provider with Pebble, DNS and a clock, and operations on it.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/scripts/localcloud/pebble"
)

// clock is a clock that stands still unless it is told.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now().UTC().Truncate(time.Millisecond)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// to moves the clock, never back.
func (c *clock) to(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.at) {
		c.at = at
	}
}

// accounts keeps account keys as the vault's store does.
type accounts struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (a *accounts) load(_ context.Context, id string) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keys[id], nil
}

func (a *accounts) save(_ context.Context, id string, key []byte) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keys == nil {
		a.keys = make(map[string][]byte)
	}
	if a.keys[id] == nil {
		a.keys[id] = key
	}
	return a.keys[id], nil
}

// tokens serve HTTP-01 on the challenge server.
func tokens() acme.Tokens {
	return acme.Tokens{Put: challenges.AddHTTP01, Remove: challenges.RemoveHTTP01}
}

// setup is a Provider with everything around it.
type setup struct {
	t        *testing.T
	clock    *clock
	accounts *accounts
	hook     *hook
	log      *bytes.Buffer // of cfg.Log; read it when nothing runs any more
	cfg      acme.Config
	dns      acme.DNSConfig
}

// newSetup is ready to obtain certificates below example.test and
// delegated.test from a server, proven through a hook.
func newSetup(t *testing.T, server *pebble.Server) *setup {
	s := &setup{t: t, clock: newClock(), accounts: new(accounts), hook: newHook(t), log: new(bytes.Buffer)}
	s.dns = acme.DNSConfig{
		Hooks:       []acme.Hook{s.hook.config("example.test", "delegated.test", "blocked.test")},
		Nameservers: []string{challenges.DNS()},
	}
	s.cfg = acme.Config{
		Directory:   acme.Directory{URL: unique(server.DirectoryURL()), Roots: server.Roots()},
		LoadAccount: s.accounts.load,
		SaveAccount: s.accounts.save,
		Now:         s.clock.now,
		Log:         slog.New(slog.NewTextHandler(s.log, nil)),
	}
	return s
}

// provider makes a Provider, as another process would.
func (s *setup) provider() *acme.Provider {
	s.t.Helper()
	cfg := s.cfg
	if cfg.DNS == nil && (s.dns.Hooks != nil || s.dns.Nameservers != nil) {
		var err error
		if cfg.DNS, err = acme.NewDNS(s.dns); err != nil {
			s.t.Fatal(err)
		}
	}
	p, err := acme.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// operation is one request with its saved state.
type operation struct {
	*setup
	provider *acme.Provider
	req      provider.Request
	key      crypto.Signer
	state    json.RawMessage
	steps    int
}

// request begins an operation for names: DNS names and IP addresses.
func (s *setup) request(names ...string) *operation {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.CertificateRequest{}
	sans := &policy.SANs{}
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(addr.AsSlice()))
			sans.IPAddresses = append(sans.IPAddresses, name)
			continue
		}
		template.DNSNames = append(template.DNSNames, name)
		sans.DNSNames = append(sans.DNSNames, name)
	}
	o := &operation{setup: s, provider: s.provider(), key: key}
	o.req = provider.Request{
		ID:          strings.ToLower(rand.Text()),
		Certificate: "web",
		Policy: policy.Policy{
			Key:    policy.KeyProperties{Type: policy.KeyEC, Curve: "P-256", Size: 256},
			X509:   policy.X509Properties{SANs: sans},
			Issuer: policy.IssuerParameters{Name: "ca"},
		},
		Created:  s.clock.now(),
		Attempts: 1,
		Issuer:   provider.Issuer{Name: "ca", Provider: "acme", Enabled: true},
	}
	o.sign(template)
	return o
}

// label makes a DNS label of the name of a test's case. Tests that run at once
// keep apart by names: the challenge server removes all records of one to remove
// any.
func label(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "-")) }

// sign makes the CSR.
func (o *operation) sign(template *x509.CertificateRequest) {
	o.t.Helper()
	csr, err := x509.CreateCertificateRequest(rand.Reader, template, o.key)
	if err != nil {
		o.t.Fatal(err)
	}
	o.req.CSR = csr
}

// named makes a CSR with a common name.
func (o *operation) named(cn string, dnsNames ...string) *operation {
	o.t.Helper()
	o.sign(&x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}, DNSNames: dnsNames})
	return o
}

// step takes one step, saves its state and moves the clock to the next.
func (o *operation) step() provider.Outcome {
	o.t.Helper()
	state, out := o.provider.Step(o.t.Context(), o.req, o.state)
	o.save(state, out)
	return out
}

func (o *operation) save(state json.RawMessage, out provider.Outcome) {
	o.t.Helper()
	if len(state) > provider.MaxState {
		o.t.Fatalf("the state has %d bytes", len(state))
	}
	o.state = state
	o.steps++
	if out.Kind == provider.OutcomePending && !out.Until.IsZero() && !out.Until.After(o.clock.now()) {
		o.t.Errorf("%q: the next step is due %s, which is neither at once nor later", out.Detail, out.Until)
	}
	switch {
	case out.Kind == provider.OutcomeRetry && out.Until.IsZero():
		o.clock.to(o.clock.now().Add(5 * time.Second))
	default:
		o.clock.to(out.Until)
	}
}

// patience bounds a run of an operation, in real time.
const patience = 30 * time.Second

// run steps until the operation ends.
func (o *operation) run() provider.Outcome {
	o.t.Helper()
	out, _ := o.until(func(out provider.Outcome) bool { return false })
	return out
}

// until steps until an outcome is wanted, or until the operation ends.
func (o *operation) until(wanted func(provider.Outcome) bool) (provider.Outcome, bool) {
	o.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		out := o.step()
		switch {
		case wanted(out):
			return out, true
		case out.Kind == provider.OutcomeIssued || out.Kind == provider.OutcomeFailed:
			return out, false
		case time.Now().After(deadline):
			o.t.Fatalf("after %d steps: %s; state %s", o.steps, out.Detail, o.state)
		}
	}
}

// issue runs the operation and returns the certificate with its chain.
func (o *operation) issue() []*x509.Certificate {
	o.t.Helper()
	return o.issued(o.run())
}

// issued checks an outcome that must be a certificate for what was asked.
func (o *operation) issued(out provider.Outcome) []*x509.Certificate {
	o.t.Helper()
	if out.Kind != provider.OutcomeIssued {
		o.t.Fatalf("%s: %s %s", out.Kind, out.Code, out.Message+out.Detail)
	}
	var chain []*x509.Certificate
	for _, der := range out.Chain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			o.t.Fatal(err)
		}
		chain = append(chain, certificate)
	}
	if !o.key.Public().(*ecdsa.PublicKey).Equal(chain[0].PublicKey) {
		o.t.Error("the certificate has another key than the CSR")
	}
	csr, err := x509.ParseCertificateRequest(o.req.CSR)
	if err != nil {
		o.t.Fatal(err)
	}
	got, want := slices.Sorted(slices.Values(chain[0].DNSNames)), slices.Sorted(slices.Values(csr.DNSNames))
	if !slices.Equal(got, want) {
		o.t.Errorf("the certificate is for %q, want %q", got, want)
	}
	for i := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(chain[i+1]); err != nil {
			o.t.Errorf("certificate %d is not signed by the next: %v", i, err)
		}
	}
	return chain
}

// failure runs the operation, which must fail with a code and a message that
// holds all texts.
func (o *operation) failure(code string, texts ...string) {
	o.t.Helper()
	out := o.run()
	if out.Kind != provider.OutcomeFailed || out.Code != code {
		o.t.Fatalf("outcome %s, code %q, %q; want a failure with code %q", out.Kind, out.Code, out.Detail+out.Message, code)
	}
	for _, text := range texts {
		if !strings.Contains(out.Message, text) {
			o.t.Errorf("the message %q does not say %q", out.Message, text)
		}
	}
}

// publishedAt is what a step that published leads to.
func publishedAt(name string) func(provider.Outcome) bool {
	return func(out provider.Outcome) bool { return out.Detail == "TXT records are published at "+name+"." }
}
