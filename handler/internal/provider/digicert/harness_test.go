package digicert_test

// An operation on the fake, with a clock.

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
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/digicert"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Kinds of outcome, in short.
const (
	pending = provider.OutcomePending
	issued  = provider.OutcomeIssued
	failed  = provider.OutcomeFailed
	retry   = provider.OutcomeRetry
)

// clock is a clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: start} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const requestID = "0123456789abcdef0123456789abcdef"

// newRequest is an operation that was made at the start. Its private key must not
// be asked for.
func newRequest(t testing.TB, names ...string) provider.Request {
	t.Helper()
	if len(names) == 0 {
		names = []string{"example.com", "www.example.com"}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: names[0]},
		DNSNames: names,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return provider.Request{
		ID: requestID, Certificate: "web", CSR: csr, Created: start,
		Policy: policy.Policy{X509: policy.X509Properties{
			Subject:        "CN=" + names[0],
			SANs:           &policy.SANs{DNSNames: names},
			ValidityMonths: 12,
		}},
		Issuer: provider.Issuer{
			Name: "ca", Provider: "DigiCert", AccountID: "98765", Password: apiKey, HasAccount: true, Enabled: true,
			Org: provider.OrganizationDetails{ID: "112233"},
		},
		Key: func(context.Context) (crypto.Signer, error) {
			t.Error("the private key was opened")
			return nil, io.EOF
		},
	}
}

// operation advances one operation as the vault does: it claims it when it is due
// and takes steps under that claim as long as the next is due at once.
type operation struct {
	t      testing.TB
	ca     *certCentral
	issuer *digicert.Provider
	req    provider.Request
	state  json.RawMessage
	due    time.Time
	out    provider.Outcome // the last
	log    *bytes.Buffer

	// killed decides, before the step with that number, whether the process is
	// killed after it: what it returns is lost, and its claim runs out. Nil: never.
	killed func(step int) bool
	steps  int
}

// lease is how long a claim of the vault lasts.
const lease = 90 * time.Second

func newOperation(t testing.TB, ca *certCentral) *operation {
	o := &operation{t: t, ca: ca, req: newRequest(t), due: start, log: new(bytes.Buffer)}
	o.issuer = ca.issuer(digicert.Config{Log: slog.New(slog.NewTextHandler(o.log, nil))})
	return o
}

// tick waits until the operation is due and advances it.
func (o *operation) tick() provider.Outcome {
	o.t.Helper()
	if wait := o.due.Sub(o.ca.clock.Now()); wait > 0 {
		o.ca.clock.advance(wait)
	}
	o.req.Attempts++
	for {
		dies := o.killed != nil && o.killed(o.steps)
		o.steps++
		state, out := o.issuer.Step(o.t.Context(), o.req, o.state)
		o.check(state, out)
		now := o.ca.clock.Now()
		if dies {
			o.due, o.out = now.Add(lease), provider.Outcome{}
			return o.out
		}
		o.state, o.out = state, out
		switch {
		case out.Kind == pending && out.Until.IsZero():
			continue
		case out.Kind == retry && out.Until.IsZero():
			o.due = now.Add(5 * time.Second)
		default:
			o.due = out.Until
		}
		return out
	}
}

// end ticks until the operation has ended.
func (o *operation) end() provider.Outcome {
	o.t.Helper()
	for range 200 {
		if out := o.tick(); out.Kind == issued || out.Kind == failed {
			return out
		}
	}
	o.t.Fatalf("the operation does not end: %+v, state %s", o.out, o.state)
	return provider.Outcome{}
}

// check holds what a step returns against what every step keeps.
func (o *operation) check(state json.RawMessage, out provider.Outcome) {
	o.t.Helper()
	text := out.Detail + out.Code + out.Message
	if len(text) > 3000 {
		o.t.Errorf("an outcome of %d bytes", len(text))
	}
	for _, s := range []string{text, string(state), o.log.String()} {
		if strings.Contains(s, apiKey) || strings.Contains(s, "CERTIFICATE") {
			o.t.Errorf("a secret, or a key, is told: %s", s)
		}
	}
	if out.Kind == issued {
		if leaf, err := x509.ParseCertificate(out.Chain[0]); err != nil || !o.isFor(leaf) || len(out.Chain) != 3 {
			o.t.Errorf("issued %d certificates, the first not the request's: %v", len(out.Chain), err)
		}
	}
}

// isFor reports whether a certificate has the operation's key.
func (o *operation) isFor(leaf *x509.Certificate) bool {
	csr, err := x509.ParseCertificateRequest(o.req.CSR)
	if err != nil {
		o.t.Fatal(err)
	}
	return slices.Equal(leaf.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo)
}

// place brings the operation to an order that is pending.
func (o *operation) place() *order {
	o.t.Helper()
	o.ca.set(func() { o.ca.issuance = time.Hour })
	if out := o.tick(); out.Kind != pending {
		o.t.Fatalf("%+v", out)
	}
	o.ca.take()
	return o.ca.only()
}
