package vaultpki_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/issuers/vaultpki"
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

// errorsOf is a reply in the server's form for errors.
func errorsOf(status int, text string) fault {
	return reply(status, asJSON, fmt.Sprintf(`{"errors":[%q]}`, text))
}

// pass lets the server answer.
func pass(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

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
	io.WriteString(w, `{"errors":["`)
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

// Answers to the login and to the signing: what ends an operation is the
// server's own word only.
func TestAnswers(t *testing.T) {
	t.Parallel()
	certificate := func(member string) string { return `{"data":{"certificate":` + member + `}}` }
	for _, c := range []struct {
		name        string
		f           fault
		login, sign vault.OutcomeKind
		code        string // of a refused signing
		text        string
		afterwards  int // seconds
	}{
		{"gateway's page", reply(200, asHTML, "<html>"), retry, retry, "", "malformed answer", 0},
		{"nothing", reply(204, asJSON, ""), retry, retry, "", "malformed answer", 0},
		{"cut off", reply(200, asJSON, `{"data":{"certif`), retry, retry, "", "malformed answer", 0},
		{"null", reply(200, asJSON, `null`), retry, retry, "", "malformed answer", 0},
		{"array", reply(200, asJSON, `[]`), retry, retry, "", "malformed answer", 0},
		{"another's answer", reply(200, asJSON, `{"auth":{"client_token":7},"data":{"certificate":7}}`), retry, retry, "", "malformed answer", 0},
		{"token with line end", reply(200, asJSON, `{"auth":{"client_token":"a\nb"}}`), retry, retry, "", "malformed answer", 0},
		{"no PEM", reply(200, asJSON, certificate(`"x"`)), retry, retry, "", "malformed answer", 0},
		{"a key", reply(200, asJSON, certificate(`"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"`)), retry, retry, "", "malformed answer", 0},
		{"two in one", reply(200, asJSON, certificate(`"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n x"`)), retry, retry, "", "malformed answer", 0},
		{"garbage inside", reply(200, asJSON, certificate(`"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"`)), retry, retry, "", "malformed answer", 0},
		{"too many", reply(200, asJSON, `{"data":{"certificate":"","ca_chain":["","","","","","","","","",""]}}`), retry, retry, "", "malformed answer", 0},

		{"unknown role", errorsOf(400, "unknown role: web"), failed, failed, vault.CodeRejected, "unknown role: web", 0},
		{"not allowed", errorsOf(400, "subject alternate name example.com not allowed by this role"), failed, failed, vault.CodeRejected, "not allowed by this role", 0},
		{"permission denied", errorsOf(403, "1 error occurred:\n\t* permission denied\n\n"), failed, failed, vault.CodeIssuerError, "1 error occurred: * permission denied", 0},
		{"no mount", errorsOf(404, `no handler for route "pki/sign/web"`), failed, failed, vault.CodeIssuerError, "no handler for route", 0},
		{"no method", errorsOf(405, "unsupported operation"), failed, failed, vault.CodeIssuerError, "unsupported operation", 0},
		{"refused in silence", reply(400, asJSON, `{"errors":[]}`), failed, failed, vault.CodeRejected, "Bad Request", 0},
		{"refused at length", errorsOf(400, strings.Repeat("x", 4000)), failed, failed, vault.CodeRejected, "xxx", 0},

		{"refused by a gateway", reply(403, asHTML, "<html>"), retry, retry, "", "answers 403", 0},
		{"refused as bad by a gateway", reply(400, asHTML, "<html>"), retry, retry, "", "answers 400", 0},
		{"not found by a gateway", reply(404, asJSON, `{"error":"x"}`), retry, retry, "", "answers 404", 0},
		{"sealed", errorsOf(503, "Vault is sealed"), retry, retry, "", "Vault is sealed", 0},
		{"lagging standby", errorsOf(412, "required index state not present"), retry, retry, "", "required index state", 0},
		{"throttled", after("120", errorsOf(429, "rate limit quota exceeded")), retry, retry, "", "rate limit quota exceeded", 120},
		{"away", after("30", reply(503, asHTML, "")), retry, retry, "", "Service Unavailable", 30},
		{"broken", errorsOf(500, "internal error"), retry, retry, "", "internal error", 0},
		{"standby", redirect("https://active.example.com:8200/v1/pki/sign/web"), retry, retry, "", "leads to active.example.com:8200, which is not followed", 0},
		{"to nowhere", redirect(""), retry, retry, "", "leads to another place, which is not followed", 0},
		{"to itself", redirect("/v1/pki/sign/web"), retry, retry, "", "leads to another place, which is not followed", 0},
		{"huge", huge, retry, retry, "", "longer than 262144 bytes", 0},
		{"dropped", dropped, retry, retry, "", "calling 127.0.0.1", 0},
		{"lost", lost, retry, retry, "", "calling 127.0.0.1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, req := newServer(t), request(t)
			for want, faults := range map[string][]fault{"login": {c.f}, "sign": {pass, c.f}} {
				kind, code := c.login, vault.CodeIssuerError
				if want == "sign" {
					kind, code = c.sign, c.code
				}
				s.set(func() { s.faults = faults })
				i := s.issuer(vaultpki.Config{})
				state, out := i.Step(t.Context(), req, nil)
				text := out.Detail + out.Message
				if state != nil || out.Kind != kind || !strings.Contains(text, c.text) || len(text) > 2000 {
					t.Errorf("%s: %+v, state %s", want, out, state)
				}
				if out.Kind == failed && out.Code != code {
					t.Errorf("%s: code %q, want %q", want, out.Code, code)
				}
				if until := s.now().Add(time.Duration(c.afterwards) * time.Second); c.afterwards > 0 && !out.Until.Equal(until) {
					t.Errorf("%s: until %s", want, out.Until)
				}
				if strings.Contains(text, secretID) || strings.Contains(text, "hvs.") {
					t.Errorf("%s: a secret is told: %s", want, text)
				}
				// It may be mended.
				if _, out := i.Step(t.Context(), req, nil); out.Kind != vault.OutcomeIssued {
					t.Errorf("%s: then %+v", want, out)
				}
			}
		})
	}
}

