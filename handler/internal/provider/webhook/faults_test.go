package webhook_test

// Answers that an endpoint should not give, killed processes.

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/webhook"
)

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func pemCSR(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func der(t testing.TB, text string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM: %s", text)
	}
	return block.Bytes
}

// Answers that are not the contract's, to the look and to the POST: what ends an
// operation is the CA's own word only.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const (
		plain   = "text/html"
		asJSON  = "application/json"
		problem = "application/problem+json; charset=utf-8"
	)
	junk := strings.Repeat("x", 4000)
	for _, c := range []struct {
		name         string
		f            fault.Func
		look, make   provider.OutcomeKind
		text         string
		afterSeconds int
	}{
		{"gateway's page", fault.Reply(200, plain, "<html>"), retry, retry, "malformed answer", 0},
		{"nothing", fault.Reply(204, asJSON, ""), retry, retry, "malformed answer", 0},
		{"cut off", fault.Reply(200, asJSON, `{"status":"iss`), retry, retry, "malformed answer", 0},
		{"two documents", fault.Reply(200, asJSON, `{"status":"pending"}{}`), retry, retry, "malformed answer", 0},
		{"array", fault.Reply(200, asJSON, `[]`), retry, retry, "malformed answer", 0},
		{"null", fault.Reply(200, asJSON, `null`), retry, retry, `unknown status ""`, 0},
		{"another status", fault.Reply(200, asJSON, `{"status":"approved"}`), retry, retry, `unknown status "approved"`, 0},
		{"long status", fault.Reply(200, asJSON, `{"status":"`+junk+`"}`), retry, retry, "unknown status", 0},
		{"number as status", fault.Reply(200, asJSON, `{"status":1}`), retry, retry, "malformed answer", 0},
		{"issued nothing", fault.Reply(200, asJSON, `{"status":"issued"}`), retry, retry, "chain: 0 certificates", 0},
		{"issued too many", fault.Reply(200, asJSON, `{"status":"issued","chain":["","","","","","","","","","",""]}`), retry, retry, "chain: 11 certificates", 0},
		{"issued no PEM", fault.Reply(200, asJSON, `{"status":"issued","chain":["x"]}`), retry, retry, "element 1 is not one certificate in PEM", 0},
		{"issued a key", fault.Reply(200, asJSON, `{"status":"issued","chain":["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]}`), retry, retry, "element 1 is not one", 0},
		{"issued two in one", fault.Reply(200, asJSON, `{"status":"issued","chain":["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n x"]}`), retry, retry, "element 1 is not one", 0},
		{"issued garbage", fault.Reply(200, asJSON, `{"status":"issued","chain":["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]}`), retry, retry, "element 1: ", 0},
		{"failed without reason", fault.Reply(200, asJSON, `{"status":"failed"}`), retry, retry, "without error", 0},
		{"failed in silence", fault.Reply(200, asJSON, `{"status":"failed","error":{}}`), failed, failed, "it does not say why", 0},
		{"failed by type", fault.Reply(200, asJSON, `{"status":"failed","error":{"type":"urn:x"}}`), failed, failed, "request: urn:x", 0},
		{"failed at length", fault.Reply(200, asJSON, `{"status":"failed","error":{"title":"`+junk+`"}}`), failed, failed, "xxx", 0},
		{"refused", fault.Reply(403, problem, `{"title":"No","detail":"not yours"}`), retry, failed, "No: not yours", 0},
		{"refused as invalid", fault.Reply(422, problem, `{"title":"No"}`), retry, failed, "No", 0},
		{"refused as bad", fault.Reply(400, problem, `{"detail":"No"}`), retry, failed, "No", 0},
		{"refused as large", fault.Reply(413, problem, `{}`), retry, failed, "it does not say why", 0},
		{"refused by a gateway", fault.Reply(403, plain, "<html>"), retry, retry, "answers 403", 0},
		{"no problem inside", fault.Reply(400, problem, "<html>"), retry, failed, "it does not say why", 0},
		{"concurrent", fault.Reply(409, problem, `{"title":"busy"}`), retry, retry, "answers 409 to", 0},
		{"credentials", fault.Reply(401, problem, `{"title":"unknown key"}`), retry, retry, "unknown key", 0},
		{"gone", fault.Reply(410, problem, `{"title":"gone"}`), retry, retry, "gone", 0},
		{"throttled", fault.After("120", fault.Reply(429, "text/plain", "")), retry, retry, "answers 429", 120},
		{"away", fault.After("30", fault.Reply(503, "text/plain", "")), retry, retry, "answers 503", 30},
		{"broken", fault.Reply(500, plain, ""), retry, retry, "Internal Server Error", 0},
		{"redirect", fault.Circle, retry, retry, "answers 307", 0},
		{"huge", fault.Huge(`{"status":"`), retry, retry, "longer than 262144 bytes", 0},
		{"dropped", fault.Dropped, retry, retry, "calling the CA", 0},
		{"lost", fault.Lost, retry, retry, "calling the CA", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			i, req := a.issuer(webhook.Config{}), request(t)
			for want, faults := range map[string][]fault.Func{"look": {c.f}, "make": {fault.Pass, c.f}} {
				kind := c.look
				if want == "make" {
					kind = c.make
				}
				a.set(func() { a.requests, a.faults = map[string]*issuance{}, faults })
				state, out := i.Step(t.Context(), req, nil)
				text := out.Detail + out.Message
				if state != nil || out.Kind != kind || !strings.Contains(text, c.text) || len(text) > 3000 {
					t.Errorf("%s: %+v, state %s", want, out, state)
				}
				if out.Kind == failed && out.Code != provider.CodeRejected {
					t.Errorf("%s: code %s", want, out.Code)
				}
				if until := start.Add(time.Duration(c.afterSeconds) * time.Second); c.afterSeconds > 0 && !out.Until.Equal(until) {
					t.Errorf("%s: until %s", want, out.Until)
				}
				if strings.Contains(text, secret) {
					t.Errorf("%s: the secret is told", want)
				}
				// It may be mended.
				if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
					t.Errorf("%s: then %+v", want, out)
				}
			}
		})
	}
}

