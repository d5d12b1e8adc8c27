package stepca

// Keys of provisioners, and tokens made with them.

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// privateJWK is a new private key.
func privateJWK(t testing.TB, curve string) (map[string]string, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curves[curve].curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"use": "sig", "kty": "EC", "kid": "k1", "crv": curve,
		"x": base64URL(point[1 : 1+len(d)]), "y": base64URL(point[1+len(d):]), "d": base64URL(d),
	}, key
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Keys of every curve sign with its algorithm, with or without the members that
// follow from others.
func TestParseKey(t *testing.T) {
	t.Parallel()
	for curve, algorithm := range map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"} {
		text, key := privateJWK(t, curve)
		for _, without := range []string{"", "x", "y"} {
			delete(text, without)
			p, err := parseKey(marshal(t, text))
			if err != nil || p.keyID != "k1" || p.method.Alg() != algorithm || !p.key.Equal(key) {
				t.Errorf("%s without %q: %+v, %v", curve, without, p.method, err)
			}
		}
	}
}

// A key without id has its thumbprint (RFC 7638), as with step: that of the key of
// RFC 7515 appendix A.3, computed with Python's hashlib.
func TestKeyIDIsTheThumbprint(t *testing.T) {
	t.Parallel()
	p, err := parseKey([]byte(`{"kty":"EC","crv":"P-256",
		"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
		"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
		"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"; p.keyID != want {
		t.Errorf("key id %q, want %q", p.keyID, want)
	}
}

// Whatever a password is, it is a key that signs or an error that quotes
// nothing of it.
func FuzzParseKey(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parseKey(text)
		if err != nil {
			if len(err.Error()) > 100 || len(text) > 20 && strings.Contains(err.Error(), string(text)) {
				t.Fatal(err)
			}
			return
		}
		signed, err := jwt.NewWithClaims(p.method, jwt.MapClaims{}).SignedString(p.key)
		if err != nil {
			t.Fatal(err)
		}
		public := func(*jwt.Token) (any, error) { return &p.key.PublicKey, nil }
		if _, err := jwt.Parse(signed, public, jwt.WithValidMethods([]string{p.method.Alg()})); err != nil || p.keyID == "" {
			t.Fatalf("key %q: %v", p.keyID, err)
		}
	})
}
