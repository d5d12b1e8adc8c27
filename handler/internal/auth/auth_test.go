package auth_test

// The challenge, and tokens that are accepted and refused.

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certwright/certwright/handler/internal/auth"
)

func TestChallenge(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	const want = `Bearer authorization="https://login.example.com/tenant-1", resource="https://vault.example.com"`
	if got := i.validator(t, c).Challenge(); got != want {
		t.Errorf("Challenge:\n got %s\nwant %s", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	for why, change := range map[string]func(*auth.Config){
		"authority without tenant":    func(cfg *auth.Config) { cfg.Authority = "https://login.example.com" },
		"authority with empty tenant": func(cfg *auth.Config) { cfg.Authority = "https://login.example.com/" },
		"authority over http":         func(cfg *auth.Config) { cfg.Authority = "http://login.example.com/t" },
		"authority that ends a quote": func(cfg *auth.Config) { cfg.Authority = `https://login.example.com/t", x="` },
		"authority with an equals":    func(cfg *auth.Config) { cfg.Authority = "https://login.example.com/t?a=b" },
		"resource with a path":        func(cfg *auth.Config) { cfg.Resource = "https://vault.example.com/" },
		"no resource":                 func(cfg *auth.Config) { cfg.Resource = "" },
		"no issuers":                  func(cfg *auth.Config) { cfg.Issuers = nil },
		"empty issuer":                func(cfg *auth.Config) { cfg.Issuers = []string{""} },
		"no audiences":                func(cfg *auth.Config) { cfg.Audiences = nil },
		"empty audience":              func(cfg *auth.Config) { cfg.Audiences = []string{audience, ""} },
		"keys over http":              func(cfg *auth.Config) { cfg.KeysURL = "http://login.example.com/keys" },
		"keys from a lookalike":       func(cfg *auth.Config) { cfg.KeysURL = "http://localhost.example.com/keys" },
		"keys from nowhere":           func(cfg *auth.Config) { cfg.KeysURL = "" },
		"no HTTP client":              func(cfg *auth.Config) { cfg.HTTPClient = nil },
	} {
		cfg := i.config(c)
		change(&cfg)
		if _, err := auth.New(cfg); err == nil {
			t.Errorf("%s: New succeeded", why)
		}
	}
	if got := i.count(); got != 0 {
		t.Errorf("New made %d requests", got)
	}
}

func TestAuthenticateAccepts(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	v := i.validator(t, c)
	for why, claims := range map[string]map[string]any{
		"version 1":              {},
		"version 2":              {"iss": issuerV2, "appid": nil, "azp": "app-1"},
		"second audience":        {"aud": "c0ffee00-0000-0000-0000-000000000000"},
		"audience in a list":     {"aud": []string{"https://other.example.com", audience}},
		"expired, within leeway": {"exp": c.now().Add(-5*time.Minute + time.Second).Unix()},
		"early, within leeway":   {"nbf": c.now().Add(5 * time.Minute).Unix(), "iat": c.now().Add(5 * time.Minute).Unix()},
		"without nbf and iat":    {"nbf": nil, "iat": nil},
	} {
		got, err := v.Authenticate(t.Context(), bearer(sign(t, k0, 0, goodClaims(c, claims))))
		if err != nil {
			t.Errorf("%s: %v", why, err)
			continue
		}
		if got.ObjectID != oid || got.AppID != "app-1" || got.TenantID != "tenant-1" || !strings.Contains(got.Issuer, "tenant-1") {
			t.Errorf("%s: caller is %+v", why, got)
		}
	}

	token := sign(t, k0, 0, goodClaims(c))
	for _, field := range []string{"bearer " + token, "BEARER   " + token, " Bearer " + token + " "} {
		if _, err := v.Authenticate(t.Context(), http.Header{"Authorization": {field}}); err != nil {
			t.Errorf("Authorization %q...: %v", field[:8], err)
		}
	}
	if _, err := v.Authenticate(t.Context(), bearer(sign(t, k0, 0, goodClaims(c, map[string]any{"oid": nil})))); err != nil {
		t.Errorf("token of an application only: %v", err)
	}
}

func TestAuthenticateRefusesClaims(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	cfg := i.config(c)
	cfg.TenantID = "tenant-1"
	v := newValidator(t, cfg)
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		why    string
		claims map[string]any
		want   string
	}{
		{"expired", map[string]any{"exp": c.now().Add(-5 * time.Minute).Unix()},
			"Error validating token: it expired at 2026-03-01T11:55:00Z."},
		{"no expiry", map[string]any{"exp": nil}, "Error validating token: it has no time of expiry (exp)."},
		{"not yet valid", map[string]any{"nbf": c.now().Add(5*time.Minute + time.Second).Unix()},
			"Error validating token: it is not valid before 2026-03-01T12:05:01Z."},
		{"issued in the future", map[string]any{"iat": c.now().Add(5*time.Minute + time.Second).Unix()},
			"Error validating token: it was issued in the future, at 2026-03-01T12:05:01Z."},
		{"issuer", map[string]any{"iss": "https://sts.windows.net/tenant-2/"},
			"AKV10032: Invalid issuer. Expected one of " + issuerV1 + ", " + issuerV2 + ", found https://sts.windows.net/tenant-2/."},
		{"issuer without its slash", map[string]any{"iss": strings.TrimSuffix(issuerV1, "/")}, "AKV10032"},
		{"no issuer", map[string]any{"iss": nil}, "AKV10032"},
		{"audience", map[string]any{"aud": "https://management.azure.com/"},
			"AKV10022: Invalid audience. Expected https://vault.example.com or c0ffee00-0000-0000-0000-000000000000, found: https://management.azure.com/."},
		{"audience with a slash", map[string]any{"aud": audience + "/"}, "AKV10022"},
		{"audiences of others", map[string]any{"aud": []string{"a", "b"}}, "found: a, b."},
		{"no audience", map[string]any{"aud": nil}, "AKV10022"},
		{"tenant", map[string]any{"tid": "tenant-2"}, "Error validating token: expected tenant (tid) tenant-1, found tenant-2."},
		{"no tenant", map[string]any{"tid": nil}, "expected tenant (tid) tenant-1"},
		{"nobody", map[string]any{"oid": nil, "appid": nil}, "Error validating token: it names no caller (oid, appid or azp)."},
		{"no client application", map[string]any{"appid": nil}, "it is not an access token"},
		{"an ID token's nonce", map[string]any{"nonce": "n"}, "it is not an access token"},
		{"an ID token's hash of the access token", map[string]any{"at_hash": "n"}, "An ID token is not accepted."},
		{"an ID token's hash of the code", map[string]any{"c_hash": "n"}, "An ID token is not accepted."},
		{"type of a claim", map[string]any{"oid": 7}, "Error validating token: it is malformed."},
		{"type of a date", map[string]any{"exp": "tomorrow"}, "Error validating token: it is malformed."},
		{"long claim", map[string]any{"aud": long}, "found: " + long[:200] + "...."},
		{"unprintable claim", map[string]any{"aud": "a\r\nb\x00"}, "found: a??b?."},
	} {
		_, err := v.Authenticate(t.Context(), bearer(sign(t, k0, 0, goodClaims(c, tt.claims))))
		wantTokenError(t, tt.why, err, tt.want)
	}
}

// wantTokenError checks that err is a TokenError with want in its text.
func wantTokenError(t testing.TB, why string, err error, want string) {
	t.Helper()
	e, ok := errors.AsType[*auth.TokenError](err)
	if !ok || !strings.Contains(e.Message, want) {
		t.Errorf("%s: Authenticate = %v, want a TokenError with %q", why, err, want)
	}
	if err != nil && strings.Contains(err.Error(), "eyJ") {
		t.Errorf("%s: error shows the token: %v", why, err)
	}
}

func TestAuthenticateRefusesSignatures(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	v := i.validator(t, c)
	token := sign(t, k0, 0, goodClaims(c))
	head, rest, _ := strings.Cut(token, ".")
	body, signature, _ := strings.Cut(rest, ".")
	encode := base64.RawURLEncoding.EncodeToString
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: mustPKIX(t)})

	// with signs good claims by another method.
	with := func(method jwt.SigningMethod, key any) string {
		token := jwt.NewWithClaims(method, goodClaims(c))
		token.Header["kid"] = "k0"
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	const malformed = "Error validating token: it is malformed."
	const unsigned = "Error validating token: it is not signed with RS256, or its signature is wrong."
	for _, tt := range []struct{ why, token, want string }{
		{"none", with(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType), unsigned},
		{"none in capitals", encode([]byte(`{"alg":"NONE","kid":"k0"}`)) + "." + body + ".", unsigned},
		{"no alg", encode([]byte(`{"kid":"k0"}`)) + "." + rest, unsigned},
		{"alg of another type", encode([]byte(`{"alg":["RS256"],"kid":"k0"}`)) + "." + rest, unsigned},
		{"HMAC with the public key", with(jwt.SigningMethodHS256, publicPEM), unsigned},
		{"RS384", with(jwt.SigningMethodRS384, testKeys()[0]), unsigned},
		{"RS512", with(jwt.SigningMethodRS512, testKeys()[0]), unsigned},
		{"PS256", with(jwt.SigningMethodPS256, testKeys()[0]), unsigned},
		{"another key", sign(t, k0, 1, goodClaims(c)), unsigned},
		{"signature cut off", head + "." + body + ".", unsigned},
		{"signature of another token", head + "." + encode([]byte(`{"iss":"`+issuerV1+`","aud":"`+audience+`","oid":"x","exp":9999999999}`)) + "." + signature, unsigned},
		{"unknown kid", sign(t, map[string]any{"kid": "k9"}, 0, goodClaims(c)), "AKV10046: Unable to resolve the key used for signature validation."},
		{"no kid", sign(t, nil, 0, goodClaims(c)), "does not name its signing key"},
		{"kid of another type", sign(t, map[string]any{"kid": 7}, 0, goodClaims(c)), "does not name its signing key"},
		{"critical header", sign(t, map[string]any{"kid": "k0", "crit": []string{"b64"}, "b64": false}, 0, goodClaims(c)), "critical header"},
		{"key in the header", sign(t, map[string]any{"kid": "k1", "jwk": publicJWK("k1", &testKeys()[1].PublicKey)}, 1, goodClaims(c)), "AKV10046"},
		{"no dots", "eyJhbGciOiJSUzI1NiJ9", malformed},
		{"one dot", head + "." + body, malformed},
		{"three dots", token + ".", malformed},
		{"signature with stray bits", token[:len(token)-1] + string(token[len(token)-1]+1), malformed},
		{"padding", head + "=." + rest, malformed},
		{"line break", head + "\n." + rest, unsigned},
		{"header is not an object", encode([]byte(`[]`)) + "." + rest, malformed},
		{"claims are null", head + "." + encode([]byte(`null`)) + "." + signature, "AKV10032"},
		{"claims are not an object", head + "." + encode([]byte(`"x"`)) + "." + signature, malformed},
		{"two tokens", token + " " + token, malformed},
	} {
		_, err := v.Authenticate(t.Context(), bearer(tt.token))
		wantTokenError(t, tt.why, err, tt.want)
	}
}

