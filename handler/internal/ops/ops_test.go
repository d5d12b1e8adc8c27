package ops_test

// The commands of handler ops against a service.

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azpolicy "github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/auth"
	"github.com/certwright/certwright/handler/internal/kvhttp"
	"github.com/certwright/certwright/handler/internal/ops"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/scripted"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

const resource = "https://vault.test"

// service is a vault behind its API, with TLS and real tokens, and the identity
// of who runs commands. Its clock is the test's.
type service struct {
	t      *testing.T
	url    string
	client *http.Client
	vault  *vault.Vault
	store  *memory.Store
	now    time.Time
	roles  []string
	siem   *endpoint

	mu     sync.Mutex
	scopes []string // that tokens were asked for
}

// endpoint is a destination that takes every event unless it has an answer.
type endpoint struct{ answer *vault.DeliveryError }

func (e *endpoint) Wants(vault.Event) bool { return true }

func (e *endpoint) Deliver(context.Context, vault.Event) error {
	if e.answer == nil {
		return nil
	}
	return e.answer
}

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), roles: []string{"Key Vault Administrator"}, siem: new(endpoint), store: new(memory.Store)}
	now := func() time.Time { return s.now }
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		pub := signingKey().PublicKey
		fmt.Fprintf(w, `{"keys":[{"kty":"RSA","kid":"k1","n":%q,"e":%q}]}`,
			base64.RawURLEncoding.EncodeToString(pub.N.Bytes()), base64.RawURLEncoding.EncodeToString(big.NewInt(int64(pub.E)).Bytes()))
	}))
	t.Cleanup(keys.Close)
	validator, err := auth.New(auth.Config{
		Authority: "https://login.test/tenant", Resource: resource, Issuers: []string{"https://sts.test/"}, Audiences: []string{resource},
		KeysURL: keys.URL, HTTPClient: keys.Client(), Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	plainly := func(_ context.Context, _, _, _ string, data []byte) ([]byte, error) { return bytes.Clone(data), nil }
	s.vault, err = vault.New(vault.Config{
		Store: s.store, Seal: plainly, Open: plainly, Now: now,
		Providers: map[string]provider.Provider{
			"self": selfsigned.New(selfsigned.Config{Now: now}),
			"test": scripted.New(scripted.Config{Now: now}),
		},
		Destinations: map[string]vault.Destination{"siem": s.siem},
		Sleep: func(ctx context.Context, d time.Duration) error {
			s.now = s.now.Add(d)
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	s.url = "https://" + server.Listener.Addr().String()
	server.Config.Handler, err = kvhttp.New(kvhttp.Config{Vault: s.vault, Auth: validator, VaultURLs: []string{s.url}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	s.client = server.Client()
	return s
}

// maintain does the upkeep of a tick.
func (s *service) maintain() {
	s.t.Helper()
	if err := s.vault.Maintain(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// GetToken is of azcore.TokenCredential.
func (s *service) GetToken(_ context.Context, o azpolicy.TokenRequestOptions) (azcore.AccessToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = append(s.scopes, o.Scopes...)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "https://sts.test/", "aud": resource, "oid": "0d9c1f0e-7f0a-4c6b-9a55-3b1d5ffb8a01", "azp": "app-1", "roles": s.roles,
		"iat": s.now.Unix(), "nbf": s.now.Unix(), "exp": s.now.Add(time.Hour).Unix(),
	})
	token.Header["kid"] = "k1"
	signed, err := token.SignedString(signingKey())
	return azcore.AccessToken{Token: signed, ExpiresOn: s.now.Add(time.Hour)}, err
}

// try runs a command line in an environment that names the vault.
func (s *service) try(line string, edit ...func(*ops.Config)) (string, error) {
	s.t.Helper()
	var out strings.Builder
	cfg := ops.Config{
		Args: strings.Fields(line),
		Getenv: func(name string) string {
			return map[string]string{"CERTWRIGHT_VAULT_URL": s.url}[name]
		},
		Stdout:     &out,
		Credential: func() (azcore.TokenCredential, error) { return s, nil },
		Transport:  s.client.Transport,
		Now:        func() time.Time { return s.now },
	}
	for _, f := range edit {
		f(&cfg)
	}
	err := ops.Run(s.t.Context(), cfg)
	return out.String(), err
}

// run is try for a command that is done.
func (s *service) run(line string) string {
	s.t.Helper()
	out, err := s.try(line)
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	return out
}

func (s *service) script(issuer, script string) {
	s.t.Helper()
	n, err := vault.ParseIssuerName(issuer)
	if err != nil {
		s.t.Fatal(err)
	}
	set := vault.IssuerSet{Provider: new("Test"), Org: &vault.OrgParams{ID: new(script)}}
	if _, err := s.vault.SetIssuer(s.t.Context(), n, set); err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) create(name, issuer string) {
	s.t.Helper()
	n, err := vault.ParseName(name)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.vault.Create(s.t.Context(), n, vault.CreateParams{Policy: &policy.Params{
		Key:    &policy.KeyParams{Type: new(policy.KeyEC)},
		X509:   &policy.X509Params{Subject: new("CN=example.com")},
		Issuer: &policy.IssuerParams{Name: &issuer},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) tick() {
	s.t.Helper()
	if _, err := s.vault.Advance(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// lines are the lines of a table with single spaces, ids replaced.
func lines(out string) []string {
	out = regexp.MustCompile(`[0-9a-f]{32}`).ReplaceAllString(out, "ID")
	out = regexp.MustCompile(`test-[0-9a-f]{8}`).ReplaceAllString(out, "ORDER")
	var all []string
	for line := range strings.Lines(out) {
		all = append(all, strings.Join(strings.Fields(line), " "))
	}
	return all
}

func want(t *testing.T, out string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, lines(out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.maintain()
	want(t, s.run("list"), "Nothing is in progress, and nothing has failed.")
	s.script("stuck", "hold")
	s.script("refuser", "reject=No\x1b[31m.\nGo away, and do not come back before you own every name that you have asked for, please.")
	s.create("web", "stuck")
	s.create("refused", "refuser")
	s.create("merge", "Unknown")
	s.now = s.now.Add(2 * time.Second)
	s.run("advance web")
	s.run("advance refused")
	s.now = s.now.Add(3 * time.Hour)
	head := "CERTIFICATE WORK ISSUER STATUS AGE FAILURES NEXT STEP LAST ANSWER"
	web := "web operation stuck inProgress 3h 0 now The script holds the request."
	want(t, s.run("list"), head,
		"merge operation Unknown inProgress 3h 0 - waits for a person to merge a certificate",
		"refused operation refuser failed 3h 0 - No [31m. Go away, and do not come back before you own every name that you have …",
		web)
	want(t, s.run("list -issuer STUCK -status=inProgress --stuck-for 1h"), head, web)
	want(t, s.run("list -stuck-for 4h"), "Nothing that was asked for is in progress or has failed.")

	want(t, s.run("show web"), "certificate: web", "work: operation", "request id: ID", "issuer: stuck", "provider: test", "order at the CA: ORDER",
		"status: inProgress", "last answer: The script holds the request.", "attempts: 1", "failures in a row: 0",
		"created: 2026-03-01T12:00:00Z (3h ago)", "next step: 2026-03-01T12:00:07Z (2h ago)")
	s.script("refuser", "hold")
	if out := s.run("retry refused"); !strings.Contains(out, "inProgress") {
		t.Errorf("retry: %s", out)
	}
	want(t, s.run("give-up web"), "certificate: web", "work: operation", "request id: ID", "issuer: stuck", "provider: test", "order at the CA: ORDER",
		"status: failed", "error: Request given up: An operator gave the request up. The last answer of the certificate issuer was: The script holds the request.",
		"last answer: The script holds the request.", "attempts: 1", "failures in a row: 0", "created: 2026-03-01T12:00:00Z (3h ago)")

	s.run("pause stuck -for 90m -reason maintenance")
	want(t, s.run("issuers"), "ISSUER PROVIDER ENABLED PAUSED BY SINCE UNTIL REASON",
		"refuser Test true - - - -",
		"stuck Test true operator 2026-03-01T15:00:02Z (0s ago) 2026-03-01T16:30:02Z (in 90m) maintenance")
	want(t, s.run("pause stuck"), "ISSUER PROVIDER ENABLED PAUSED BY SINCE UNTIL REASON",
		"stuck Test true operator 2026-03-01T15:00:02Z (0s ago) resumed")
	want(t, s.run("resume stuck"), "ISSUER PROVIDER ENABLED PAUSED BY SINCE UNTIL REASON", "stuck Test true - - - -")

	s.script("good", "issue")
	s.create("done", "good")
	s.tick()
	n, _ := vault.ParseName("done")
	cert, err := s.vault.Certificate(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	now := "2026-03-01T" + s.now.Format("15:04:05") + "Z (0s ago)"
	want(t, s.run("revoke done "+cert.Version+" -reason superseded"), "status: inProgress", "reason: superseded", "issuer: good",
		"requested: "+now, "attempts: 0", "failures in a row: 0", "next try: "+now)
	s.tick()
	if out := s.run("revocation done " + cert.Version); !strings.HasPrefix(strings.Join(lines(out), ";"), "status: completed;reason: superseded;issuer: good;") {
		t.Errorf("the revocation:\n%s", out)
	}
	if diff := cmp.Diff([]string{resource + "/.default"}, s.scopes[:1]); diff != "" {
		t.Errorf("tokens were asked for (-want +got):\n%s", diff)
	}
}

// TestEvents: what is on its way and what was given up are told apart, and a dead
// letter can be sent after all.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := newService(t)
	want(t, s.run("events"), "Every event was delivered.")
	complete := func(name string) {
		s.create(name, "Self")
		s.now = s.now.Add(time.Minute)
		s.tick() // it is completed, and its event tried
	}
	s.siem.answer = &vault.DeliveryError{Refused: true, Err: errors.New("413\x1b[31m Content\nToo Large " + strings.Repeat("x", 80))}
	complete("refused")
	s.siem.answer = &vault.DeliveryError{Err: errors.New("502 Bad Gateway"), After: 5 * time.Minute}
	complete("waiting")
	s.now = s.now.Add(3 * time.Minute)
	head := "EVENT DESTINATION TYPE CERTIFICATE AGE ATTEMPTS NEXT ATTEMPT GIVEN UP LAST ANSWER"
	kind := "Microsoft.KeyVault.CertificateNewVersionCreated"
	out := s.run("events")
	want(t, out, head,
		"ID siem "+kind+" refused 4m 1 - Refused 4m ago 413 [31m Content Too Large "+strings.Repeat("x", 52)+"…",
		"ID siem "+kind+" waiting 3m 1 in 2m - 502 Bad Gateway")
	var all []struct {
		EventID string `json:"event_id"`
		GivenUp int64  `json:"given_up"`
	}
	if err := json.Unmarshal([]byte(s.run("events -json")), &all); err != nil || len(all) != 2 || all[0].GivenUp == 0 || all[1].GivenUp != 0 {
		t.Fatalf("in JSON: %v, %v", all, err)
	}
	dead := all[0].EventID
	if !strings.Contains(out, dead) {
		t.Errorf("the table does not name the event %s:\n%s", dead, out)
	}
	s.siem.answer = nil
	want(t, s.run("retry-event "+dead+" siem"), head,
		"ID siem "+kind+" refused 4m 0 now - 413 [31m Content Too Large "+strings.Repeat("x", 52)+"…")
	s.tick()
	if out := lines(s.run("events")); len(out) != 2 || !strings.Contains(out[1], " waiting ") {
		t.Errorf("after the retry: %q", out)
	}
	for line, want := range map[string]string{
		"retry-event " + dead + " siem":    "EventNotFound: ", // it was delivered
		"retry-event x siem":               "EventNotFound: ",
		"retry-event " + dead + " ../siem": "BadParameter: ",
	} {
		if _, err := s.try(line); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var none []any
	if err := json.Unmarshal([]byte(s.run("list -json")), &none); err != nil || none == nil || len(none) != 0 {
		t.Errorf("an empty list is %v, %v", none, err)
	}
	for i := range 60 { // three pages
		s.create(fmt.Sprintf("c%02d", i), "Unknown")
	}
	var all []struct {
		Certificate string `json:"certificate"`
		Created     int64  `json:"created"`
	}
	if err := json.Unmarshal([]byte(s.run("list -issuer unknown -json")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 60 || all[59].Certificate != "c59" || all[59].Created != s.now.Unix() {
		t.Errorf("%d entries", len(all))
	}
	var one map[string]any
	if err := json.Unmarshal([]byte(s.run("show c00 -json")), &one); err != nil || one["waits_for_merge"] != true {
		t.Errorf("one entry is %v, %v", one, err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.script("ca", "hold")
	s.create("web", "ca")
	for line, want := range map[string]string{
		"show other":                     "PendingCertificateNotFound: Pending certificate not found: other",
		"show a_b":                       "BadParameter: ",
		"show ../x":                      "BadParameter: ",
		"advance web -release":           "BadParameter: The request_id query parameter is required",
		"forget web":                     "BadParameter: The request_id query parameter is required",
		"retry web":                      "Forbidden: ",
		"revocation web x":               "RevocationNotFound: ",
		"revoke web x":                   "CertificateNotFound: ",
		"pause other":                    "CertificateIssuerNotFound: ",
		"list -status done":              "BadParameter: ",
		"list -vault-url https://u@host": "",
		"list -vault-url http://host":    "",
		"list -nonsense":                 "",
		"list more":                      "",
		"list -stuck-for -1h":            "",
		"pause ca -for -1h":              "",
		"show":                           "",
		"events more":                    "",
		"retry-event x":                  "",
		"nonsense":                       "",
		"":                               "",
	} {
		out, err := s.try(line)
		_, usage := errors.AsType[ops.UsageError](err)
		if err == nil || usage != (want == "") || !strings.HasPrefix(err.Error(), want) || out != "" {
			t.Errorf("%q: %v, want %q; output %q", line, err, want, out)
		}
	}
	s.roles = []string{"Key Vault Reader"}
	if _, err := s.try("advance web"); err == nil || !strings.Contains(err.Error(), "certificates update permission") {
		t.Errorf("without the permission: %v", err)
	}
	if _, err := s.try("list", func(c *ops.Config) { c.Getenv = func(string) string { return "" } }); err == nil || !strings.Contains(err.Error(), "URL is missing") {
		t.Errorf("without a URL: %v", err)
	}
	if _, err := s.try("list", func(c *ops.Config) {
		c.Credential = func() (azcore.TokenCredential, error) { return nil, errors.New("nobody is signed in") }
	}); err == nil || !strings.Contains(err.Error(), "nobody is signed in") {
		t.Errorf("without a credential: %v", err)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for line, want := range map[string]string{
		"help":          "give-up CERTIFICATE",
		"-h":            "give-up CERTIFICATE",
		"list -h":       "-stuck-for duration",
		"revoke --help": "usage: handler ops revoke [flags] CERTIFICATE VERSION",
	} {
		if out := s.run(line); !strings.Contains(out, want) {
			t.Errorf("%q does not say %q:\n%s", line, want, out)
		}
	}
	for name := range strings.FieldsSeq("list show advance retry give-up forget issuers pause resume replace-account events retry-event revoke revocation") {
		if out := s.run("help"); !strings.Contains(out, "\n  "+name+" ") {
			t.Errorf("help does not list %s", name)
		}
	}
}

// answers is a transport that answers as a function says.
type answers func(*http.Request) (*http.Response, error)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// TestToken: it goes to nobody but the vault, and is one for the vault.
func TestToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url, resource string
		trusted       bool
	}{
		{"https://my.vault.azure.net", "https://vault.azure.net", true},
		{"https://MY.Vault.Azure.NET:443", "https://vault.azure.net/", true},
		{"https://vault.example.com", "https://vault.example.com", true},
		{"https://localhost:8443", "https://vault.azure.net", true},
		{"https://127.0.0.1:8443", "https://vault.azure.net", true},
		{"https://my.vault.azure.net.example.com", "https://vault.azure.net", false},
		{"https://myvault.azure.net", "https://vault.azure.net", false},
		{"https://my.vault.azure.net", "https://management.azure.com", false},
		{"https://my.vault.azure.net", "", false},
	} {
		s := newService(t)
		var tokens int
		_, err := s.try("list -vault-url "+test.url, func(c *ops.Config) {
			c.Transport = answers(func(r *http.Request) (*http.Response, error) {
				rec := httptest.NewRecorder()
				if r.Header.Get("Authorization") == "" {
					rec.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.test/tenant", resource="`+test.resource+`"`)
					rec.WriteHeader(http.StatusUnauthorized)
				} else if tokens++; tokens == 1 {
					fmt.Fprint(rec, `{"value":[],"nextLink":"https://elsewhere.example.com/operations?x=y"}`)
				}
				return rec.Result(), nil
			})
		})
		if err == nil || strings.Contains(err.Error(), "the next page is at") != test.trusted {
			t.Errorf("%s, %s: %v", test.url, test.resource, err)
		}
		if asked := len(s.scopes) > 0; asked != test.trusted || tokens > 1 {
			t.Errorf("%s, %s: a token was asked for: %t; and sent %d times", test.url, test.resource, asked, tokens)
		}
		if test.trusted && s.scopes[0] != strings.TrimSuffix(test.resource, "/")+"/.default" {
			t.Errorf("%s: the scope is %s", test.resource, s.scopes[0])
		}
	}
}

// TestOddAnswers are errors, and never obeyed.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for what, odd := range map[string]func(w http.ResponseWriter){
		"redirect":   func(w http.ResponseWriter) { w.Header().Set("Location", s.url+"/operations"); w.WriteHeader(307) },
		"not JSON":   func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"not a page": func(w http.ResponseWriter) { fmt.Fprint(w, "[]") },
		"no envelope": func(w http.ResponseWriter) {
			w.WriteHeader(502)
			fmt.Fprint(w, "<html>")
		},
		"huge": func(w http.ResponseWriter) { fmt.Fprint(w, strings.Repeat(" ", 5<<20)) },
	} {
		calls := 0
		out, err := s.try("list", func(c *ops.Config) {
			c.Transport = answers(func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("Authorization") == "" {
					return s.client.Transport.RoundTrip(r)
				}
				calls++
				rec := httptest.NewRecorder()
				odd(rec)
				return rec.Result(), nil
			})
		})
		if err == nil || out != "" || calls != 1 {
			t.Errorf("%s: %v after %d calls, output %q", what, err, calls, out)
		}
	}
}
