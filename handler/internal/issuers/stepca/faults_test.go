package stepca_test

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

	"github.com/certwright/certwright/handler/internal/issuers/stepca"
	"github.com/certwright/certwright/handler/internal/vault"
)

const (
	asJSON = "application/json"
	asHTML = "text/html"
)

// reply answers in place of the server.
func reply(status int, contentType, body string) fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// says is a reply in the server's form for errors.
func says(status int, text string) fault {
	return reply(status, asJSON, fmt.Sprintf(`{"status":%d,"message":%q}`, status, text))
}

// lost lets the server act and drops its answer.
func lost(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(discardWriter{}, r)
	panic(http.ErrAbortHandler)
}

type discardWriter struct{}

func (discardWriter) Header() http.Header         { return http.Header{} }
func (discardWriter) Write(b []byte) (int, error) { return len(b), nil }
func (discardWriter) WriteHeader(int)             {}

// dropped ends the connection before the server hears of the request.
func dropped(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// after asks to be left alone for so many seconds.
func after(seconds string, f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Retry-After", seconds)
		f(w, r, next)
	}
}

// redirect leads where location says.
func redirect(location string) fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// huge answers with 1 GB, or as much of it as is taken.
func huge(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	io.WriteString(w, `{"crt":"`)
	block := []byte(strings.Repeat("x", 1<<16))
	for range 1 << 14 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

const (
	retry  = vault.OutcomeRetry
	failed = vault.OutcomeFailed
)

// Answers to the signing: what ends an operation is the server's own word only.
func TestAnswers(t *testing.T) {
	t.Parallel()
	crt := func(text string) fault { return reply(201, asJSON, `{"crt":`+text+`}`) }
	for _, c := range []struct {
		name       string
		f          fault
		kind       vault.OutcomeKind
		code       string
		text       string
		afterwards int // seconds
	}{
		{"gateway's page", reply(200, asHTML, "<html>"), retry, "", "malformed answer", 0},
		{"nothing", reply(204, asJSON, ""), retry, "", "malformed answer", 0},
		{"cut off", reply(201, asJSON, `{"crt":"`), retry, "", "malformed answer", 0},
		{"null", reply(201, asJSON, `null`), retry, "", "malformed answer", 0},
		{"array", reply(201, asJSON, `[]`), retry, "", "malformed answer", 0},
		{"number", crt(`7`), retry, "", "malformed answer", 0},
		{"no PEM", crt(`"x"`), retry, "", "certificate 1 is not one certificate in PEM", 0},
		{"a key", crt(`"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"`), retry, "", "certificate 1 is not one", 0},
		{"two in one", crt(`"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n x"`), retry, "", "certificate 1 is not one", 0},
		{"garbage inside", crt(`"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"`), retry, "", "certificate 1: ", 0},
		{"no PEM behind", crt(fmt.Sprintf("%q", encode(ca.Root().Raw)) + `,"ca":"x"`), retry, "", "certificate 2 is not one", 0},
		{"too many", reply(201, asJSON, `{"certChain":["","","","","","","","","","",""]}`), retry, "", "11 certificates", 0},

		{"unauthorized", says(401, "The request lacked necessary authorization to be completed."), failed, vault.CodeIssuerError, "lacked necessary authorization", 0},
		{"bad", says(400, "invalid csr"), failed, vault.CodeRejected, "refuses /1.0/sign: invalid csr", 0},
		{"forbidden", says(403, "certificate request\n\tdoes not contain"), failed, vault.CodeRejected, "certificate request does not contain", 0},
		{"refused at length", says(403, strings.Repeat("x", 4000)), failed, vault.CodeRejected, "xxx", 0},

		{"refused in silence", says(403, ""), retry, "", "answers 403 to /1.0/sign: Forbidden", 0},
		{"refused by a gateway", reply(403, asHTML, "<html>"), retry, "", "answers 403", 0},
		{"not found", reply(404, "text/plain", "404 page not found"), retry, "", "answers 404", 0},
		{"throttled", after("120", says(429, "slowly")), retry, "", "slowly", 120},
		{"away", after("30", reply(503, asHTML, "")), retry, "", "Service Unavailable", 30},
		{"broken", says(500, "The certificate authority encountered an Internal Server Error."), retry, "", "Internal Server Error", 0},
		{"redirect", redirect("https://other.example.com/1.0/sign"), retry, "", "answers 307 to /1.0/sign: a redirect, which is not followed", 0},
		{"to itself", redirect("/1.0/sign"), retry, "", "a redirect, which is not followed", 0},
		{"huge", huge, retry, "", "longer than 262144 bytes", 0},
		{"dropped", dropped, retry, "", "calling 127.0.0.1", 0},
		{"lost", lost, retry, "", "calling 127.0.0.1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, req := newFront(t), request(t)
			f.faults = []fault{c.f}
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
			if _, out := i.Step(t.Context(), req, nil); out.Kind != vault.OutcomeIssued {
				t.Errorf("then %+v", out)
			}
		})
	}
}

// A server that repeats what it was sent is not repeated.
func TestTokensAreNotTold(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	f.faults = []fault{func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var sent struct{ OTT string }
		if err := json.Unmarshal(body, &sent); err != nil || sent.OTT == "" {
			t.Errorf("sent %s: %v", body, err)
		}
		says(403, "token "+sent.OTT+" is no good")(w, r, next)
	}}
	_, out := f.issuer(stepca.Config{}).Step(t.Context(), request(t), nil)
	if !strings.HasSuffix(out.Message, "refuses /1.0/sign: token [redacted] is no good") {
		t.Errorf("%+v", out)
	}
}

// A server that does not answer costs a step no more than its deadline.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.faults = []fault{func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
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
		faults []fault
		made   int
	}{
		"before the signing": {[]fault{dropped}, 1},
		"after the signing":  {[]fault{lost}, 2},
		"twice":              {[]fault{lost, lost}, 3},
		"broken in between":  {[]fault{says(500, "broken"), lost, after("1", says(429, "slowly"))}, 2},
	} {
		f, req := newFront(t), request(t)
		f.faults = c.faults
		for n := range len(c.faults) + 1 { // each time another process
			want := retry
			if n == len(c.faults) {
				want = vault.OutcomeIssued
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
			if _, out := f.issuer(stepca.Config{}).Step(t.Context(), req, nil); out.Kind != vault.OutcomeIssued {
				t.Errorf("%+v", out)
			}
		})
	}
	wg.Wait()
	if f.made() != 2 {
		t.Errorf("%d certificates", f.made())
	}
}
