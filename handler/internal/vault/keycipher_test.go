package vault_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

var rsa2048 = policy.KeyProperties{Type: policy.KeyRSA, Size: 2048}

// opensslPadding are OpenSSL's options for an algorithm.
var opensslPadding = map[string][]string{
	"RSA1_5":       {"-pkeyopt", "rsa_padding_mode:pkcs1"},
	"RSA-OAEP":     {"-pkeyopt", "rsa_padding_mode:oaep"},
	"RSA-OAEP-256": {"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"},
}

// opensslCipher encrypts with a public key, or decrypts with a private one.
func opensslCipher(t testing.TB, key crypto.PrivateKey, algorithm, operation string, in []byte) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, input, output := filepath.Join(dir, "key.pem"), filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for name, data := range map[string][]byte{file: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), input: in} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, nil, "openssl", append([]string{"pkeyutl", operation, "-inkey", file, "-in", input, "-out", output}, opensslPadding[algorithm]...)...)
	out, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCiphers: what a key encrypts OpenSSL decrypts, and the other way round, from
// one byte to the most that fits; exportable or not.
func TestCiphers(t *testing.T) {
	t.Parallel()
	for algorithm, most := range map[string]int{"RSA1_5": 245, "RSA-OAEP": 214, "RSA-OAEP-256": 190} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil)
			ctx, n := t.Context(), name(t, "web")
			e := withUsage(t, rsa2048, 0, h.clock.Now())
			imported := h.mustImport("web", vault.ImportParams{
				Value:  e.pem(t, e.chain...),
				Policy: &policy.Params{Key: &policy.KeyParams{Exportable: new(false)}},
			})
			for _, size := range []int{1, 32, most} {
				plain := bytes.Repeat([]byte{7}, size)
				for _, operation := range [][2]policy.KeyOperation{{policy.KeyEncrypt, policy.KeyDecrypt}, {policy.KeyWrapKey, policy.KeyUnwrapKey}} {
					k, cipher, err := h.Encrypt(ctx, n, "", operation[0], algorithm, plain)
					if err != nil {
						t.Fatal(err)
					}
					if got := opensslCipher(t, e.key, algorithm, "-decrypt", cipher); k.Version != imported.Version || !bytes.Equal(got, plain) {
						t.Errorf("%s of %d bytes by version %s: OpenSSL reads %x", operation[0], size, k.Version, got)
					}
					k, got, err := h.Decrypt(ctx, n, imported.Version, operation[1], algorithm, opensslCipher(t, e.key, algorithm, "-encrypt", plain))
					if err != nil || k.Version != imported.Version || !bytes.Equal(got, plain) {
						t.Errorf("%s of %d bytes from OpenSSL by version %s: %x, %v", operation[1], size, k.Version, got, err)
					}
				}
			}
			for _, size := range []int{0, most + 1} {
				if _, _, err := h.Encrypt(ctx, n, "", policy.KeyEncrypt, algorithm, make([]byte, size)); reason(t, err) != vault.BadParameter {
					t.Errorf("encrypting %d bytes: %v", size, err)
				}
			}
		})
	}
}

// TestDecryptSaysNothing: whatever is wrong with a cipher text, the answer is the
// same, and the private key was used.
func TestDecryptSaysNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := t.Context(), name(t, "web")
	e := withUsage(t, rsa2048, 0, h.clock.Now())
	h.mustImport("web", vault.ImportParams{Value: e.pem(t, e.chain...)})
	pub := e.key.Public().(*rsa.PublicKey)
	// raw is the cipher text of a block whose padding may be wrong.
	raw := func(block ...byte) []byte {
		padded := append(block, bytes.Repeat([]byte{1}, pub.Size()-len(block))...)
		return new(big.Int).Exp(new(big.Int).SetBytes(padded), big.NewInt(int64(pub.E)), pub.N).FillBytes(make([]byte, pub.Size()))
	}
	const want = "The value cannot be decrypted with this key and algorithm."
	for algorithm := range opensslPadding {
		_, good, err := h.Encrypt(ctx, n, "", policy.KeyEncrypt, algorithm, []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Clone(good)
		changed[100] ^= 1
		for what, cipher := range map[string][]byte{
			"nothing":                   nil,
			"a byte":                    {1},
			"one byte less":             good[1:],
			"one byte more":             append([]byte{0}, good...),
			"far too much":              make([]byte, 100_000),
			"zero":                      make([]byte, pub.Size()),
			"more than the modulus":     bytes.Repeat([]byte{0xff}, pub.Size()),
			"another text":              changed,
			"no leading zero":           raw(1, 2),
			"another block type":        raw(0, 1),
			"a padding that never ends": raw(0, 2),
			"a padding that is short":   raw(0, 2, 1, 1, 1, 0),
		} {
			for _, operation := range []policy.KeyOperation{policy.KeyDecrypt, policy.KeyUnwrapKey} {
				_, plain, err := h.Decrypt(ctx, n, "", operation, algorithm, cipher)
				if reason(t, err) != vault.BadParameter || detail(err) != want || plain != nil {
					t.Errorf("%s with %s of %s: %q, %v", operation, algorithm, what, plain, err)
				}
			}
		}
	}
}

func TestCiphersRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	put := func(n string, e existing) {
		t.Helper()
		h.mustImport(n, vault.ImportParams{Value: e.pem(t, e.chain...)})
	}
	now := h.clock.Now()
	put("all", withUsage(t, rsa2048, 0, now))
	put("wrapping", withUsage(t, rsa2048, x509.KeyUsageKeyEncipherment, now))
	put("enciphering", withUsage(t, rsa2048, x509.KeyUsageDataEncipherment, now))
	put("ec", withUsage(t, ecP256, 0, now))
	put("disabled", withUsage(t, rsa2048, 0, now))
	h.mustUpdate("disabled", "", vault.UpdateParams{Attributes: vault.AttributeParams{Enabled: new(false)}})
	put("late", withUsage(t, rsa2048, 0, now.AddDate(0, -1, 1)))
	h.clock.Advance(30 * time.Hour)
	put("early", withUsage(t, rsa2048, 0, h.clock.Now().Add(time.Hour)))
	for _, c := range []struct {
		name, algorithm string
		encrypt, wrap   vault.Reason
		decrypt, unwrap vault.Reason
	}{
		{"none", "RSA-OAEP", vault.KeyNotFound, vault.KeyNotFound, vault.KeyNotFound, vault.KeyNotFound},
		{"all", "RSA-OAEP", 0, 0, 0, 0},
		{"all", "rsa-oaep", vault.BadParameter, vault.BadParameter, vault.BadParameter, vault.BadParameter},
		{"all", "A128CBC", vault.BadParameter, vault.BadParameter, vault.BadParameter, vault.BadParameter},
		{"wrapping", "RSA-OAEP", vault.KeyOperationForbidden, 0, vault.KeyOperationForbidden, 0},
		{"enciphering", "RSA-OAEP", 0, vault.KeyOperationForbidden, 0, vault.KeyOperationForbidden},
		{"ec", "RSA-OAEP", vault.KeyOperationForbidden, vault.KeyOperationForbidden, vault.KeyOperationForbidden, vault.KeyOperationForbidden},
		{"disabled", "RSA-OAEP", vault.KeyDisabled, vault.KeyDisabled, vault.KeyDisabled, vault.KeyDisabled},
		{"early", "RSA-OAEP", vault.KeyNotYetValid, vault.KeyNotYetValid, 0, 0},
		{"late", "RSA-OAEP", vault.KeyExpired, vault.KeyExpired, 0, 0},
	} {
		n := name(t, c.name)
		cipher := make([]byte, 256) // refused as undecipherable where it is tried
		if k, err := h.Key(ctx, n, ""); err == nil && k.Type == policy.KeyRSA {
			var err error
			if cipher, err = rsa.EncryptOAEP(crypto.SHA1.New(), rand.Reader, k.Public.(*rsa.PublicKey), []byte("secret"), nil); err != nil {
				t.Fatal(err)
			}
		}
		for operation, want := range map[policy.KeyOperation]vault.Reason{policy.KeyEncrypt: c.encrypt, policy.KeyWrapKey: c.wrap} {
			if _, _, err := h.Encrypt(ctx, n, "", operation, c.algorithm, []byte("secret")); reason(t, err) != want {
				t.Errorf("%s with %s of %s: %v", operation, c.algorithm, c.name, err)
			}
		}
		for operation, want := range map[policy.KeyOperation]vault.Reason{policy.KeyDecrypt: c.decrypt, policy.KeyUnwrapKey: c.unwrap} {
			if _, _, err := h.Decrypt(ctx, n, "", operation, c.algorithm, cipher); reason(t, err) != want {
				t.Errorf("%s with %s of %s: %v", operation, c.algorithm, c.name, err)
			}
		}
	}
}

// TestSignNull: RSNULL pads what it gets, which need not be a digest.
func TestSignNull(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := t.Context(), name(t, "web")
	e := withUsage(t, rsa2048, 0, h.clock.Now())
	h.mustImport("web", vault.ImportParams{Value: e.pem(t, e.chain...)})
	for _, size := range []int{1, 20, 36, 245} {
		value := bytes.Repeat([]byte{9}, size)
		_, signature, err := h.Sign(ctx, n, "", "RSNULL", value)
		if err != nil {
			t.Fatal(err)
		}
		// RFC 8017 section 9.2: 00 01 FF ... FF 00, and then what was signed.
		pub := e.key.Public().(*rsa.PublicKey)
		block := new(big.Int).Exp(new(big.Int).SetBytes(signature), big.NewInt(int64(pub.E)), pub.N).FillBytes(make([]byte, pub.Size()))
		want := append(append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, pub.Size()-3-size)...), append([]byte{0}, value...)...)
		if !bytes.Equal(block, want) {
			t.Errorf("%d bytes are signed as %x", size, block)
		}
		if ok, err := h.Verify(ctx, n, "", "RSNULL", value, signature); !ok || err != nil {
			t.Errorf("Verify of %d bytes = %v, %v", size, ok, err)
		}
		value[0] ^= 1
		if ok, err := h.Verify(ctx, n, "", "RSNULL", value, signature); ok || err != nil {
			t.Errorf("Verify of other %d bytes = %v, %v", size, ok, err)
		}
	}
	for _, size := range []int{0, 246} {
		if _, _, err := h.Sign(ctx, n, "", "RSNULL", make([]byte, size)); reason(t, err) != vault.BadParameter {
			t.Errorf("RSNULL of %d bytes: %v", size, err)
		}
	}
}
