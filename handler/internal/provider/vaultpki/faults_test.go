package vaultpki_test

// Answers that Vault should not give, killed processes, two workers.

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/vaultpki"
)

const (
	asJSON = "application/json"
	asHTML = "text/html"
)

// errorsOf is a reply in the server's form for errors.
func errorsOf(status int, text string) fault.Func {
	return fault.Reply(status, asJSON, fmt.Sprintf(`{"errors":[%q]}`, text))
}

const (
	retry  = provider.OutcomeRetry
	failed = provider.OutcomeFailed
)

// Answers to the login and to the signing: what ends an operation is the
// server's own word only.
func TestAnswers(t *testing.T) {
	t.Parallel()
	certificate := func(member string) string { return `{"data":{"certificate":` + member + `}}` }
	for _, c := range []struct {
		name        string
		f           fault.Func
		login, sign provider.OutcomeKind
		code        string // of a refused signing
		text        string
		afterwards  int // seconds
	}{
		{"gateway's page", fault.Reply(200, asHTML, "<html>"), retry, retry, "", "malformed answer", 0},
		{"nothing", fault.Reply(204, asJSON, ""), retry, retry, "", "malformed answer", 0},
		{"cut off", fault.Reply(200, asJSON, `{"data":{"certif`), retry, retry, "", "malformed answer", 0},
		{"null", fault.Reply(200, asJSON, `null`), retry, retry, "", "malformed answer", 0},
		{"array", fault.Reply(200, asJSON, `[]`), retry, retry, "", "malformed answer", 0},
		{"another's answer", fault.Reply(200, asJSON, `{"auth":{"client_token":7},"data":{"certificate":7}}`), retry, retry, "", "malformed answer", 0},
		{"token with line end", fault.Reply(200, asJSON, `{"auth":{"client_token":"a\nb"}}`), retry, retry, "", "malformed answer", 0},
		{"no PEM", fault.Reply(200, asJSON, certificate(`"x"`)), retry, retry, "", "malformed answer", 0},
		{"a key", fault.Reply(200, asJSON, certificate(`"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"`)), retry, retry, "", "malformed answer", 0},
		{"two in one", fault.Reply(200, asJSON, certificate(`"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n x"`)), retry, retry, "", "malformed answer", 0},
		{"garbage inside", fault.Reply(200, asJSON, certificate(`"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"`)), retry, retry, "", "malformed answer", 0},
		{"too many", fault.Reply(200, asJSON, `{"data":{"certificate":"","ca_chain":["","","","","","","","","",""]}}`), retry, retry, "", "malformed answer", 0},

		{"unknown role", errorsOf(400, "unknown role: web"), failed, failed, provider.CodeRejected, "unknown role: web", 0},
		{"not allowed", errorsOf(400, "subject alternate name example.com not allowed by this role"), failed, failed, provider.CodeRejected, "not allowed by this role", 0},
		{"permission denied", errorsOf(403, "1 error occurred:\n\t* permission denied\n\n"), failed, failed, provider.CodeIssuerError, "1 error occurred: * permission denied", 0},
		{"no mount", errorsOf(404, `no handler for route "pki/sign/web"`), failed, failed, provider.CodeIssuerError, "no handler for route", 0},
		{"no method", errorsOf(405, "unsupported operation"), failed, failed, provider.CodeIssuerError, "unsupported operation", 0},
		{"refused in silence", fault.Reply(400, asJSON, `{"errors":[]}`), failed, failed, provider.CodeRejected, "Bad Request", 0},
		{"refused at length", errorsOf(400, strings.Repeat("x", 4000)), failed, failed, provider.CodeRejected, "xxx", 0},

		{"refused by a gateway", fault.Reply(403, asHTML, "<html>"), retry, retry, "", "answers 403", 0},
		{"refused as bad by a gateway", fault.Reply(400, asHTML, "<html>"), retry, retry, "", "answers 400", 0},
		{"not found by a gateway", fault.Reply(404, asJSON, `{"error":"x"}`), retry, retry, "", "answers 404", 0},
		{"sealed", errorsOf(503, "Vault is sealed"), retry, retry, "", "Vault is sealed", 0},
		{"lagging standby", errorsOf(412, "required index state not present"), retry, retry, "", "required index state", 0},
		{"throttled", fault.After("120", errorsOf(429, "rate limit quota exceeded")), retry, retry, "", "rate limit quota exceeded", 120},
		{"away", fault.After("30", fault.Reply(503, asHTML, "")), retry, retry, "", "Service Unavailable", 30},
		{"broken", errorsOf(500, "internal error"), retry, retry, "", "internal error", 0},
		{"standby", fault.Redirect("https://active.example.com:8200/v1/pki/sign/web"), retry, retry, "", "redirects to active.example.com:8200, which is not followed", 0},
		{"to nowhere", fault.Redirect(""), retry, retry, "", "redirects to another place, which is not followed", 0},
		{"to itself", fault.Redirect("/v1/pki/sign/web"), retry, retry, "", "redirects to another place, which is not followed", 0},
		{"huge", fault.Huge(`{"errors":["`), retry, retry, "", "longer than 262144 bytes", 0},
		{"dropped", fault.Dropped, retry, retry, "", "calling 127.0.0.1", 0},
		{"lost", fault.Lost, retry, retry, "", "calling 127.0.0.1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, req := newServer(t), request(t)
			for want, faults := range map[string][]fault.Func{"login": {c.f}, "sign": {fault.Pass, c.f}} {
				kind, code := c.login, provider.CodeIssuerError
				if want == "sign" {
					kind, code = c.sign, c.code
				}
				s.Set(func() { s.Faults = faults })
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
				if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
					t.Errorf("%s: then %+v", want, out)
				}
			}
		})
	}
}

// A server that does not answer costs a step no more than its deadline.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	for name, before := range map[string][]fault.Func{"login": nil, "sign": {fault.Pass}} {
		s := newServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		s.Faults = append(before, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
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
		faults []fault.Func
		made   int
	}{
		"before the login":     {[]fault.Func{fault.Dropped}, 1},
		"after the login":      {[]fault.Func{fault.Lost}, 1},
		"before the signing":   {[]fault.Func{fault.Pass, fault.Dropped}, 1},
		"after the signing":    {[]fault.Func{fault.Pass, fault.Lost}, 2},
		"twice":                {[]fault.Func{fault.Pass, fault.Lost, fault.Pass, fault.Lost}, 3},
		"sealed in between":    {[]fault.Func{fault.Pass, errorsOf(503, "Vault is sealed"), fault.Lost}, 1},
		"throttled in between": {[]fault.Func{fault.Pass, fault.After("1", errorsOf(429, "quota")), fault.Pass, fault.Lost}, 2},
	} {
		s, req := newServer(t), request(t)
		s.Faults = c.faults
		issued := false
		for range len(c.faults) + 1 { // each time another process
			_, out := s.issuer(vaultpki.Config{}).Step(t.Context(), req, nil)
			if issued = out.Kind == provider.OutcomeIssued; issued {
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
			if out.Kind != provider.OutcomeIssued || !sameKey(t, out.Chain, req.CSR) {
				t.Errorf("%+v", out)
			}
		})
	}
	wg.Wait()
	if s.made() != 2 {
		t.Errorf("%d certificates", s.made())
	}
}
