package vault_test

// Backing keys: what they may do, and their signatures.

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestKeyOperations(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	rsaKey, ecKey := policy.KeyProperties{Type: policy.KeyRSA, Size: 2048}, ecP256
	sign := []string{"sign", "verify"}
	for _, c := range []struct {
		key   policy.KeyProperties
		usage x509.KeyUsage
		want  []string
	}{
		{rsaKey, 0, []string{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}},
		{rsaKey, x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, []string{"sign", "verify", "wrapKey", "unwrapKey"}},
		{rsaKey, x509.KeyUsageContentCommitment, sign},
		{rsaKey, x509.KeyUsageCertSign, sign},
		{rsaKey, x509.KeyUsageCRLSign, sign},
		{rsaKey, x509.KeyUsageDataEncipherment, []string{"encrypt", "decrypt"}},
		{rsaKey, x509.KeyUsageEncipherOnly, []string{"encrypt"}},
		{rsaKey, x509.KeyUsageDecipherOnly, []string{"decrypt"}},
		{rsaKey, x509.KeyUsageKeyAgreement, []string{}},
		{ecKey, 0, sign},
		{ecKey, x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment, sign},
		{ecKey, x509.KeyUsageKeyAgreement, []string{}},
	} {
		e := withUsage(t, c.key, c.usage, h.clock.Now())
		h.mustImport("web", vault.ImportParams{Value: e.pem(t, e.chain...)})
		k, err := h.Key(context.Background(), name(t, "web"), "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, k.Operations); diff != "" {
			t.Errorf("%s, usage %b: %s", c.key.Type, c.usage, diff)
		}
		if k.Type != c.key.Type || k.Curve != c.key.Curve || k.Version != h.mustCertificate("web").Version || !e.key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(k.Public) {
			t.Errorf("key %+v", k)
		}
	}
}

// withUsage is a certificate with a key usage, with none when it is zero.
func withUsage(t testing.TB, properties policy.KeyProperties, usage x509.KeyUsage, from time.Time) existing {
	t.Helper()
	key, err := pooledKey(properties)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(4), NotBefore: from, NotAfter: from.AddDate(0, 1, 0), KeyUsage: usage}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return existing{key, []*x509.Certificate{leaf}}
}

var jwaHashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// TestSign: what a key signs is what OpenSSL and Go verify, and Verify tells it
// from anything else.
func TestSign(t *testing.T) {
	t.Parallel()
	rsaKey := policy.KeyProperties{Type: policy.KeyRSA, Size: 2048}
	for algorithm, properties := range map[string]policy.KeyProperties{
		"RS256": rsaKey, "RS384": rsaKey, "RS512": rsaKey,
		"PS256": rsaKey, "PS384": rsaKey, "PS512": rsaKey,
		"ES256": ecP256,
		"ES384": {Type: policy.KeyEC, Curve: "P-384"},
		"ES512": {Type: policy.KeyEC, Curve: "P-521"},
	} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			ctx := context.Background()
			n := name(t, "web")
			e := withUsage(t, properties, 0, h.clock.Now())
			imported := h.mustImport("web", vault.ImportParams{
				Value:  e.pem(t, e.chain...),
				Policy: &policy.Params{Key: &policy.KeyParams{Exportable: new(false)}},
			})
			hash := jwaHashes[algorithm[2:]]
			digester := hash.New()
			digester.Write([]byte("message"))
			digest := digester.Sum(nil)
			for _, version := range []string{"", imported.Version} {
				k, signature, err := h.Sign(ctx, n, version, algorithm, digest)
				if err != nil {
					t.Fatal(err)
				}
				if k.Version != imported.Version {
					t.Errorf("signed by version %s, want %s", k.Version, imported.Version)
				}
				verifyWithOpenSSL(t, k.Public, algorithm, hash, digest, signature)
				if ok, err := h.Verify(ctx, n, version, algorithm, digest, signature); !ok || err != nil {
					t.Errorf("Verify = %v, %v", ok, err)
				}
				for what, change := range map[string]func(digest, signature []byte) ([]byte, []byte){
					"another digest":    func(d, s []byte) ([]byte, []byte) { d[0] ^= 1; return d, s },
					"another signature": func(d, s []byte) ([]byte, []byte) { s[9] ^= 1; return d, s },
					"a short signature": func(d, s []byte) ([]byte, []byte) { return d, s[1:] },
					"no signature":      func(d, s []byte) ([]byte, []byte) { return d, nil },
				} {
					d, s := change([]byte(string(digest)), []byte(string(signature)))
					if ok, err := h.Verify(ctx, n, version, algorithm, d, s); ok || err != nil {
						t.Errorf("Verify of %s = %v, %v", what, ok, err)
					}
				}
			}
		})
	}
}