// A server that does not answer costs a step no more than its deadline.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	for name, before := range map[string][]fault{"login": nil, "sign": {pass}} {
		s := newServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		s.faults = append(before, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			cancel() // the deadline, once the server has the request
			<-r.Context().Done()
		})
		if _, out := s.issuer(vaultpki.Config{}).Step(ctx, request(t), nil); out.Kind != retry {
			t.Errorf("%s: %+v", name, out)
		}
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
		"before the login":     {[]fault{dropped}, 1},
		"after the login":      {[]fault{lost}, 1},
		"before the signing":   {[]fault{pass, dropped}, 1},
		"after the signing":    {[]fault{pass, lost}, 2},
		"twice":                {[]fault{pass, lost, pass, lost}, 3},
		"sealed in between":    {[]fault{pass, errorsOf(503, "Vault is sealed"), lost}, 1},
		"throttled in between": {[]fault{pass, after("1", errorsOf(429, "quota")), pass, lost}, 2},
	} {
		s, req := newServer(t), request(t)
		s.faults = c.faults
		issued := false
		for range len(c.faults) + 1 { // each time another process
			_, out := s.issuer(vaultpki.Config{}).Step(t.Context(), req, nil)
			if issued = out.Kind == vault.OutcomeIssued; issued {
				break
			}
			if out.Kind != retry {
				t.Errorf("%s: %+v", name, out)
			}
		}
		if !issued || s.made() != c.made {
			t.Errorf("%s: issued %t, %d certificates, want %d", name, issued, s.made(), c.made)
		}
	}
}

// Two workers at once: each gets a certificate for the CSR, and the vault accepts
// one of them.
func TestTwoWorkers(t *testing.T) {
	t.Parallel()
	s, req := newServer(t), request(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			_, out := s.issuer(vaultpki.Config{}).Step(t.Context(), req, nil)
			if out.Kind != vault.OutcomeIssued || !sameKey(t, out.Chain, req.CSR) {
				t.Errorf("%+v", out)
			}
		})
	}
	wg.Wait()
	if s.made() != 2 {
		t.Errorf("%d certificates", s.made())
	}
}
