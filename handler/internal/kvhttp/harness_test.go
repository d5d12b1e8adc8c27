package kvhttp

// A service with a vault in memory, and requests to it.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certwright/certwright/handler/internal/auth"
	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/scripted"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// service is the API over HTTP, on a vault with real providers and a store in
// memory, with real tokens. Time and identifiers are the test's.
type service struct {
	t       testing.TB
	url     string
	handler http.Handler
	vault   *vault.Vault
	store   *memory.Store
	clock   *clock
	keys    *httptest.Server // publishes the token signing key
	log     *lockedBuffer
	token   string // of an administrator
}

// options change what newService builds.
type options struct {
	store           func(*memory.Store) store.Store                   // wraps the store
	newKey          func(policy.KeyProperties) (crypto.Signer, error) // instead of pooledKey
	noKeys          bool                                              // the token signing keys cannot be fetched
	purgeProtection bool
	issuers         map[string]provider.Provider // besides self and test
	destinations    map[string]vault.Destination
	names           map[string]*names.Permitted
}

const (
	testHost = "mykeyvault.vault.azure.net"
	testURL  = "https://" + testHost
)

func newService(t testing.TB, opts options) *service {
	t.Helper()
	s := &service{t: t, clock: newClock(), store: new(memory.Store), log: new(lockedBuffer)}
	s.keys = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if opts.noKeys {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		pub := signingKey().PublicKey
		json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "use": "sig", "kid": "k1",
			"n": base64.RawURLEncoding.EncodeToString(pub.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(pub.E)).Bytes()),
		}}})
	}))
	t.Cleanup(s.keys.Close)
	validator, err := auth.New(auth.Config{
		Authority:  "https://login.example.com/tenant-1",
		Resource:   "https://vault.azure.net",
		Issuers:    []string{testIssuer},
		Audiences:  []string{"https://vault.azure.net"},
		KeysURL:    s.keys.URL,
		HTTPClient: s.keys.Client(),
		Now:        s.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	var store store.Store = s.store
	if opts.store != nil {
		store = opts.store(s.store)
	}
	if opts.newKey == nil {
		opts.newKey = pooledKey
	}
	issuers := map[string]provider.Provider{
		"self": selfsigned.New(selfsigned.Config{Now: s.clock.Now}),
		"test": scripted.New(scripted.Config{Now: s.clock.Now}),
	}
	maps.Copy(issuers, opts.issuers)
	s.vault, err = vault.New(vault.Config{
		Store:      store,
		RequestKey: func(context.Context) ([]byte, error) { return []byte("the key of requests"), nil },
		Seal:       plainly, Open: plainly,
		Providers:       issuers,
		NameConstraints: opts.names,
		Destinations:    opts.destinations,
		PurgeProtection: opts.purgeProtection,
		NewKey:          opts.newKey,
		Now:             s.clock.Now,
		Sleep:           s.clock.Sleep,
		Rand:            &lockedReader{r: mathrand.NewChaCha8([32]byte{1})},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.handler, err = New(Config{
		Vault:     s.vault,
		Auth:      validator,
		VaultURLs: []string{testURL, "https://localhost:8443", "https://*.vault.azure.net"},
		Region:    "westus",
		Now:       s.clock.Now,
		Log:       slog.New(slog.NewJSONHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	s.url = server.URL
	s.token = s.sign(jwt.MapClaims{"roles": []string{"Key Vault Administrator"}})
	return s
}

const (
	testIssuer = "https://sts.example.com/tenant-1/"
	testOID    = "0d9c1f0e-7f0a-4c6b-9a55-3b1d5ffb8a01"
)

// sign makes a token that is valid but for what more says.
func (s *service) sign(more jwt.MapClaims) string {
	s.t.Helper()
	claims := jwt.MapClaims{
		"iss": testIssuer,
		"aud": "https://vault.azure.net",
		"oid": testOID,
		"azp": "app-1",
		"tid": "tenant-1",
		"iat": s.clock.Now().Unix(),
		"nbf": s.clock.Now().Unix(),
		"exp": s.clock.Now().Add(10 * 24 * time.Hour).Unix(),
	}
	for k, v := range more {
		claims[k] = v
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = "k1"
	signed, err := token.SignedString(signingKey())
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request with the administrator's token for the host testHost,
// unless edit changes that. Whatever is refused must have changed nothing, and
// every answer must be one that openapi.json describes.
func (s *service) do(method, target, body string, edit ...func(*http.Request)) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Host = testHost
	r.Header.Set("Authorization", "Bearer "+s.token)
	for _, f := range edit {
		f(r)
	}
	before := s.store.Contents()
	resp, err := noRedirects.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode >= 400 && resp.StatusCode < 500 && !reflect.DeepEqual(before, s.store.Contents()) {
		s.t.Errorf("%s %s was refused with %d but changed the store", method, target, resp.StatusCode)
	}
	a := answer{resp.StatusCode, resp.Header, string(data)}
	a.conforms(s.t, method, target)
	return a
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// must is do for a request that succeeds.
func (s *service) must(method, target, body string, edit ...func(*http.Request)) answer {
	s.t.Helper()
	a := s.do(method, target, body, edit...)
	if a.status >= 300 {
		s.t.Fatalf("%s %s: got %d %s", method, target, a.status, a.body)
	}
	return a
}

// field is the value at a path of an answer's object: "policy.issuer.name".
func (a answer) field(t testing.TB, path string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("body %q: %v", a.body, err)
	}
	for key := range strings.SplitSeq(path, ".") {
		object, _ := v.(map[string]any)
		v = object[key]
	}
	return v
}

const v74 = "?api-version=7.4"

// policyOf is a create body with a subject and an issuer.
func policyOf(issuer string) string {
	return `{"policy":{"x509_props":{"subject":"CN=example.com"},"issuer":{"name":"` + issuer + `"}}}`
}

// create starts an operation and returns its answer.
func (s *service) create(name, issuer string) answer {
	s.t.Helper()
	return s.must("POST", "/certificates/"+name+"/create"+v74, policyOf(issuer))
}

// complete makes a certificate by way of Self.
func (s *service) complete(name string) {
	s.t.Helper()
	s.create(name, "Self")
	s.clock.Advance(3 * time.Second)
	if a := s.must("GET", "/certificates/"+name+"/pending"+v74, ""); a.field(s.t, "status") != "completed" {
		s.t.Fatalf("operation of %s: got %s, want it completed", name, a.body)
	}
}

// script sets an issuer object whose CA behaves as the script says.
func (s *service) script(issuer, script string) {
	s.t.Helper()
	s.must("PUT", "/certificates/issuers/"+issuer+v74, `{"provider":"Test","org_details":{"id":"`+script+`"}}`)
}

func (s *service) tick() {
	s.t.Helper()
	if _, err := s.vault.Advance(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// issue signs a certificate for the key of a CSR, both in base64.
func issue(t testing.TB, csrBase64 string, now time.Time) string {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(csrBase64)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "Test CA"}}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      csr.Subject,
		NotBefore:    now,
		NotAfter:     now.Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, parent, csr.PublicKey, ca)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(cert)
}

// plainly seals nothing: what is sealed is not this package's business.
func plainly(_ context.Context, _, _, _ string, data []byte) ([]byte, error) {
	return bytes.Clone(data), nil
}

// pooledKey hands out one RSA key of each size again and again: making one takes
// longer than most tests.
func pooledKey(p policy.KeyProperties) (crypto.Signer, error) {
	if p.Type == policy.KeyRSA && p.Size == 2048 {
		return signingKey(), nil
	}
	return policy.GenerateKey(p)
}

// clock is a time that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Sleep passes at once.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.Advance(d)
	return ctx.Err()
}

type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// lines returns the log so far, one object for each line, and empties it.
func (l *lockedBuffer) lines(t testing.TB) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []map[string]any
	for dec := json.NewDecoder(&l.b); dec.More(); {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	l.b.Reset()
	return all
}

func newCSR(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "example.com"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// vaultGrace is how long an operation stays in progress at the least.
const vaultGrace = 2 * time.Second
