package webhook_test

// Certificates, cancellation and revocation by the provider.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/webhook"
)

const (
	lookAt  = "GET /v1/requests/" + requestID
	discard = "DELETE /v1/requests/" + requestID
)

func TestNew(t *testing.T) {
	t.Parallel()
	token := func(context.Context) (string, error) { return "x", nil }
	for _, cfg := range []webhook.Config{
		{},
		{URL: "http://ca.example.com"},
		{URL: "https://"},
		{URL: "https://user@ca.example.com"},
		{URL: "https://ca.example.com?code=1"},
		{URL: "https://ca.example.com#1"},
		{URL: "https://ca.example.com", Authentication: 2},
		{URL: "https://ca.example.com", Token: token},
	} {
		if _, err := webhook.New(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
	for _, cfg := range []webhook.Config{
		{URL: "https://ca.example.com"},
		{URL: "https://ca.example.com:8443/a/b/"},
		{URL: "https://ca.example.com", Authentication: webhook.Bearer},
		{URL: "https://ca.example.com", Authentication: webhook.Bearer, Token: token},
	} {
		if _, err := webhook.New(cfg); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestIssuedAtOnce(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	req := request(t)
	state, out := a.issuer(webhook.Config{URL: "/"}).Step(t.Context(), req, nil)
	if string(state) != `{"version":1,"externalId":"order-1"}` || out.Kind != provider.OutcomeIssued || len(out.Chain) != 2 || !sameKey(t, out.Chain, req.CSR) {
		t.Fatalf("state %s, %+v", state, out)
	}
	want := []string{lookAt + " 404", "POST /v1/requests 201"}
	if diff := cmp.Diff(want, a.take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.pending = true
	i, req := a.issuer(webhook.Config{}), request(t)
	want := provider.Pending(start.Add(time.Minute), "Ada must approve. The CA's id is order-1.")
	for range 2 {
		if _, out := i.Step(t.Context(), req, nil); !cmp.Equal(out, want) {
			t.Fatalf("%+v, want %+v", out, want)
		}
	}
	a.set(func() { a.pending = false })
	if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
		t.Fatalf("%+v", out)
	}
	calls := []string{lookAt + " 404", "POST /v1/requests 202", lookAt + " 202", lookAt + " 200"}
	if diff := cmp.Diff(calls, a.take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The CA's name of a request is what it said last, if it said one.
func TestOrderID(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	i, req := a.issuer(webhook.Config{}), request(t)
	var state json.RawMessage
	for _, step := range []struct{ answer, want string }{
		{`{"status":"pending"}`, ""},
		{`{"status":"pending","externalId":"4711"}`, "4711"},
		{`{"status":"pending"}`, "4711"},
		{`{"status":"unheard of","externalId":"4712"}`, "4711"},
		{`{"status":"failed","externalId":"4713","error":{"title":"no"}}`, "4713"},
	} {
		a.faults = []fault.Func{fault.Reply(http.StatusOK, "application/json", step.answer)}
		state, _ = i.Step(t.Context(), req, state)
		if got := i.OrderID(state); got != step.want {
			t.Errorf("after %s the order is %q, want %q", step.answer, got, step.want)
		}
	}
	for _, other := range []string{``, `1`, `{"version":2,"externalId":"4711"}`} {
		if got := i.OrderID(json.RawMessage(other)); got != "" {
			t.Errorf("state %s names the order %q", other, got)
		}
	}
}

// Where the CA does not say when to look again, the age of the request does.
func TestPollInterval(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for age, want := range map[time.Duration]time.Duration{
		-time.Minute:        5 * time.Second,
		0:                   5 * time.Second,
		5 * time.Minute:     30 * time.Second,
		30 * 24 * time.Hour: 10 * time.Minute,
	} {
		a.faults = []fault.Func{fault.Reply(http.StatusOK, "application/json", `{"status":"pending"}`)}
		req := request(t)
		req.Created = start.Add(-age)
		if _, out := a.issuer(webhook.Config{}).Step(t.Context(), req, nil); !cmp.Equal(out, provider.Pending(start.Add(want), "")) {
			t.Errorf("age %s: %+v", age, out)
		}
	}
}

func TestFailed(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.failure = map[string]any{"type": "https://ca.example.com/denied", "title": "Denied", "detail": "not your domain"}
	i := a.issuer(webhook.Config{})
	host := strings.TrimPrefix(a.server.URL, "https://")
	want := provider.Failed(provider.CodeRejected, host+" refuses the request: Denied: not your domain")
	for range 2 {
		if _, out := i.Step(t.Context(), request(t), nil); !cmp.Equal(out, want) {
			t.Errorf("%+v, want %+v", out, want)
		}
	}
	if n := a.made(); n != 0 {
		t.Errorf("%d certificates", n)
	}
}

// What is sent is what the operation says, no more, and the same every time.
func TestRequestBody(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	req := request(t)
	old := a.sign(string(pemCSR(req.CSR)))
	req.Policy.X509.CA = true
	req.Policy.X509.SANs = &policy.SANs{
		DNSNames: []string{"example.com"}, Emails: []string{"ada@example.com"}, UPNs: []string{"ada@corp"},
		URIs: []string{"spiffe://example.com/a"}, IPAddresses: []string{"192.0.2.1"},
	}
	req.Policy.Issuer.CertificateType = "internal"
	req.Predecessor = der(t, old[0])
	i := a.issuer(webhook.Config{Vault: "vault-1"})
	for range 2 {
		a.set(func() { a.requests = map[string]*issuance{} })
		i.Step(t.Context(), req, nil)
	}
	serial, err := x509.ParseCertificate(der(t, old[0]))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"requestId":   requestID,
		"vault":       "vault-1",
		"certificate": "web",
		"csr":         string(pemCSR(req.CSR)),
		"subject":     "CN=example.com",
		"sans": map[string]any{
			"dnsNames": []any{"example.com"}, "emails": []any{"ada@example.com"}, "upns": []any{"ada@corp"},
			"uris": []any{"spiffe://example.com/a"}, "ipAddresses": []any{"192.0.2.1"},
		},
		"ekus":            []any{"1.3.6.1.5.5.7.3.1"},
		"keyUsage":        []any{"digitalSignature"},
		"validityMonths":  12.0,
		"ca":              true,
		"certificateType": "internal",
		"renewalOf":       serial.SerialNumber.Text(16),
	}
	posts := 0
	for _, e := range a.exchanges {
		if e.method != http.MethodPost {
			continue
		}
		posts++
		var got map[string]any
		if err := json.Unmarshal(e.body, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if key := e.header.Get("Idempotency-Key"); key != requestID {
			t.Errorf("Idempotency-Key %q", key)
		}
	}
	if posts != 2 {
		t.Errorf("%d POSTs", posts)
	}
}

func TestPredecessorThatCannotBeRead(t *testing.T) {
	t.Parallel()
	req := request(t)
	req.Predecessor = []byte("?")
	_, out := newAuthority(t).issuer(webhook.Config{}).Step(t.Context(), req, nil)
	if out.Kind != provider.OutcomeRetry || !strings.HasPrefix(out.Detail, "reading the certificate to renew: ") {
		t.Errorf("%+v", out)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(a *authority, i *webhook.Provider, req provider.Request)
		want    bool
		status  string
	}{
		{"unknown", func(*authority, *webhook.Provider, provider.Request) {}, true, "404"},
		{"pending", func(a *authority, i *webhook.Provider, req provider.Request) {
			a.set(func() { a.pending = true })
			i.Step(t.Context(), req, nil)
			a.set(func() { a.pending = false })
		}, true, "204"},
		{"issued", func(a *authority, i *webhook.Provider, req provider.Request) { i.Step(t.Context(), req, nil) }, false, "409"},
	} {
		a := newAuthority(t)
		i, req := a.issuer(webhook.Config{}), request(t)
		c.prepare(a, i, req)
		a.take()
		for range 2 {
			state, got, err := i.Cancel(t.Context(), req, json.RawMessage("1"))
			if got != c.want || err != nil || string(state) != "1" {
				t.Errorf("%s: %t, %v, state %s", c.name, got, err, state)
			}
			if diff := cmp.Diff([]string{discard + " " + c.status}, a.take()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
			if err := i.Release(t.Context(), req, nil); err != nil {
				t.Errorf("%s: release: %v", c.name, err)
			}
			if diff := cmp.Diff([]string{discard + " " + c.status}, a.take()); diff != "" {
				t.Errorf("%s: release (-want +got):\n%s", c.name, diff)
			}
		}
	}
}

func TestTakeBackAnswers(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		200: "taken", 202: "taken", 204: "taken", 404: "taken",
		405: "kept", 409: "kept", 501: "kept",
		302: "error", 400: "error", 401: "error", 403: "error", 429: "error", 500: "error", 503: "error",
	} {
		a := newAuthority(t)
		i, req := a.issuer(webhook.Config{}), request(t)
		a.faults = []fault.Func{fault.Reply(status, "text/plain", "x"), fault.Reply(status, "text/plain", "x")}
		_, taken, err := i.Cancel(t.Context(), req, nil)
		got := "kept"
		if taken {
			got = "taken"
		}
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
		if err := i.Release(t.Context(), req, nil); (err != nil) != (want == "error") {
			t.Errorf("%d: release: %v", status, err)
		}
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	i, req := a.issuer(webhook.Config{}), request(t)
	_, out := i.Step(t.Context(), req, nil)
	leaf, err := x509.ParseCertificate(out.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Revoke(t.Context(), req.Issuer, leaf, 4); err != nil {
		t.Fatal(err)
	}
	got := a.revoked[0]
	if got["serial"] != leaf.SerialNumber.Text(16) || got["reason"] != 4.0 || got["certificateSha256"] != fingerprint(leaf.Raw) {
		t.Errorf("%v", got)
	}
	for status, want := range map[int]bool{404: true, 405: true, 501: true, 400: false, 401: false, 500: false} {
		a.faults = []fault.Func{fault.Reply(status, "text/plain", "x")}
		if err := i.Revoke(t.Context(), req.Issuer, leaf, 4); err == nil || errors.Is(err, errors.ErrUnsupported) != want {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	signed, bearer := a.issuer(webhook.Config{}), a.issuer(webhook.Config{Authentication: webhook.Bearer})
	for account, ok := range map[string]bool{"": false, "Zürich": false, "a\n": false, "team A": true, keyID: true} {
		err := signed.CheckIssuer(provider.Issuer{AccountID: account})
		var refusal *field.Error
		if ok && err != nil || !ok && (!errors.As(err, &refusal) || refusal.Field != "credentials.account_id") {
			t.Errorf("%q: %v", account, err)
		}
		if err := bearer.CheckIssuer(provider.Issuer{AccountID: account}); err != nil {
			t.Errorf("bearer: %q: %v", account, err)
		}
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.bearer = secret
	if _, out := a.issuer(webhook.Config{Authentication: webhook.Bearer}).Step(t.Context(), request(t), nil); out.Kind != provider.OutcomeIssued {
		t.Errorf("of the issuer object: %+v", out)
	}
	a.bearer = "a.b.c"
	req := request(t)
	req.Issuer.AccountID, req.Issuer.Password = "", ""
	token := func(context.Context) (string, error) { return "a.b.c", nil }
	if _, out := a.issuer(webhook.Config{Authentication: webhook.Bearer, Token: token}).Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
		t.Errorf("of the app: %+v", out)
	}
	token = func(context.Context) (string, error) { return "", errors.New("no identity") }
	_, out := a.issuer(webhook.Config{Authentication: webhook.Bearer, Token: token}).Step(t.Context(), req, nil)
	if out.Kind != provider.OutcomeRetry || !strings.Contains(out.Detail, "no identity") {
		t.Errorf("no token: %+v", out)
	}
}

// Credentials that cannot be used fail the request before anything is sent, and
// no text tells them.
func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		authentication    webhook.Authentication
		account, password string
		want              string
	}{
		{webhook.Signature, "", secret, "needs credentials.account_id"},
		{webhook.Signature, "ä", secret, "needs credentials.account_id"},
		{webhook.Signature, keyID, "", "needs credentials.pwd"},
		{webhook.Bearer, "", "", "needs credentials.pwd"},
		{webhook.Bearer, "", "top secret", "is not a bearer token"},
		{webhook.Bearer, "", "secret\r\nX: y", "is not a bearer token"},
	} {
		a := newAuthority(t)
		i, req := a.issuer(webhook.Config{Authentication: c.authentication}), request(t)
		req.Issuer.AccountID, req.Issuer.Password = c.account, c.password
		_, out := i.Step(t.Context(), req, nil)
		if out.Kind != provider.OutcomeFailed || out.Code != provider.CodeIssuerError || !strings.Contains(out.Message, c.want) {
			t.Errorf("%q: %+v", c.want, out)
		}
		_, _, err := i.Cancel(t.Context(), req, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: cancel: %v", c.want, err)
		}
		if c.password != "" && (strings.Contains(out.Message, c.password) || strings.Contains(err.Error(), c.password)) {
			t.Errorf("%q: the password is told", c.want)
		}
		if calls := a.take(); calls != nil {
			t.Errorf("%q: %q", c.want, calls)
		}
	}
}