func mustPKIX(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&testKeys()[0].PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAuthenticateHeader(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	v := i.validator(t, c)
	token := sign(t, k0, 0, goodClaims(c))
	const missing = "AKV10000: Request is missing a Bearer or PoP token."
	for _, tt := range []struct {
		why    string
		header http.Header
		want   string
	}{
		{"no field", http.Header{}, missing},
		{"empty", http.Header{"Authorization": {""}}, missing},
		{"scheme only", http.Header{"Authorization": {"Bearer"}}, missing},
		{"scheme and space", http.Header{"Authorization": {"Bearer  "}}, missing},
		{"basic", http.Header{"Authorization": {"Basic dTpw"}}, missing},
		{"no scheme", http.Header{"Authorization": {token}}, missing},
		{"two", http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}, "more than one Authorization header"},
		{"too large", bearer(strings.Repeat("x", 16<<10)), "larger than 16384 bytes"},
		{"just not too large", bearer(strings.Repeat("x", 16<<10-len("Bearer "))), "malformed"},
	} {
		_, err := v.Authenticate(t.Context(), tt.header)
		wantTokenError(t, tt.why, err, tt.want)
	}
	if got := i.count(); got != 0 {
		t.Errorf("requests without a plausible token caused %d fetches", got)
	}
}

