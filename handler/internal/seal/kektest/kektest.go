// Package kektest is a Key Vault for tests that holds one key-encryption key.
package kektest

// A fake of a Key Vault that unwraps keys.

import (
	"context"
	"crypto"
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
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/certwright/certwright/handler/internal/seal"
)

// Versions that the key may have, the vault, as the server's own client finds it, and
// the id of its key.
const (
	Version1 = "0123456789abcdef0123456789abcdef"
	Version2 = "fedcba9876543210fedcba9876543210"

	Vault = "https://kek.example.com"
	Key   = Vault + "/keys/master"

	testToken = "token-for-https://example.com/.default"
)

// A KeyVault is a Key Vault with one RSA key, "master", that speaks the three
// requests of the keys REST API used here, over TLS and behind the challenge.
type KeyVault struct {
	server *httptest.Server

	mu       sync.Mutex // guards what follows
	Versions map[string]*rsa.PrivateKey
	Current  string
	JWK      map[string]any // members of the key that differ from the usual
	Disabled bool           // what "enabled" says, and 403 from all but reading the key
	Status   int            // answered to everything when not 0
	Hold     chan struct{}  // when set, answers wait until it is closed
	counts   map[string]int // requests that passed the challenge, by verb of the API
	requests int            // all requests
}

// Keys are those of Version1 and Version2.
var Keys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

// New starts a Key Vault whose key has the version Version1.
func New(t testing.TB) *KeyVault {
	t.Helper()
	v := &KeyVault{
		Versions: map[string]*rsa.PrivateKey{Version1: Keys()[0]},
		Current:  Version1,
		counts:   make(map[string]int),
	}
	v.server = httptest.NewTLSServer(v)
	t.Cleanup(v.server.Close)
	return v
}

// Set changes the vault.
func (v *KeyVault) Set(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

// Count returns how often the vault was asked for verb, "get", "unwrapkey" or "sign";
// "" stands for requests of any kind, unauthorized ones included.
func (v *KeyVault) Count(verb string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if verb == "" {
		return v.requests
	}
	return v.counts[verb]
}

func (v *KeyVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.Set(func() { v.requests++ })
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
		version = v.Current
	}
	key, status, disabled, hold, special := v.Versions[version], v.Status, v.Disabled, v.Hold, maps.Clone(v.JWK)
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
			"kid":     Vault + "/keys/master/" + version,
			"kty":     "RSA",
			"key_ops": []string{"wrapKey", "unwrapKey", "sign", "verify"},
			"n":       base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
			"e":       "AQAB",
		}
		maps.Copy(jwk, special)
		v.answer(w, http.StatusOK, map[string]any{"key": jwk, "attributes": map[string]any{"enabled": !disabled}})
	case disabled && verb != "get":
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
			"kid":   Vault + "/keys/master/" + version,
			"value": base64.RawURLEncoding.EncodeToString(dek),
		})
	case verb == "sign":
		var body struct{ Alg, Value string }
		err := json.NewDecoder(r.Body).Decode(&body)
		digest, err2 := base64.RawURLEncoding.DecodeString(body.Value)
		if err != nil || err2 != nil || body.Alg != "PS256" || len(digest) != sha256.Size {
			v.answer(w, http.StatusBadRequest, keyVaultError("BadParameter"))
			return
		}
		signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		if err != nil {
			v.answer(w, http.StatusInternalServerError, keyVaultError("Failed"))
			return
		}
		v.answer(w, http.StatusOK, map[string]any{
			"kid":   Vault + "/keys/master/" + version,
			"value": base64.RawURLEncoding.EncodeToString(signature),
		})
	default:
		v.answer(w, http.StatusMethodNotAllowed, keyVaultError("MethodNotAllowed"))
	}
}

func (v *KeyVault) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only when the client has left
}

func keyVaultError(code string) map[string]any {
	return map[string]any{"error": map[string]string{"code": code, "message": "as scripted"}}
}

// Client returns a client that finds Vault at the server.
func (v *KeyVault) Client() *http.Client { return v.server.Client() }

// Credential hands out a token that names the scope it was asked for.
type Credential struct{}

func (Credential) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(options.Scopes) != 1 {
		return azcore.AccessToken{}, fmt.Errorf("asked for scopes %q", options.Scopes)
	}
	return azcore.AccessToken{Token: "token-for-" + options.Scopes[0], ExpiresOn: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}, nil
}

// Close ends the vault.
func (v *KeyVault) Close() { v.server.Close() }

// KEK returns a KEK over the vault, as a fresh process has it. now may be nil.
func (v *KeyVault) KEK(t testing.TB, keyID string, now func() time.Time) *seal.KeyVaultKEK {
	t.Helper()
	kek, err := seal.NewKeyVaultKEK(seal.KeyVaultConfig{KeyID: keyID, Credential: Credential{}, HTTPClient: v.Client(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return kek
}
