package seal_test

// A fake of a Key Vault that unwraps keys.

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

const (
	version1 = "0123456789abcdef0123456789abcdef"
	version2 = "fedcba9876543210fedcba9876543210"

	testVault = "https://kek.example.com" // where the server's own client finds it
	testToken = "token-for-https://example.com/.default"
)

// A keyVault is a Key Vault with one RSA key, "master", that speaks the two
// requests of the keys REST API used here, over TLS and behind the challenge.
type keyVault struct {
	server *httptest.Server

	mu       sync.Mutex // guards what follows
	versions map[string]*rsa.PrivateKey
	current  string
	key      map[string]any // members of the key that differ from the usual
	disabled bool           // what "enabled" says, and 403 from unwrapKey
	status   int            // answered to everything when not 0
	hold     chan struct{}  // when set, answers wait until it is closed
	counts   map[string]int // requests that passed the challenge, by verb of the API
	requests int            // all requests
}

var testKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

func newKeyVault(t testing.TB) *keyVault {
	t.Helper()
	v := &keyVault{
		versions: map[string]*rsa.PrivateKey{version1: testKeys()[0]},
		current:  version1,
		counts:   make(map[string]int),
	}
	v.server = httptest.NewTLSServer(v)
	t.Cleanup(v.server.Close)
	return v
}

// set changes the vault.
func (v *keyVault) set(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

// count returns how often the vault was asked for verb, "get" or "unwrapkey";
// "" stands for requests of any kind, unauthorized ones included.
func (v *keyVault) count(verb string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if verb == "" {
		return v.requests
	}
	return v.counts[verb]
}

func (v *keyVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.set(func() { v.requests++ })
	if r.Header.Get("Authorization") != "Bearer "+testToken {
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.example.com/tenant", resource="https://example.com"`)
		v.answer(w, http.StatusUnauthorized, keyVaultError("Unauthorized"))
		return
	}
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	verb := "get"
	if r.Method == http.MethodPost {
		verb = segments[len(segments)-1]
		segments = segments[:len(segments)-1]
	}
	version := ""
	if len(segments) == 3 {
		version = segments[2]
	}

	v.mu.Lock()
	v.counts[verb]++
	if version == "" {
		version = v.current
	}
	key, status, disabled, hold, special := v.versions[version], v.status, v.disabled, v.hold, maps.Clone(v.key)
	v.mu.Unlock()

	if hold != nil {
		<-hold
	}
	switch {
	case status != 0:
		v.answer(w, status, keyVaultError("Scripted"))
	case key == nil || len(segments) < 2 || segments[0] != "keys" || segments[1] != "master":
		v.answer(w, http.StatusNotFound, keyVaultError("KeyNotFound"))
	case verb == "get":
		jwk := map[string]any{
			"kid":     testVault + "/keys/master/" + version,
			"kty":     "RSA",
			"key_ops": []string{"wrapKey", "unwrapKey"},
			"n":       base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
			"e":       "AQAB",
		}
		maps.Copy(jwk, special)
		v.answer(w, http.StatusOK, map[string]any{"key": jwk, "attributes": map[string]any{"enabled": !disabled}})
	case verb == "unwrapkey" && disabled:
		v.answer(w, http.StatusForbidden, keyVaultError("Forbidden"))
	case verb == "unwrapkey":
		var body struct{ Alg, Value string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Alg != "RSA-OAEP-256" {
			v.answer(w, http.StatusBadRequest, keyVaultError("BadParameter"))
			return
		}
		wrapped, err := base64.RawURLEncoding.DecodeString(body.Value)
		if err != nil {
			v.answer(w, http.StatusBadRequest, keyVaultError("BadParameter"))
			return
		}
		dek, err := rsa.DecryptOAEP(sha256.New(), nil, key, wrapped, nil)
		if err != nil {
			v.answer(w, http.StatusBadRequest, keyVaultError("BadParameter"))
			return
		}
		v.answer(w, http.StatusOK, map[string]any{
			"kid":   testVault + "/keys/master/" + version,
			"value": base64.RawURLEncoding.EncodeToString(dek),
		})
	default:
		v.answer(w, http.StatusMethodNotAllowed, keyVaultError("MethodNotAllowed"))
	}
}

func (v *keyVault) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only when the client has left
}

func keyVaultError(code string) map[string]any {
	return map[string]any{"error": map[string]string{"code": code, "message": "as scripted"}}
}

// client returns a client that finds testVault at the server.
func (v *keyVault) client() *http.Client { return v.server.Client() }

// A scopeCredential hands out a token that names the scope it was asked for.
type scopeCredential struct{}

func (scopeCredential) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(options.Scopes) != 1 {
		return azcore.AccessToken{}, fmt.Errorf("asked for scopes %q", options.Scopes)
	}
	return azcore.AccessToken{Token: "token-for-" + options.Scopes[0], ExpiresOn: tokenExpiry}, nil
}