func FuzzAuthenticate(f *testing.F) {
	i, c := newIssuer(f), newClock()
	v := i.validator(f, c)
	good := sign(f, k0, 0, goodClaims(c))
	head, _, _ := strings.Cut(good, ".")
	f.Add(`{"alg":"RS256","kid":"k0"}`, `{"iss":"`+issuerV1+`","aud":["`+audience+`"],"exp":1e300}`, "AA")
	f.Add(`{"alg":"none"}`, `{}`, "")
	f.Add(`{"alg":"HS256","kid":"k0"}`, `{"roles":"x","groups":[1]}`, "AA")
	f.Add(`null`, `null`, head)
	f.Fuzz(func(t *testing.T, header, claims, signature string) {
		encode := base64.RawURLEncoding.EncodeToString
		for _, token := range []string{
			fmt.Sprintf("%s.%s.%s", encode([]byte(header)), encode([]byte(claims)), signature),
			fmt.Sprintf("%s.%s.%s", header, claims, signature),
			fmt.Sprintf("%s.%s.%s", head, encode([]byte(claims)), encode([]byte(signature))),
		} {
			caller, err := v.Authenticate(t.Context(), bearer(token))
			if _, refused := errors.AsType[*auth.TokenError](err); !refused || caller.Can(auth.CertificatesGet) {
				t.Fatalf("Authenticate(%q) = %+v, %v, want a TokenError", token, caller, err)
			}
		}
	})
}

