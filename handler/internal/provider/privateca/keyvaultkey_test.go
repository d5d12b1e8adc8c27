package privateca_test

// Keys in Key Vault, with a fake of its REST API.

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

const (
	keyVaultURL = "https://kv.example.com" // where the server's own client finds it
	keyVersion  = "0123456789abcdef0123456789abcdef"
	caKeyID     = keyVaultURL + "/keys/ca/" + keyVersion
)

// keyVault has one key and speaks the two requests that are used here, behind
// the challenge.
type keyVault struct {
	server *httptest.Server
	key    crypto.Signer

	mu     sync.Mutex
	calls  []string       // method and algorithm
	status int            // answered to everything when not 0
	jwk    map[string]any // members of the key that differ
	value  []byte         // a signature that differs
}

func newKeyVault(t testing.TB, key crypto.Signer) *keyVault {
	t.Helper()
	v := &keyVault{key: key}
	v.server = httptest.NewTLSServer(v)
	t.Cleanup(v.server.Close)
	return v
}

func (v *keyVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer token" {
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.example.com/tenant", resource="https://example.com"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	var body struct{ Alg, Value string }
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	v.calls = append(v.calls, strings.TrimSpace(r.Method+" "+body.Alg))
	digest, err := base64.RawURLEncoding.DecodeString(body.Value)
	switch {
	case v.status != 0:
		w.WriteHeader(v.status)
		fmt.Fprint(w, `{"error":{"code":"Scripted","message":"as scripted"}}`)
	case r.URL.Path == "/keys/ca/"+keyVersion && r.Method == http.MethodGet:
		json.NewEncoder(w).Encode(map[string]any{"key": v.webKey()})
	case r.URL.Path == "/keys/ca/"+keyVersion+"/sign" && r.Method == http.MethodPost && err == nil:
		json.NewEncoder(w).Encode(map[string]any{"kid": caKeyID, "value": base64.RawURLEncoding.EncodeToString(v.sign(body.Alg, digest))})
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"code":"KeyNotFound"}}`)
	}
}

// webKey is the public key as a JWK. RFC 7518 section 6.
func (v *keyVault) webKey() map[string]any {
	encode := base64.RawURLEncoding.EncodeToString
	jwk := map[string]any{"kid": caKeyID}
	switch key := v.key.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", encode(key.N.Bytes()), "AQAB"
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		half := len(point) / 2
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", key.Params().Name, encode(point[1:1+half]), encode(point[1+half:])
	}
	for name, value := range v.jwk {
		jwk[name] = value
	}
	return jwk
}

// sign makes a signature as RFC 7518 section 3 has it.
func (v *keyVault) sign(algorithm string, digest []byte) []byte {
	if v.value != nil {
		return v.value
	}
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[algorithm[2:]]
	var opts crypto.SignerOpts = hash
	if algorithm[:2] == "PS" {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	der, err := v.key.Sign(rand.Reader, digest, opts)
	if err != nil {
		panic(err)
	}
	key, ok := v.key.Public().(*ecdsa.PublicKey)
	if !ok {
		return der
	}
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &numbers); err != nil {
		panic(err)
	}
	raw := make([]byte, 2*((key.Params().BitSize+7)/8))
	numbers.R.FillBytes(raw[:len(raw)/2])
	numbers.S.FillBytes(raw[len(raw)/2:])
	return raw
}

type tokenCredential struct{}

func (tokenCredential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}, nil
}

func (v *keyVault) open(t testing.TB) *privateca.KeyVaultKey {
	t.Helper()
	k, err := privateca.NewKeyVaultKey(privateca.KeyVaultConfig{KeyID: caKeyID, Credential: tokenCredential{}, HTTPClient: v.server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A CA whose key is in Key Vault: made, issuing and revoking. A step costs one
// call, the first in a process two.
func TestKeyVaultCA(t *testing.T) {
	t.Parallel()
	for algorithm, key := range map[string]crypto.Signer{
		"ES256": ecKey(t, elliptic.P256()), "ES384": ecKey(t, elliptic.P384()), "ES512": ecKey(t, elliptic.P521()), "RS256": rsaKey(),
	} {
		v := newKeyVault(t, key)
		k := v.open(t)
		signer, err := k.Signer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		root, err := privateca.Root{Subject: commonName("Root"), Years: 10}.Certify(signer, start, rand.Reader)
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		m := new(memoryCRL)
		c := &ca{key: key, chain: []*x509.Certificate{root}}
		cfg := c.config()
		cfg.Key, cfg.LoadCRL, cfg.SaveCRL = v.open(t).Signer, m.load, m.save
		i := issuer(t, cfg)
		leaf := issued(t, run(t, i, webRequest(t)))
		verify(t, c, leaf)
		if err := i.Revoke(t.Context(), noIssuer, leaf, 0); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		want := []string{"GET", "POST " + algorithm, "GET", "POST " + algorithm, "POST " + algorithm}
		if diff := cmp.Diff(want, v.calls); diff != "" {
			t.Errorf("%s (-want +got):\n%s", algorithm, diff)
		}
	}
}

func TestKeyVaultAlgorithms(t *testing.T) {
	t.Parallel()
	v := newKeyVault(t, rsaKey())
	signer, err := v.open(t).Signer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("x"))
	signature, err := signer.Sign(nil, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPSS(&rsaKey().PublicKey, crypto.SHA256, digest[:], signature, nil); err != nil {
		t.Error(err)
	}
	if _, err := signer.Sign(nil, digest[:], crypto.MD5); err == nil || !strings.Contains(err.Error(), "no algorithm") {
		t.Errorf("MD5: %v", err)
	}
	v = newKeyVault(t, ecKey(t, elliptic.P384()))
	if signer, err = v.open(t).Signer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(nil, digest[:], crypto.SHA256); err == nil || !strings.Contains(err.Error(), "P-384 does not sign digests of SHA-256") {
		t.Errorf("P-384 with SHA-256: %v", err)
	}
}

// What a vault answers in place of a key or a signature fails the step for now,
// and is not told at length.
func TestKeyVaultFailures(t *testing.T) {
	t.Parallel()
	curve := elliptic.P256()
	long := base64.RawURLEncoding.EncodeToString(make([]byte, 33))
	for want, change := range map[string]func(*keyVault){
		"the vault answered 403 Scripted":   func(v *keyVault) { v.status = http.StatusForbidden },
		"the answer holds no key":           func(v *keyVault) { v.jwk = map[string]any{"kty": nil} },
		"the key type is oct":               func(v *keyVault) { v.jwk = map[string]any{"kty": "oct"} },
		"an EC key on an unsupported curve": func(v *keyVault) { v.jwk = map[string]any{"crv": "P-256K"} },
		"coordinates that are too long":     func(v *keyVault) { v.jwk = map[string]any{"x": long} },
		"point not on curve":                func(v *keyVault) { v.jwk = map[string]any{"y": "AAAA"} },
		"an RSA key of 8 bits":              func(v *keyVault) { v.jwk = map[string]any{"kty": "RSA", "n": "_w", "e": "AQAB"} },
		"an RSA key of 2048 bits": func(v *keyVault) {
			v.jwk = map[string]any{"kty": "RSA", "n": strings.Repeat("_", 341) + "w", "e": "AQ"}
		},
		"a signature of 3 bytes":                  func(v *keyVault) { v.value = []byte{1, 2, 3} },
		"signature returned by signer is invalid": func(v *keyVault) { v.value = make([]byte, 64) },
	} {
		c := newCA(t, nil, ecKey(t, curve), nil)
		v := newKeyVault(t, c.key)
		change(v)
		cfg := c.config()
		cfg.Key = v.open(t).Signer
		out := run(t, issuer(t, cfg), webRequest(t))
		if out.Kind != provider.OutcomeRetry || !strings.Contains(out.Detail, want) || len(out.Detail) > 300 {
			t.Errorf("%s, want %s", brief(out), want)
		}
	}
}

func TestNewKeyVaultKeyRefuses(t *testing.T) {
	t.Parallel()
	client := http.DefaultClient
	for _, cfg := range []privateca.KeyVaultConfig{
		{KeyID: "", Credential: tokenCredential{}, HTTPClient: client},
		{KeyID: keyVaultURL + "/keys/ca", Credential: tokenCredential{}, HTTPClient: client},
		{KeyID: "http://kv.example.com/keys/ca/" + keyVersion, Credential: tokenCredential{}, HTTPClient: client},
		{KeyID: caKeyID + "/x", Credential: tokenCredential{}, HTTPClient: client},
		{KeyID: "https://user@kv.example.com/keys/ca/" + keyVersion, Credential: tokenCredential{}, HTTPClient: client},
		{KeyID: caKeyID, HTTPClient: client},
	} {
		if _, err := privateca.NewKeyVaultKey(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}

// Unless told otherwise it calls its vault by the client of all providers.
func TestKeyVaultKeyIsNotOnThisMachine(t *testing.T) {
	t.Parallel()
	// In this form it is a name like any other.
	id := "https://LOCALHOST:1/keys/ca/" + keyVersion
	k, err := privateca.NewKeyVaultKey(privateca.KeyVaultConfig{KeyID: id, Credential: tokenCredential{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Signer(t.Context()); err == nil || !strings.Contains(err.Error(), "which serves this machine only") {
		t.Errorf("%v", err)
	}
}
