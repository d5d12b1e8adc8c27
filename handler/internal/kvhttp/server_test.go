package kvhttp

// What holds for every request: challenge, headers, deadlines, log.

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

const challenge = `Bearer authorization="https://login.example.com/tenant-1", resource="https://vault.azure.net"`

// The first request of every SDK has neither token nor body, whatever its verb.
func TestChallenge(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	noToken := func(r *http.Request) { r.Header.Del("Authorization") }
	for _, target := range []string{
		"/certificates/a/create" + v74,
		"/certificates/a/create", // api-version, path and verb come later
		"/certificates/a.b/create?api-version=1",
		"/nothing",
		"/certificates/" + strings.Repeat("a", maxURI),
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			a := s.do(method, target, "", noToken)
			want := refusal("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.", "")
			if a.status != http.StatusUnauthorized || a.body != want || a.header.Get("WWW-Authenticate") != challenge {
				t.Errorf("%s %s: got %d %s, WWW-Authenticate %q", method, target, a.status, a.body, a.header.Get("WWW-Authenticate"))
			}
		}
	}
}

func TestTokenRefused(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	for _, tt := range []struct {
		claims jwt.MapClaims
		want   string
	}{
		{jwt.MapClaims{"iss": "https://sts.example.com/tenant-2/"}, "AKV10032: Invalid issuer. Expected one of " + testIssuer + ", found https://sts.example.com/tenant-2/."},
		{jwt.MapClaims{"exp": s.clock.Now().Add(-time.Hour).Unix()}, "Error validating token: it expired at 2026-03-01T11:00:00Z."},
		{jwt.MapClaims{"aud": "https://other.example"}, "AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://other.example."},
	} {
		token := s.sign(tt.claims)
		a := s.do("POST", "/certificates/a/create"+v74, policyOf("Self"), func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		if want := refusal("Unauthorized", tt.want, ""); a.status != http.StatusUnauthorized || a.body != want || a.header.Get("WWW-Authenticate") != challenge {
			t.Errorf("got %d %s, WWW-Authenticate %q, want 401 %s", a.status, a.body, a.header.Get("WWW-Authenticate"), want)
		}
	}
}

// untouchable is a body that must not be read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("read")
}

func (untouchable) Close() error { return nil }

