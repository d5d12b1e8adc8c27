package vaultpki_test

// Logins, and how long their tokens are used.

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/vaultpki"
)

// A token serves until shortly before its end.
func TestTokenIsKept(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	i, req := s.issuer(vaultpki.Config{}), request(t)
	for _, c := range []struct {
		pause  time.Duration
		logins int
	}{
		{0, 1},
		{50 * time.Minute, 1},
		{5 * time.Minute, 2}, // of an hour
		{time.Minute, 2},
	} {
		s.Set(func() { s.elapsed += c.pause })
		if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
			t.Fatalf("%+v", out)
		}
		s.Set(func() {
			if s.logins != c.logins {
				t.Errorf("after %s: %d logins, want %d", s.elapsed, s.logins, c.logins)
			}
		})
	}
}

// A token without end, or with a very late one, is used for a day.
func TestTokenWithoutEnd(t *testing.T) {
	t.Parallel()
	for _, lease := range []int{0, 1 << 32} {
		s := newServer(t)
		s.lease = lease
		i, req := s.issuer(vaultpki.Config{}), request(t)
		for _, want := range []int{1, 1, 2} {
			if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued || s.logins != want {
				t.Errorf("lease %d: %d logins, want %d; %+v", lease, s.logins, want, out)
			}
			s.Set(func() { s.elapsed += 12 * time.Hour })
		}
	}
}

// A token that ends before its time is replaced at once.
func TestTokenIsRenewedWhenRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	i, req := s.issuer(vaultpki.Config{}), request(t)
	for range 2 {
		if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
			t.Fatalf("%+v", out)
		}
		s.Set(func() { clear(s.tokens) }) // as after a restart of a development server
	}
	want := []string{"auth/approle/login 200", "pki/sign/web 200", "pki/sign/web 403", "auth/approle/login 200", "pki/sign/web 200"}
	if diff := cmp.Diff(want, s.Take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a new token may not do, another new one may not do either.
func TestPermissionDenied(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	i, req := s.issuer(vaultpki.Config{Role: "web", Roles: []string{"forbidden"}}), request(t)
	req.Policy.Issuer.CertificateType = "forbidden"
	want := provider.Failed(provider.CodeIssuerError, strings.TrimPrefix(s.HTTP.URL, "https://")+
		" refuses pki/sign/forbidden: 1 error occurred: * permission denied")
	for _, calls := range [][]string{
		{"auth/approle/login 200", "pki/sign/forbidden 403"},
		{"pki/sign/forbidden 403", "auth/approle/login 200", "pki/sign/forbidden 403"},
	} {
		if _, out := i.Step(t.Context(), req, nil); !cmp.Equal(out, want) {
			t.Errorf("%+v, want %+v", out, want)
		}
		if diff := cmp.Diff(calls, s.Take()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// Each issuer object has a token of its own, and new credentials have a new one.
func TestTokensAreTheIssuersOwn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	i, req := s.issuer(vaultpki.Config{}), request(t)
	step := func(name, password string) provider.Outcome {
		req.Issuer.Name, req.Issuer.Password = name, password
		_, out := i.Step(t.Context(), req, nil)
		return out
	}
	for _, name := range []string{"ca", "ca", "other"} {
		if out := step(name, secretID); out.Kind != provider.OutcomeIssued {
			t.Errorf("%+v", out)
		}
	}
	if s.logins != 2 {
		t.Errorf("%d logins, want 2", s.logins)
	}
	out := step("ca", "wrong-secret")
	if out.Kind != provider.OutcomeFailed || out.Code != provider.CodeIssuerError ||
		!strings.Contains(out.Message, "invalid role or secret ID (credentials of the issuer ca: account_id is the role id") {
		t.Errorf("with a wrong password: %+v", out)
	}
}

// Steps that need a token at once share a login.
func TestOneLoginForMany(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	i := s.issuer(vaultpki.Config{})
	req := request(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
				t.Errorf("%+v", out)
			}
		})
	}
	wg.Wait()
	logins := 0
	for _, call := range s.Take() {
		if strings.HasPrefix(call, "auth/") {
			logins++
		}
	}
	if logins != 1 || s.made() != 8 {
		t.Errorf("%d logins, %d certificates", logins, s.made())
	}
}

// Whoever waits for another's login waits no longer than their own deadline.
func TestWaitingForALogin(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	i, req := s.issuer(vaultpki.Config{}), request(t)
	reached, release := make(chan struct{}), make(chan struct{})
	s.Faults = []fault.Func{func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		close(reached)
		<-release
		next.ServeHTTP(w, r)
	}}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
			t.Errorf("the first: %+v", out)
		}
	})
	<-reached
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, out := i.Step(ctx, req, nil); out.Kind != provider.OutcomeRetry || !strings.Contains(out.Detail, "waiting for a login") {
		t.Errorf("the second: %+v", out)
	}
	close(release)
	wg.Wait()
}

// No token is in what people see, whatever the server says.
func TestSecretsAreNotTold(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	i := s.issuer(vaultpki.Config{})
	echo := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fault.Reply(400, asJSON, `{"errors":["token `+r.Header.Get("X-Vault-Token")+`","secret `+secretID+`"]}`)(w, r, next)
		if r.Header.Get("X-Vault-Token") == "" && !strings.Contains(string(body), secretID) {
			t.Error("the secret was not sent")
		}
	}
	var texts []string
	for _, faults := range [][]fault.Func{{echo}, {fault.Pass, echo}} {
		s.Set(func() { s.Faults = faults })
		_, out := i.Step(t.Context(), request(t), nil)
		texts = append(texts, out.Message+out.Detail)
	}
	told := func(text string) bool {
		return strings.Contains(text, secretID) || strings.Contains(text, "hvs.") || !strings.Contains(text, "[redacted]")
	}
	if slices.ContainsFunc(texts, told) {
		t.Errorf("%q", texts)
	}
}
