package identity_test

// Tokens of the local identity, as an official client gets them.

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/localcloud/identity"
	"github.com/certwright/certwright/handler/localcloud/state"
)

// serve starts an endpoint for a fresh directory, with a clock at now.
func serve(t *testing.T, now time.Time) (*identity.Directory, string) {
	t.Helper()
	directory, err := identity.Open(state.Folder(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	server.Config.Handler = identity.New(identity.Config{
		Directory: directory, Issuer: base, Now: func() time.Time { return now },
	})
	server.Start()
	t.Cleanup(server.Close)
	return directory, base
}

// get returns the status and the JSON body of an answer.
func get(t *testing.T, address, header string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != "" {
		request.Header.Set("X-IDENTITY-HEADER", header)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

// publishedKey finds the verification key the way a verifier does: from the
// issuer's configuration to its key set.
func publishedKey(t *testing.T, issuer string) jwt.Keyfunc {
	t.Helper()
	_, configuration := get(t, issuer+identity.ConfigurationPath, "")
	if configuration["issuer"] != issuer {
		t.Errorf("the configuration names the issuer %v, want %v", configuration["issuer"], issuer)
	}
	_, set := get(t, configuration["jwks_uri"].(string), "")
	key := set["keys"].([]any)[0].(map[string]any)
	number := func(name string) *big.Int {
		content, err := base64.RawURLEncoding.DecodeString(key[name].(string))
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(content)
	}
	return func(token *jwt.Token) (any, error) {
		if token.Header["kid"] != key["kid"] {
			t.Errorf("the token's kid is %v, the key set has %v", token.Header["kid"], key["kid"])
		}
		return &rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}, nil
	}
}

func TestTokenVerifiesByThePublishedKey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	directory, issuer := serve(t, now)
	for _, resource := range []string{"https://vault.azure.net", "https://vault.azure.net/.default"} {
		query := url.Values{"resource": {resource}, "api-version": {"2019-08-01"}, "client_id": {"any"}}
		status, body := get(t, issuer+identity.TokenPath+"?"+query.Encode(), directory.Header())
		if status != http.StatusOK {
			t.Fatalf("status %d, body %v", status, body)
		}
		token, err := jwt.Parse(body["access_token"].(string), publishedKey(t, issuer),
			jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(issuer),
			jwt.WithAudience("https://vault.azure.net"), jwt.WithTimeFunc(func() time.Time { return now }))
		if err != nil {
			t.Fatal(err)
		}
		claims := token.Claims.(jwt.MapClaims)
		delete(claims, "uti")
		want := jwt.MapClaims{
			"iss": issuer, "aud": "https://vault.azure.net",
			"sub": directory.ObjectID(), "oid": directory.ObjectID(),
			"appid": directory.ClientID(), "tid": directory.TenantID(), "idtyp": "app", "ver": "1.0",
			"iat": float64(now.Unix()), "nbf": float64(now.Unix()), "exp": float64(now.Add(time.Hour).Unix()),
			"roles": []any{"KeyVault.Administrator"},
		}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("claims for %q (-want +got):\n%s", resource, diff)
		}
		delete(body, "access_token")
		wantBody := map[string]any{
			"expires_on": strconv.FormatInt(now.Add(time.Hour).Unix(), 10),
			"resource":   "https://vault.azure.net", "token_type": "Bearer", "client_id": directory.ClientID(),
		}
		if diff := cmp.Diff(wantBody, body); diff != "" {
			t.Errorf("answer for %q (-want +got):\n%s", resource, diff)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	directory, issuer := serve(t, time.Now())
	const good = "?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net"
	for name, c := range map[string]struct {
		query, header string
		want          int
	}{
		"no header":       {good, "", http.StatusUnauthorized},
		"wrong header":    {good, directory.Header() + "x", http.StatusUnauthorized},
		"no resource":     {"?api-version=2019-08-01", directory.Header(), http.StatusBadRequest},
		"no URL":          {"?api-version=2019-08-01&resource=vault", directory.Header(), http.StatusBadRequest},
		"endless":         {good + strings.Repeat("x", 300), directory.Header(), http.StatusBadRequest},
		"no version":      {"?resource=https%3A%2F%2Fvault.azure.net", directory.Header(), http.StatusBadRequest},
		"another version": {strings.Replace(good, "2019", "2017", 1), directory.Header(), http.StatusBadRequest},
	} {
		status, body := get(t, issuer+identity.TokenPath+c.query, c.header)
		if status != c.want || body["statusCode"] != float64(c.want) || body["access_token"] != nil {
			t.Errorf("%s: status %d, body %v, want %d", name, status, body, c.want)
		}
	}
}

// The official client reads its settings from the environment, so this test
// does not run in parallel.
func TestOfficialClientGetsAToken(t *testing.T) {
	directory, issuer := serve(t, time.Now())
	t.Setenv("IDENTITY_ENDPOINT", issuer+identity.TokenPath)
	t.Setenv("IDENTITY_HEADER", directory.Header())
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
	// The client caches tokens by this id for the life of the process.
	t.Setenv("AZURE_CLIENT_ID", directory.ClientID())
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.Parse(token.Token, publishedKey(t, issuer), jwt.WithAudience("https://vault.azure.net"))
	if err != nil {
		t.Fatal(err)
	}
	if expires, err := parsed.Claims.GetExpirationTime(); err != nil || !expires.Equal(token.ExpiresOn) {
		t.Errorf("the client takes the token to be valid until %v, it says %v, %v", token.ExpiresOn, expires, err)
	}
}

func TestRequestToken(t *testing.T) {
	t.Parallel()
	directory, issuer := serve(t, time.Now())
	token, err := identity.RequestToken(t.Context(), issuer+identity.TokenPath, directory.Header(), "https://vault.azure.net")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jwt.Parse(token, publishedKey(t, issuer)); err != nil {
		t.Error(err)
	}
	if _, err := identity.RequestToken(t.Context(), issuer+identity.TokenPath, "wrong", "https://vault.azure.net"); err == nil ||
		!strings.Contains(err.Error(), "IDENTITY_HEADER") {
		t.Errorf("with a wrong header: %v, want an error that says so", err)
	}
}

func TestDirectoryStaysAndIsSecret(t *testing.T) {
	t.Parallel()
	folder := state.Folder(t.TempDir())
	first, err := identity.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	second, err := identity.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	other, err := identity.Open(state.Folder(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if first.TenantID() != second.TenantID() || first.KeyID() != second.KeyID() || first.Header() != second.Header() {
		t.Error("a folder's directory changed between two starts")
	}
	if first.TenantID() == other.TenantID() || first.KeyID() == other.KeyID() || first.Header() == other.Header() {
		t.Error("two working copies share a directory")
	}
	if len(map[string]bool{first.TenantID(): true, first.ObjectID(): true, first.ClientID(): true}) != 3 {
		t.Error("the ids of a directory are not distinct")
	}
	for _, name := range []string{"key.pem", "header"} {
		info, err := os.Stat(folder.Path("identity", name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, info.Mode().Perm())
		}
	}
}