const (
	retry  = provider.OutcomeRetry
	failed = provider.OutcomeFailed
)

// Whatever is lost, and however often a step is run again with its old state, the
// CA makes one certificate.
func TestKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]fault.Func{
		"before the look":       {fault.Dropped},
		"after the look":        {fault.Lost},
		"before the POST":       {fault.Pass, fault.Dropped},
		"after the POST":        {fault.Pass, fault.Lost},
		"after POST and look":   {fault.Pass, fault.Lost, fault.Lost, fault.Dropped},
		"throttled in between":  {fault.Pass, fault.After("1", fault.Reply(429, "text/plain", "")), fault.Pass, fault.Lost},
		"gateway in between":    {fault.Pass, fault.Reply(502, "text/html", ""), fault.Pass, fault.Lost, fault.Reply(200, "text/html", "")},
		"refused as concurrent": {fault.Pass, fault.Reply(409, "application/problem+json", "{}")},
	} {
		a := newAuthority(t)
		a.faults = faults
		req := request(t)
		for n := range len(faults) + 2 { // each time another process, without state
			_, out := a.issuer(webhook.Config{}).Step(t.Context(), req, nil)
			if out.Kind != retry && out.Kind != provider.OutcomeIssued {
				t.Errorf("%s: step %d: %+v", name, n, out)
			}
			if n == len(faults)+1 && out.Kind != provider.OutcomeIssued {
				t.Errorf("%s: not issued: %+v", name, out)
			}
		}
		if n := a.made(); n != 1 {
			t.Errorf("%s: %d certificates", name, n)
		}
	}
}
