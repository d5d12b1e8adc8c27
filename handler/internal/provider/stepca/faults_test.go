package stepca_test

// Answers that step-ca should not give, killed processes, two workers.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/signertest"
	"github.com/certwright/certwright/handler/internal/provider/stepca"
)

const (
	asJSON = "application/json"
	asHTML = "text/html"
)

// says is a reply in the server's form for errors.
func says(status int, text string) fault.Func {
	return fault.Reply(status, asJSON, fmt.Sprintf(`{"status":%d,"message":%q}`, status, text))
}

const (
	retry  = provider.OutcomeRetry
	failed = provider.OutcomeFailed
)

// Answers to the signing: what ends an operation is the server's own word only.
func TestAnswers(t *testing.T) {
	t.Parallel()
	crt := func(text string) fault.Func { return fault.Reply(201, asJSON, `{"crt":`+text+`}`) }
	for _, c := range []struct {
		name       string
		f          fault.Func
		kind       provider.OutcomeKind
		code       string
		text       string
		afterwards int // seconds
	}{
		{"gateway's page", fault.Reply(200, asHTML, "<html>"), retry, "", "malformed answer", 0},
		{"nothing", fault.Reply(204, asJSON, ""), retry, "", "malformed answer", 0},
		{"cut off", fault.Reply(201, asJSON, `{"crt":"`), retry, "", "malformed answer", 0},
		{"null", fault.Reply(201, asJSON, `null`), retry, "", "malformed answer", 0},
		{"array", fault.Reply(201, asJSON, `[]`), retry, "", "malformed answer", 0},
		{"number", crt(`7`), retry, "", "malformed answer", 0},
		{"no PEM", crt(`"x"`), retry, "", "certificate 1 is not one certificate in PEM", 0},
		{"a key", crt(`"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"`), retry, "", "certificate 1 is not one", 0},
		{"two in one", crt(`"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n x"`), retry, "", "certificate 1 is not one", 0},
		{"garbage inside", crt(`"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"`), retry, "", "certificate 1: ", 0},
		{"no PEM behind", crt(fmt.Sprintf("%q", signertest.PEM(ca.Root().Raw)) + `,"ca":"x"`), retry, "", "certificate 2 is not one", 0},
		{"too many", fault.Reply(201, asJSON, `{"certChain":["","","","","","","","","","",""]}`), retry, "", "11 certificates", 0},

		{"unauthorized", says(401, "The request lacked necessary authorization to be completed."), failed, provider.CodeIssuerError, "lacked necessary authorization", 0},
		{"bad", says(400, "invalid csr"), failed, provider.CodeRejected, "refuses /1.0/sign: invalid csr", 0},
		{"forbidden", says(403, "certificate request\n\tdoes not contain"), failed, provider.CodeRejected, "certificate request does not contain", 0},
		{"refused at length", says(403, strings.Repeat("x", 4000)), failed, provider.CodeRejected, "xxx", 0},

		{"refused in silence", says(403, ""), retry, "", "answers 403 to /1.0/sign: Forbidden", 0},
		{"refused by a gateway", fault.Reply(403, asHTML, "<html>"), retry, "", "answers 403", 0},
		{"not found", fault.Reply(404, "text/plain", "404 page not found"), retry, "", "answers 404", 0},
		{"throttled", fault.After("120", says(429, "slowly")), retry, "", "slowly", 120},
		{"away", fault.After("30", fault.Reply(503, asHTML, "")), retry, "", "Service Unavailable", 30},
		{"broken", says(500, "The certificate authority encountered an Internal Server Error."), retry, "", "Internal Server Error", 0},
		{"redirect", fault.Redirect("https://other.example.com/1.0/sign"), retry, "", "answers 307 to /1.0/sign: a redirect, which is not followed", 0},
		{"to itself", fault.Redirect("/1.0/sign"), retry, "", "a redirect, which is not followed", 0},
		{"huge", fault.Huge(`{"crt":"`), retry, "", "longer than 262144 bytes", 0},
		{"dropped", fault.Dropped, retry, "", "calling 127.0.0.1", 0},
		{"lost", fault.Lost, retry, "", "calling 127.0.0.1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, req := newFront(t), request(t)
			f.Faults = []fault.Func{c.f}
			i := f.issuer(stepca.Config{})
			state, out := i.Step(t.Context(), req, nil)
			text := out.Detail + out.Message
			if state != nil || out.Kind != c.kind || out.Code != c.code || !strings.Contains(text, c.text) || len(text) > 2000 {
				t.Errorf("%+v, state %s", out, state)
			}
			if until := start.Add(time.Duration(c.afterwards) * time.Second); c.afterwards > 0 && !out.Until.Equal(until) {
				t.Errorf("until %s", out.Until)
			}
			if strings.Contains(text, secret(t)) || strings.Contains(text, f.tokens()[0]) {
				t.Errorf("a secret is told: %s", text)
			}
			// It may be mended.
			if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
				t.Errorf("then %+v", out)
			}
		})
	}
}

// A server that repeats what it was sent is not repeated.
func TestTokensAreNotTold(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	f.Faults = []fault.Func{func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var sent struct{ OTT string }
		if err := json.Unmarshal(body, &sent); err != nil || sent.OTT == "" {
			t.Errorf("sent %s: %v", body, err)
		}
		says(403, "token "+sent.OTT+" is not valid")(w, r, next)
	}}
	_, out := f.issuer(stepca.Config{}).Step(t.Context(), request(t), nil)
	if !strings.HasSuffix(out.Message, "refuses /1.0/sign: token [redacted] is not valid") {
		t.Errorf("%+v", out)
	}
}

// A server that does not answer costs a step no more than its deadline.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.Faults = []fault.Func{func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		cancel() // the deadline, once the server has the request
		<-r.Context().Done()
	}}
	if _, out := f.issuer(stepca.Config{}).Step(ctx, request(t), nil); out.Kind != retry {
		t.Errorf("%+v", out)
	}
}

// Whatever is lost, and however often a step is run again, it ends with a
// certificate; those that nobody got are harmless.
func TestKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults []fault.Func
		made   int
	}{
		"before the signing": {[]fault.Func{fault.Dropped}, 1},
		"after the signing":  {[]fault.Func{fault.Lost}, 2},
		"twice":              {[]fault.Func{fault.Lost, fault.Lost}, 3},
		"broken in between":  {[]fault.Func{says(500, "broken"), fault.Lost, fault.After("1", says(429, "slowly"))}, 2},
	} {
		f, req := newFront(t), request(t)
		f.Faults = c.faults
		for n := range len(c.faults) + 1 { // each time another process
			want := retry
			if n == len(c.faults) {
				want = provider.OutcomeIssued
			}
			if _, out := f.issuer(stepca.Config{}).Step(t.Context(), req, nil); out.Kind != want {
				t.Errorf("%s: step %d: %+v", name, n, out)
			}
		}
		if f.made() != c.made {
			t.Errorf("%s: %d certificates, want %d", name, f.made(), c.made)
		}
		tokens := f.tokens()
		slices.Sort(tokens)
		if len(slices.Compact(tokens)) != len(c.faults)+1 {
			t.Errorf("%s: a token was sent twice", name)
		}
	}
}

// Two workers at once: each gets a certificate for the CSR, and the vault accepts
// one of them.
func TestTwoWorkers(t *testing.T) {
	t.Parallel()
	f, req := newFront(t), request(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, out := f.issuer(stepca.Config{}).Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
				t.Errorf("%+v", out)
			}
		})
	}
	wg.Wait()
	if f.made() != 2 {
		t.Errorf("%d certificates", f.made())
	}
}