// BenchmarkAuthenticate reports how many times as long a token takes as the
// verification of its signature alone.
func BenchmarkAuthenticate(b *testing.B) {
	i, c := newIssuer(b), newClock()
	v := i.validator(b, c)
	header := bearer(sign(b, k0, 0, goodClaims(c, map[string]any{"roles": []string{"Key Vault Administrator"}})))
	for b.Loop() {
		if _, err := v.Authenticate(b.Context(), header); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	key, digest := testKeys()[0], sha256.Sum256([]byte("signed"))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	for range b.N {
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(time.Since(start)), "times-verify")
}

// TestTenantOfIssuer: the tenant of a token is the one that its issuer names, also
// without a setting.
func TestTenantOfIssuer(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	const tenant = "0f0f0f0f-1111-2222-3333-444455556666"
	cfg := i.config(c)
	cfg.Issuers = []string{"https://sts.windows.net/" + tenant + "/", "https://login.microsoftonline.com/" + tenant + "/v2.0"}
	v := newValidator(t, cfg)
	for _, issuer := range cfg.Issuers {
		for tid, want := range map[any]string{
			tenant: "", strings.ToUpper(tenant): "", nil: "expected tenant (tid) " + tenant, "tenant-1": "expected tenant (tid) " + tenant,
		} {
			_, err := v.Authenticate(t.Context(), bearer(sign(t, k0, 0, goodClaims(c, map[string]any{"iss": issuer, "tid": tid}))))
			if want == "" {
				if err != nil {
					t.Errorf("%s, tid %v: %v", issuer, tid, err)
				}
				continue
			}
			wantTokenError(t, issuer, err, want)
		}
	}
}

// TestTokenType: a token of another type is for another purpose.
func TestTokenType(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	v := i.validator(t, c)
	for typ, accepted := range map[any]bool{"JWT": true, "jwt": true, "at+jwt": true, "application/at+jwt": true, "logout+jwt": false, "dpop+jwt": false, "": false, 7: false} {
		_, err := v.Authenticate(t.Context(), bearer(sign(t, map[string]any{"kid": "k0", "typ": typ}, 0, goodClaims(c))))
		if accepted && err != nil {
			t.Errorf("%v: %v", typ, err)
		}
		if !accepted {
			wantTokenError(t, fmt.Sprint(typ), err, "its type (typ) is not that of an access token")
		}
	}
}
