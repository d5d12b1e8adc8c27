package policy_test

// Key pairs and their encodings.

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/policy"
)

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	for _, k := range []policy.KeyProperties{
		{Type: policy.KeyRSA, Size: 2048},
		{Type: policy.KeyRSA, Size: 3072},
		{Type: policy.KeyRSA, Size: 4096},
		{Type: policy.KeyRSAHSM, Size: 2048},
		{Type: policy.KeyEC, Curve: "P-256", Size: 256},
		{Type: policy.KeyEC, Curve: "P-384", Size: 384},
		{Type: policy.KeyEC, Curve: "P-521", Size: 521},
		{Type: policy.KeyECHSM, Curve: "P-256", Size: 256},
	} {
		key, err := policy.GenerateKey(k)
		if err != nil {
			t.Errorf("%+v: %v", k, err)
			continue
		}
		switch pub := key.Public().(type) {
		case *rsa.PublicKey:
			if k.Curve != "" || pub.N.BitLen() != k.Size || pub.E != 65537 {
				t.Errorf("%+v: RSA key of %d bits", k, pub.N.BitLen())
			}
		case *ecdsa.PublicKey:
			if pub.Curve.Params().Name != k.Curve {
				t.Errorf("%+v: EC key on %s", k, pub.Curve.Params().Name)
			}
		default:
			t.Errorf("%+v: %T", k, pub)
		}
		der, err := policy.MarshalKey(key)
		if err != nil {
			t.Errorf("%+v: %v", k, err)
			continue
		}
		back, err := policy.ParseKey(der)
		if err != nil || !policy.SamePublicKey(back.Public(), key.Public()) {
			t.Errorf("%+v: came back as %v, %v", k, back, err)
		}
	}
	for _, k := range []policy.KeyProperties{{}, {Type: "oct", Size: 256}, {Type: policy.KeyEC, Curve: "P-256K"}, {Type: policy.KeyRSA, Size: 16}} {
		if _, err := policy.GenerateKey(k); err == nil {
			t.Errorf("%+v: made a key", k)
		}
	}
}

// OpenSSL reads what marshalKey writes, as PKCS #8.
func TestMarshalKeyOpenSSL(t *testing.T) {
	t.Parallel()
	for name, key := range certtest.Keys {
		der, err := policy.MarshalKey(key())
		if err != nil {
			t.Fatal(err)
		}
		spki, err := x509.MarshalPKIXPublicKey(key().Public())
		if err != nil {
			t.Fatal(err)
		}
		in := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if got := certtest.OpenSSL(t, in, "pkey", "-pubout", "-outform", "DER"); !bytes.Equal(got, spki) {
			t.Errorf("%s: OpenSSL reads another key", name)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	x25519 := "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20" + "0123456789abcdef0123456789abcdef"
	for name, der := range map[string]string{"nothing": "", "garbage": "key", "a key that does not sign": x25519} {
		if key, err := policy.ParseKey([]byte(der)); err == nil {
			t.Errorf("%s: %T", name, key)
		}
	}
}

func TestSamePublicKey(t *testing.T) {
	t.Parallel()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := certtest.Keys["P-256"]().Public()
	for name, c := range map[string]struct {
		a, b crypto.PublicKey
		want bool
	}{
		"same":        {key, key, true},
		"other":       {key, other.Public(), false},
		"other kind":  {key, ed, false},
		"other curve": {key, certtest.Keys["P-384"]().Public(), false},
		"RSA":         {certtest.Keys["RSA"]().Public(), key, false},
		"no key":      {nil, key, false},
		"not a key":   {"key", key, false},
	} {
		if got := policy.SamePublicKey(c.a, c.b); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
