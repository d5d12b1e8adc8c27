package webhook_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/issuers/webhook"
	"github.com/certwright/certwright/handler/internal/vault"
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

// reply answers in place of the authority.
func reply(status int, contentType, body string) fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// pass lets the authority answer.
func pass(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

// lost lets the authority act and drops its answer.
func lost(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(discardWriter{}, r)
	panic(http.ErrAbortHandler)
}

type discardWriter struct{}

func (discardWriter) Header() http.Header         { return http.Header{} }
func (discardWriter) Write(b []byte) (int, error) { return len(b), nil }
func (discardWriter) WriteHeader(int)             {}

// dropped ends the connection before the authority hears of the request.
func dropped(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

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
		f            fault
		look, make   vault.OutcomeKind
		text         string
		afterSeconds int
	}{
		{"gateway's page", reply(200, plain, "<html>"), retry, retry, "malformed answer", 0},
		{"nothing", reply(204, asJSON, ""), retry, retry, "malformed answer", 0},
		{"cut off", reply(200, asJSON, `{"status":"iss`), retry, retry, "malformed answer", 0},
		{"two documents", reply(200, asJSON, `{"status":"pending"}{}`), retry, retry, "malformed answer", 0},
		{"array", reply(200, asJSON, `[]`), retry, retry, "malformed answer", 0},
		{"null", reply(200, asJSON, `null`), retry, retry, `unknown status ""`, 0},
		{"another status", reply(200, asJSON, `{"status":"approved"}`), retry, retry, `unknown status "approved"`, 0},
		{"long status", reply(200, asJSON, `{"status":"`+junk+`"}`), retry, retry, "unknown status", 0},
		{"number as status", reply(200, asJSON, `{"status":1}`), retry, retry, "malformed answer", 0},
		{"issued nothing", reply(200, asJSON, `{"status":"issued"}`), retry, retry, "chain: 0 certificates", 0},
		{"issued too many", reply(200, asJSON, `{"status":"issued","chain":["","","","","","","","","","",""]}`), retry, retry, "chain: 11 certificates", 0},
		{"issued no PEM", reply(200, asJSON, `{"status":"issued","chain":["x"]}`), retry, retry, "element 1 is not one certificate in PEM", 0},
		{"issued a key", reply(200, asJSON, `{"status":"issued","chain":["-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]}`), retry, retry, "element 1 is not one", 0},
		{"issued two in one", reply(200, asJSON, `{"status":"issued","chain":["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n x"]}`), retry, retry, "element 1 is not one", 0},
		{"issued garbage", reply(200, asJSON, `{"status":"issued","chain":["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]}`), retry, retry, "element 1: ", 0},
		{"failed without reason", reply(200, asJSON, `{"status":"failed"}`), retry, retry, "without error", 0},
		{"failed in silence", reply(200, asJSON, `{"status":"failed","error":{}}`), failed, failed, "it does not say why", 0},
		{"failed by type", reply(200, asJSON, `{"status":"failed","error":{"type":"urn:x"}}`), failed, failed, "request: urn:x", 0},
		{"failed at length", reply(200, asJSON, `{"status":"failed","error":{"title":"`+junk+`"}}`), failed, failed, "xxx", 0},
		{"refused", reply(403, problem, `{"title":"No","detail":"not yours"}`), retry, failed, "No: not yours", 0},
		{"refused as invalid", reply(422, problem, `{"title":"No"}`), retry, failed, "No", 0},
		{"refused as bad", reply(400, problem, `{"detail":"No"}`), retry, failed, "No", 0},
		{"refused as large", reply(413, problem, `{}`), retry, failed, "it does not say why", 0},
		{"refused by a gateway", reply(403, plain, "<html>"), retry, retry, "answers 403", 0},
		{"no problem inside", reply(400, problem, "<html>"), retry, failed, "it does not say why", 0},
		{"concurrent", reply(409, problem, `{"title":"busy"}`), retry, retry, "answers 409 to", 0},
		{"credentials", reply(401, problem, `{"title":"unknown key"}`), retry, retry, "unknown key", 0},
		{"gone", reply(410, problem, `{"title":"gone"}`), retry, retry, "gone", 0},
		{"throttled", after("120", 429), retry, retry, "answers 429", 120},
		{"away", after("30", 503), retry, retry, "answers 503", 30},
		{"broken", reply(500, plain, ""), retry, retry, "Internal Server Error", 0},
		{"redirect", redirect, retry, retry, "answers 307", 0},
		{"huge", huge, retry, retry, "longer than 262144 bytes", 0},
		{"dropped", dropped, retry, retry, "calling the CA", 0},
		{"lost", lost, retry, retry, "calling the CA", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			i, req := a.issuer(webhook.Config{}), request(t)
			for want, faults := range map[string][]fault{"look": {c.f}, "make": {pass, c.f}} {
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
				if out.Kind == failed && out.Code != vault.CodeRejected {
					t.Errorf("%s: code %s", want, out.Code)
				}
				if until := start.Add(time.Duration(c.afterSeconds) * time.Second); c.afterSeconds > 0 && !out.Until.Equal(until) {
					t.Errorf("%s: until %s", want, out.Until)
				}
				if strings.Contains(text, secret) {
					t.Errorf("%s: the secret is told", want)
				}
				// It may be mended.
				if _, out := i.Step(t.Context(), req, nil); out.Kind != vault.OutcomeIssued {
					t.Errorf("%s: then %+v", want, out)
				}
			}
		})
	}
}

const (
	retry  = vault.OutcomeRetry
	failed = vault.OutcomeFailed
)

func after(seconds string, status int) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Retry-After", seconds)
		reply(status, "text/plain", "")(w, r, next)
	}
}

// redirect leads to where the authority would answer.
func redirect(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
}

// huge answers with 1 GB, or as much of it as is taken.
func huge(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	io.WriteString(w, `{"status":"`)
	block := []byte(strings.Repeat("x", 1<<16))
	for range 1 << 14 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// Whatever is lost, and however often a step is run again with its old state, the
// CA makes one certificate.
func TestKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]fault{
		"before the look":       {dropped},
		"after the look":        {lost},
		"before the POST":       {pass, dropped},
		"after the POST":        {pass, lost},
		"after POST and look":   {pass, lost, lost, dropped},
		"throttled in between":  {pass, after("1", 429), pass, lost},
		"gateway in between":    {pass, reply(502, "text/html", ""), pass, lost, reply(200, "text/html", "")},
		"refused as concurrent": {pass, reply(409, "application/problem+json", "{}")},
	} {
		a := newAuthority(t)
		a.faults = faults
		req := request(t)
		for n := range len(faults) + 2 { // each time another process, without state
			_, out := a.issuer(webhook.Config{}).Step(t.Context(), req, nil)
			if out.Kind != retry && out.Kind != vault.OutcomeIssued {
				t.Errorf("%s: step %d: %+v", name, n, out)
			}
			if n == len(faults)+1 && out.Kind != vault.OutcomeIssued {
				t.Errorf("%s: not issued: %+v", name, out)
			}
		}
		if n := a.made(); n != 1 {
			t.Errorf("%s: %d certificates", name, n)
		}
	}
}
