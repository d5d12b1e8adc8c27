package auth_test

// An issuer of tokens that tests control, with its clock and keys.

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certwright/certwright/handler/internal/auth"
)

const (
	issuerV1 = "https://sts.windows.net/tenant-1/"
	issuerV2 = "https://login.example.com/tenant-1/v2.0"
	audience = "https://vault.example.com"
	oid      = "0d9c1f0e-7f0a-4c6b-9a55-3b1d5ffb8a01"
)

var testKeys = sync.OnceValue(func() (keys [3]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

// A clock is a time that the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// An issuer publishes signing keys over HTTP.
type issuer struct {
	server *httptest.Server

	mu      sync.Mutex // guards what follows
	keys    []map[string]any
	answer  http.HandlerFunc // instead of the keys, when set
	hold    chan struct{}    // when set, answers wait until it is closed
	fetches int
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{keys: []map[string]any{publicJWK("k0", &testKeys()[0].PublicKey)}}
	i.server = httptest.NewServer(i)
	t.Cleanup(i.server.Close)
	return i
}

func publicJWK(kid string, key *rsa.PublicKey) map[string]any {
	return map[string]any{
		"kty": "RSA",
		"use": "sig",
		"kid": kid,
		"n":   base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.fetches++
	answer, hold, keys := i.answer, i.hold, i.keys
	i.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if answer != nil && r.URL.Path == "/keys" {
		answer(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys}) // fails only when the client has left
}

// set changes the issuer.
func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *issuer) config(c *clock) auth.Config {
	return auth.Config{
		Authority:  "https://login.example.com/tenant-1",
		Resource:   "https://vault.example.com",
		Issuers:    []string{issuerV1, issuerV2},
		Audiences:  []string{audience, "c0ffee00-0000-0000-0000-000000000000"},
		KeysURL:    i.server.URL + "/keys",
		HTTPClient: i.server.Client(),
		Now:        c.now,
	}
}

func (i *issuer) validator(t testing.TB, c *clock) *auth.Validator {
	t.Helper()
	return newValidator(t, i.config(c))
}

func newValidator(t testing.TB, cfg auth.Config) *auth.Validator {
	t.Helper()
	v, err := auth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// goodClaims returns the claims of a token of version 1 that is good at the
// clock's time, changed as the maps say; nil values take a claim away.
func goodClaims(c *clock, changes ...map[string]any) jwt.MapClaims {
	now := c.now().Unix()
	claims := jwt.MapClaims{
		"iss": issuerV1, "aud": audience, "oid": oid, "appid": "app-1", "tid": "tenant-1",
		"iat": now, "nbf": now, "exp": now + 3600,
	}
	for _, change := range changes {
		maps.Copy(claims, change)
	}
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// sign returns a token signed with testKeys()[key], as header and claims say.
func sign(t testing.TB, header map[string]any, key int, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(testKeys()[key])
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// k0 is the header of a token signed with the key that issuers have from the start.
var k0 = map[string]any{"kid": "k0"}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
