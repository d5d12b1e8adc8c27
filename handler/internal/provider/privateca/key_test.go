package privateca_test

// Keys in software.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

func TestSoftwareKey(t *testing.T) {
	t.Parallel()
	var stored, handed []byte
	k := privateca.SoftwareKey{
		Save: func(_ context.Context, der []byte) error { stored, handed = bytes.Clone(der), der; return nil },
		Load: func(context.Context) ([]byte, error) { handed = bytes.Clone(stored); return handed, nil },
	}
	for _, key := range []crypto.Signer{ecKey(t, elliptic.P384()), rsaKey()} {
		if err := k.Store(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(handed, make([]byte, len(stored))) {
			t.Error("the key was not cleared after it was saved")
		}
		opened, err := k.Signer(t.Context())
		if err != nil || !key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(opened) {
			t.Errorf("%T: %v", opened, err)
		}
		if !bytes.Equal(handed, make([]byte, len(stored))) {
			t.Error("the key was not cleared after it was loaded")
		}
	}
	c := newPair(t)
	if err := k.Store(t.Context(), c.key); err != nil {
		t.Fatal(err)
	}
	cfg := c.config()
	cfg.Key = k.Signer
	if out := run(t, issuer(t, cfg), webRequest(t)); out.Kind != provider.OutcomeIssued {
		t.Error(brief(out))
	}
}

func TestSoftwareKeyFailures(t *testing.T) {
	t.Parallel()
	away := errors.New("storage is away")
	k := privateca.SoftwareKey{
		Save: func(context.Context, []byte) error { return away },
		Load: func(context.Context) ([]byte, error) { return nil, away },
	}
	if err := k.Store(t.Context(), rsaKey()); !errors.Is(err, away) {
		t.Errorf("%v", err)
	}
	if _, err := k.Signer(t.Context()); !errors.Is(err, away) {
		t.Errorf("%v", err)
	}
	k.Load = func(context.Context) ([]byte, error) { return []byte("secret"), nil }
	if _, err := k.Signer(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

// Keys as OpenSSL writes them.
func TestParseKey(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"PKCS #8, RSA": "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
		"PKCS #8, EC":  "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
		"PKCS #1":      "genrsa -traditional 2048",
		"SEC 1":        "ecparam -name prime256v1 -genkey", // with a block of parameters
	} {
		text, err := exec.Command("openssl", strings.Fields(command)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		key, err := privateca.ParseKey(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := (privateca.Root{Subject: commonName("Root"), Years: 1}).Certify(key, start, rand.Reader); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// It is not parallel, for it sets the environment.
func TestParseKeyRefuses(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "rsa1024min=0") // such keys exist
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	run := func(command string) []byte {
		out, err := exec.Command("openssl", strings.Fields(command)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for want, text := range map[string][]byte{
		"there is no private key in PEM":                 []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		"the key cannot be read as PKCS #8":              pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
		"a key of the type ed25519.PrivateKey":           pkcs8(ed),
		"an RSA key of 1024 bits":                        pkcs8(short),
		"the key is encrypted":                           run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:secret"),
		"the RSA key cannot be read; if it is encrypted": run("genrsa -traditional -aes256 -passout pass:secret 2048"),
		"the EC key cannot be read; if it is encrypted":  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x")}),
	} {
		if _, err := privateca.ParseKey(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestNoSoftwareKey(t *testing.T) {
	t.Parallel()
	key := privateca.SoftwareKey{Load: func(context.Context) ([]byte, error) { return nil, nil }}
	if _, err := key.Signer(t.Context()); !errors.Is(err, privateca.ErrNoKey) {
		t.Errorf("%v", err)
	}
}