// verifyWithOpenSSL verifies a signature in JWA's form.
func verifyWithOpenSSL(t testing.TB, pub crypto.PublicKey, algorithm string, hash crypto.Hash, digest, signature []byte) {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-pkeyopt", "digest:" + strings.ToLower(strings.ReplaceAll(hash.String(), "-", ""))}
	switch pub.(type) {
	case *ecdsa.PublicKey:
		r, s := new(big.Int).SetBytes(signature[:len(signature)/2]), new(big.Int).SetBytes(signature[len(signature)/2:])
		if signature, err = asn1.Marshal(struct{ R, S *big.Int }{r, s}); err != nil {
			t.Fatal(err)
		}
	case *rsa.PublicKey:
		if algorithm[0] == 'P' {
			args = append(args, "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest")
		}
	}
	dir := t.TempDir()
	write := func(file string, data []byte) string {
		file = filepath.Join(dir, file)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	key := write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	run(t, nil, "openssl", append([]string{"pkeyutl", "-verify", "-pubin", "-inkey", key, "-in", write("digest", digest), "-sigfile", write("signature", signature)}, args...)...)
}

func TestSignRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	now := h.clock.Now()
	rsaKey := policy.KeyProperties{Type: policy.KeyRSA, Size: 2048}
	put := func(n string, e existing) {
		t.Helper()
		h.mustImport(n, vault.ImportParams{Value: e.pem(t, e.chain...)})
	}
	put("rsa", withUsage(t, rsaKey, 0, now))
	put("ec", withUsage(t, ecP256, 0, now))
	put("wrapping", withUsage(t, rsaKey, x509.KeyUsageKeyEncipherment, now))
	put("disabled", withUsage(t, ecP256, 0, now))
	h.mustUpdate("disabled", "", vault.UpdateParams{Attributes: vault.AttributeParams{Enabled: new(false)}})
	put("early", withUsage(t, ecP256, 0, now.Add(time.Hour)))
	put("late", withUsage(t, ecP256, 0, now.AddDate(0, -1, 1)))
	h.clock.Advance(30 * time.Hour)
	put("early", withUsage(t, ecP256, 0, h.clock.Now().Add(time.Hour)))
	digest := make([]byte, 32)
	for _, c := range []struct {
		name, algorithm string
		digest          []byte
		sign, verify    vault.Reason
		detail          string
	}{
		{"none", "RS256", digest, vault.KeyNotFound, vault.KeyNotFound, ""},
		{"disabled", "ES256", digest, vault.KeyDisabled, vault.KeyDisabled, "sign"},
		{"wrapping", "RS256", digest, vault.KeyOperationForbidden, vault.KeyOperationForbidden, "sign"},
		{"early", "ES256", digest, vault.KeyNotYetValid, 0, "sign"},
		{"late", "ES256", digest, vault.KeyExpired, 0, "sign"},
		{"rsa", "ES256", digest, vault.BadParameter, vault.BadParameter, `"ES256": must be an algorithm for a key of type RSA`},
		{"ec", "RS256", digest, vault.BadParameter, vault.BadParameter, `"RS256": must be an algorithm for a key of type EC P-256`},
		{"ec", "ES384", digest, vault.BadParameter, vault.BadParameter, `"ES384": must be an algorithm for a key of type EC P-256`},
		{"ec", "RSNULL", digest, vault.BadParameter, vault.BadParameter, `"RSNULL": must be an algorithm for a key of type EC P-256`},
		{"rsa", "RS1", digest, vault.BadParameter, vault.BadParameter, `"RS1": must be one of ES256, ES384, ES512, PS256, PS384, PS512, RS256, RS384, RS512, RSNULL`},
		{"rsa", "", digest, vault.BadParameter, vault.BadParameter, `"": must be one of ES256, ES384, ES512, PS256, PS384, PS512, RS256, RS384, RS512, RSNULL`},
		{"rsa", "RS256", digest[1:], vault.BadParameter, vault.BadParameter, "Invalid length of 'value': 31 bytes. RS256 requires 32 bytes, encoded with base64url."},
		{"ec", "ES256", nil, vault.BadParameter, vault.BadParameter, "Invalid length of 'value': 0 bytes. ES256 requires 32 bytes, encoded with base64url."},
	} {
		_, _, err := h.Sign(ctx, name(t, c.name), "", c.algorithm, c.digest)
		if reason(t, err) != c.sign || detail(err) != c.detail {
			t.Errorf("Sign with %s of %s: %v", c.algorithm, c.name, err)
		}
		_, err = h.Verify(ctx, name(t, c.name), "", c.algorithm, c.digest, make([]byte, 64))
		if reason(t, err) != c.verify {
			t.Errorf("Verify with %s of %s: %v", c.algorithm, c.name, err)
		}
	}
}