// Nothing of a body is read before everything else about the request is right.
func TestBodyIsReadLast(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	reader := s.sign(jwt.MapClaims{"roles": []string{"Key Vault Reader"}})
	for _, tt := range []struct {
		token, method, target string
		status                int
	}{
		{"", "POST", "/certificates/a/create" + v74, 401},
		{"x", "POST", "/certificates/a/create" + v74, 401},
		{s.token, "POST", "/certificates/a/create", 400},
		{s.token, "POST", "/nothing" + v74, 404},
		{s.token, "PUT", "/certificates/a/create" + v74, 405},
		{reader, "POST", "/certificates/a/create" + v74, 403},
		{s.token, "POST", "/certificates/a_b/create" + v74, 400},
		{s.token, "DELETE", "/certificates/a" + v74, 404}, // takes none
	} {
		r := httptest.NewRequest(tt.method, tt.target, untouchable{t})
		if tt.token != "" {
			r.Header.Set("Authorization", "Bearer "+tt.token)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s %s: got %d %s, want %d", tt.method, tt.target, w.Code, w.Body, tt.status)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	guid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for _, tt := range []struct {
		target, sent, echoed string
	}{
		{"/certificates" + v74, "6f3b0f6e-0000-4000-8000-000000000001", "6f3b0f6e-0000-4000-8000-000000000001"},
		{"/certificates/none" + v74, strings.Repeat("x", 128), strings.Repeat("x", 128)},
		{"/certificates" + v74, "", ""},
		{"/certificates" + v74, strings.Repeat("x", 129), ""},
		{"/certificates" + v74, "a b", ""},
		{"/certificates" + v74, "\u00e4", ""},
	} {
		a := s.do("GET", tt.target, "", func(r *http.Request) { r.Header.Set("x-ms-client-request-id", tt.sent) })
		for header, want := range map[string]string{
			"Cache-Control":                    "no-cache",
			"Pragma":                           "no-cache",
			"Expires":                          "-1",
			"Content-Type":                     "application/json; charset=utf-8",
			"X-Content-Type-Options":           "nosniff",
			"x-ms-keyvault-region":             "westus",
			"x-ms-keyvault-service-version":    "0",
			"x-ms-client-request-id":           tt.echoed,
			"x-ms-keyvault-network-info":       "", // the client's address is not known behind the host
			"x-ms-keyvault-rbac-assignment-id": "",
		} {
			if got := a.header.Get(header); got != want {
				t.Errorf("%s: got %s %q, want %q", tt.target, header, got, want)
			}
		}
		id := a.header.Get("x-ms-request-id")
		if !guid.MatchString(id) || seen[id] {
			t.Errorf("%s: got x-ms-request-id %q, want a new GUID", tt.target, id)
		}
		seen[id] = true
	}
}

// An SDK that lost the answer to a create sends it again under the same id.
func TestResentCreate(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	sameID := func(r *http.Request) { r.Header.Set("x-ms-client-request-id", "one") }
	first := s.must("POST", "/certificates/a/create"+v74, policyOf("Unknown"), sameID)
	again := s.must("POST", "/certificates/a/create"+v74, policyOf("Unknown"), sameID)
	if again.status != http.StatusAccepted || again.body != first.body || again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("got %d %s, want the first answer again", again.status, again.body)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	const secret = "s3cr3t-p4ssw0rd"
	s.do("PUT", "/certificates/issuers/myca"+v74+"&code=function-key&$skiptoken=x", `{"provider":"Test","credentials":{"account_id":"a","pwd":"`+secret+`"}}`, func(r *http.Request) {
		r.Header.Set("x-functions-key", "function-key")
		r.Header.Set("X-Azure-Functions-InvocationId", "11111111-2222-3333-4444-555555555555")
		r.Header.Set("x-ms-client-request-id", "client-1")
	})
	s.do("PUT", "/certificates/issuers/myca"+v74, `{"credentials":{"pwd":987654321}}`)
	s.do("PUT", "/certificates/issuers/myca"+v74, `{"credentials":{"pwd":"`+secret+`}}`)
	s.log.mu.Lock()
	raw := s.log.b.String()
	s.log.mu.Unlock()
	for _, never := range []string{secret, "987654321", s.token, "Bearer", "function-key"} {
		if strings.Contains(raw, never) {
			t.Errorf("log %s contains %q", raw, never)
		}
	}
	lines := s.log.lines(t)
	if len(lines) != 3 {
		t.Fatalf("got log %v, want a line for each of three requests", lines)
	}
	for key, want := range map[string]any{
		"level":             "INFO",
		"msg":               "request",
		"method":            "PUT",
		"url":               "/certificates/issuers/myca?api-version=7.4&code=REDACTED&$skiptoken=REDACTED",
		"route":             "SetCertificateIssuer",
		"status":            200.0,
		"duration":          0.0,
		"client_request_id": "client-1",
		"invocation_id":     "11111111-2222-3333-4444-555555555555",
		"caller":            testOID,
	} {
		if lines[0][key] != want {
			t.Errorf("log line %s: got %v, want %v", key, lines[0][key], want)
		}
	}
	s.do("GET", "/certificates/none"+v74, "")
	line := s.log.lines(t)[0]
	if line["level"] != "INFO" || line["code"] != "CertificateNotFound" || line["status"] != 404.0 {
		t.Errorf("got log %v, want the refusal's code at level INFO", line)
	}
}

// A change that has begun is finished although its client has gone away.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	working, gone := make(chan struct{}), make(chan struct{})
	s := newService(t, options{newKey: func(p policy.KeyProperties) (crypto.Signer, error) {
		close(working)
		<-gone
		return pooledKey(p)
	}})
	ctx, leave := context.WithCancel(context.Background())
	r := httptest.NewRequest("POST", "/certificates/a/create"+v74, strings.NewReader(policyOf("Unknown"))).WithContext(ctx)
	r.Header.Set("Authorization", "Bearer "+s.token)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.handler.ServeHTTP(httptest.NewRecorder(), r)
	}()
	<-working
	leave()
	close(gone)
	<-done
	s.must("GET", "/certificates/a/pending"+v74, "")
}

// deadlines is a store that notes whether reads have a deadline.
type deadlines struct {
	store.Store
	set *atomic.Bool
}

func (d deadlines) Get(ctx context.Context, key string) (store.Row, error) {
	_, ok := ctx.Deadline()
	d.set.Store(ok)
	return d.Store.Get(ctx, key)
}

// Work that outlives its client still ends.
func TestWorkHasDeadline(t *testing.T) {
	t.Parallel()
	var set atomic.Bool
	s := newService(t, options{store: func(m *memory.Store) store.Store { return deadlines{m, &set} }})
	s.do("GET", "/certificates/a"+v74, "")
	if !set.Load() {
		t.Error("the work on a request has no deadline")
	}
}

// A password reaches the vault; testdata/issuers.txt shows that it stays there.
func TestPasswordArrives(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	s.must("PUT", "/certificates/issuers/myca"+v74, `{"provider":"Test","credentials":{"account_id":"a","pwd":"opensesame"}}`)
	// The harness seals nothing.
	want := base64.StdEncoding.EncodeToString([]byte("opensesame"))
	if !slices.ContainsFunc(s.store.Contents().Rows, func(r store.Row) bool { return bytes.Contains(r.Doc, []byte(want)) }) {
		t.Error("the password is not in the store")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if s, err := New(Config{VaultURLs: []string{testURL}}); err == nil {
		t.Errorf("New without vault: got %v, want an error", s)
	}
}
