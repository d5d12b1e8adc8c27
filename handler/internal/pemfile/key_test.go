package pemfile

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/pbe"
)

// openssl runs OpenSSL over PEM.
func openssl(t *testing.T, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Stdin = strings.NewReader(input)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

func newKey(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, pkcs8PEM(t, key)
}

func pkcs8PEM(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", string(der))
}

// readKey reads the one key of a text.
func readKey(t *testing.T, text, password string) (crypto.PrivateKey, error) {
	t.Helper()
	blocks, err := Blocks([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		if b.IsKey() {
			return b.Key(t.Context(), pbe.NewWork(pbe.MaxHashes), password)
		}
	}
	t.Fatal("no key")
	return nil, nil
}

// TestKeyEncrypted reads what OpenSSL writes, and tells a wrong password from a
// missing one.
func TestKeyEncrypted(t *testing.T) {
	t.Parallel()
	key, plain := newKey(t)
	toPKCS8 := func(args ...string) []string {
		return append([]string{"pkcs8", "-topk8", "-provider", "legacy", "-provider", "default"}, args...)
	}
	cases := map[string][]string{
		"defaults":      {"pkcs8", "-topk8"},
		"iterations":    toPKCS8("-iter", "100000"),
		"scrypt":        toPKCS8("-scrypt"),
		"scrypt, small": toPKCS8("-scrypt", "-scrypt_N", "1024", "-scrypt_r", "4", "-scrypt_p", "3"),
	}
	for _, cipher := range []string{"aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des3", "des"} {
		cases[cipher] = toPKCS8("-v2", cipher)
	}
	for _, prf := range []string{"hmacWithSHA1", "hmacWithSHA224", "hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"} {
		cases[prf] = toPKCS8("-v2prf", prf)
	}
	for _, scheme := range []string{
		"PBE-MD5-DES", "PBE-SHA1-DES", "PBE-MD5-RC2-64", "PBE-SHA1-RC2-64",
		"PBE-SHA1-RC4-128", "PBE-SHA1-RC4-40", "PBE-SHA1-3DES", "PBE-SHA1-2DES", "PBE-SHA1-RC2-128", "PBE-SHA1-RC2-40",
	} {
		cases[scheme] = toPKCS8("-v1", scheme)
	}
	for _, cipher := range []string{"-des", "-des3", "-aes128", "-aes192", "-aes256"} {
		cases["traditional "+cipher] = []string{"ec", "-provider", "legacy", "-provider", "default", cipher}
	}
	const password = "grüße 😀"
	for name, args := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := openssl(t, plain, append(args, "-passout", "pass:"+password)...)
			if got, err := readKey(t, text, password); err != nil || !key.Equal(got) {
				t.Errorf("%v", err)
			}
			if _, err := readKey(t, text, "wrong"); !errors.Is(err, pbe.ErrWrongPassword) {
				t.Errorf("under a wrong password: %v", err)
			}
			if _, err := readKey(t, text, ""); !errors.Is(err, pbe.ErrMissingPassword) {
				t.Errorf("without a password: %v", err)
			}
			blocks, err := Blocks([]byte(text))
			if err != nil || !blocks[0].IsEncrypted() {
				t.Errorf("it is not seen to be encrypted: %v", err)
			}
		})
	}
}

// TestKeyPlain reads the forms without a password, and passes over one that was
// given.
func TestKeyPlain(t *testing.T) {
	t.Parallel()
	ecKey, ecText := newKey(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  interface{ Equal(crypto.PrivateKey) bool }
		text string
	}{
		"PKCS #8, EC":  {ecKey, ecText},
		"PKCS #8, RSA": {rsaKey, pkcs8PEM(t, rsaKey)},
		"PKCS #1":      {rsaKey, openssl(t, pkcs8PEM(t, rsaKey), "rsa", "-traditional")},
		"SEC 1":        {ecKey, openssl(t, ecText, "ec")},
		"parameters":   {ecKey, openssl(t, "", "ecparam", "-name", "prime256v1") + openssl(t, ecText, "ec")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := readKey(t, c.text, "passed over"); err != nil || !c.key.Equal(got) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestKeyRefuses: what cannot be read says why, and in which block.
func TestKeyRefuses(t *testing.T) {
	t.Parallel()
	_, plain := newKey(t)
	camellia := openssl(t, plain, "pkcs8", "-topk8", "-v2", "camellia-256-cbc", "-passout", "pass:pw")
	traditional := openssl(t, plain, "ec", "-aes128", "-passout", "pass:pw")
	large := new(big.Int).Lsh(big.NewInt(1), 1<<20)
	huge, err := asn1.Marshal(struct {
		Version               int
		N                     *big.Int
		E                     int
		D, P, Q, Dp, Dq, Qinv *big.Int
	}{0, large, 65537, large, large, large, large, large, large})
	if err != nil {
		t.Fatal(err)
	}
	costly, rest := pem.Decode([]byte(openssl(t, plain, "pkcs8", "-topk8", "-iter", "1000001", "-passout", "pass:pw")))
	if costly == nil || len(rest) > 0 {
		t.Fatal("no block")
	}
	var unsupported *pbe.UnsupportedError
	var malformed *pbe.MalformedError
	var size *bounded.SizeError
	for name, c := range map[string]struct {
		text string
		is   func(error) bool
	}{
		"an unknown cipher": {camellia, func(err error) bool {
			return errors.As(err, &unsupported) && unsupported.Name == "1.2.392.200011.61.1.1.1.4"
		}},
		"an unknown old cipher": {strings.Replace(traditional, "AES-128-CBC", "CAMELLIA-128-CBC", 1), func(err error) bool { return errors.As(err, &unsupported) && unsupported.Name == `"CAMELLIA-128-CBC"` }},
		"no vector":             {strings.Replace(traditional, "AES-128-CBC,", "AES-128-CBC,zz", 1), func(err error) bool { return errors.As(err, &malformed) }},
		"too many iterations":   {string(pem.EncodeToMemory(costly)), func(err error) bool { return errors.Is(err, pbe.ErrTooCostly) }},
		"scrypt, too much work": {openssl(t, plain, "pkcs8", "-topk8", "-scrypt", "-scrypt_N", "16384", "-scrypt_r", "8", "-scrypt_p", "30", "-passout", "pass:pw"), func(err error) bool { return errors.Is(err, pbe.ErrTooCostly) }},
		"text":                  {block("ENCRYPTED PRIVATE KEY", "text"), func(err error) bool { return errors.As(err, &malformed) }},
		"a huge key":            {block("RSA PRIVATE KEY", string(huge)), func(err error) bool { return errors.As(err, &size) }},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readKey(t, c.text, "pw")
			var at *BlockError
			if !c.is(err) || !errors.As(err, &at) || at.Number != 1 {
				t.Errorf("%v", err)
			}
		})
	}
	blocks, err := Blocks([]byte(openssl(t, plain, "pkcs8", "-topk8", "-passout", "pass:pw")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := blocks[0].Key(ctx, pbe.NewWork(pbe.MaxHashes), "pw"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	work := pbe.NewWork(8000)
	for _, want := range []error{nil, pbe.ErrTooCostly} { // 2048 iterations of two hashes are 4096
		if _, err := blocks[0].Key(t.Context(), work, "pw"); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}
