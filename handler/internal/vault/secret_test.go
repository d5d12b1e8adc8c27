package vault_test

// Backing secrets, as OpenSSL and Java read them.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

func (h *harness) mustSecret(n, version string) vault.Secret {
	h.t.Helper()
	s, err := h.Secret(context.Background(), name(h.t, n), version, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// run runs a program on input and returns what it prints.
func run(t testing.TB, input []byte, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, stderr.Bytes())
	}
	return string(out)
}

// parsePEM reads a private key, if there is one, and certificates.
func parsePEM(t testing.TB, data string) existing {
	t.Helper()
	var e existing
	for block, rest := pem.Decode([]byte(data)); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			e.chain = append(e.chain, c)
			continue
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		e.key = key.(crypto.Signer)
	}
	return e
}

// check compares what a reader found in a secret with what is in it.
func (e existing) check(t testing.TB, reader string, got existing) {
	t.Helper()
	if e.key == nil != (got.key == nil) || e.key != nil && !e.key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(got.key) {
		t.Errorf("%s: has the key: %v", reader, got.key != nil)
	}
	if len(got.chain) != len(e.chain) {
		t.Fatalf("%s: %d certificates, want %d", reader, len(got.chain), len(e.chain))
	}
	for i, c := range got.chain {
		if !c.Equal(e.chain[i]) {
			t.Errorf("%s: certificate %d is %s, want %s", reader, i, c.Subject, e.chain[i].Subject)
		}
	}
}

func TestSecretPKCS12(t *testing.T) {
	t.Parallel()
	for what, properties := range map[string]policy.KeyProperties{"RSA": {Type: policy.KeyRSA, Size: 2048}, "EC": ecP256} {
		h := newHarness(t, nil)
		e := newExisting(t, properties, h.clock.Now())
		imported := h.mustImport("web", vault.ImportParams{Value: e.pem(t, e.chain[1], e.chain[0]), Policy: &policy.Params{ContentType: new(policy.ContentPKCS12)}})
		for _, version := range []string{"", imported.Version} {
			s := h.mustSecret("web", version)
			if s.Version != imported.Version || s.ContentType != policy.ContentPKCS12 || s.Name != "web" {
				t.Errorf("%s: secret of %+v", what, s.Certificate)
			}
			key, leaf, rest, err := pkcs12.DecodeChain(s.Value, "")
			if err != nil {
				t.Fatal(err)
			}
			rootFirst := existing{e.key, []*x509.Certificate{e.chain[1], e.chain[0]}}
			rootFirst.check(t, what+" by Go", existing{key.(crypto.Signer), append([]*x509.Certificate{leaf}, rest...)})
			rootFirst.check(t, what+" by OpenSSL", parsePEM(t, run(t, s.Value, "openssl", "pkcs12", "-nodes", "-passin", "pass:")))
			// It can be imported as it is.
			again := h.mustImport("again", vault.ImportParams{Value: base64.StdEncoding.EncodeToString(s.Value)})
			if !bytes.Equal(again.Thumbprint, s.Thumbprint) || !bytes.Equal(h.mustSecret("again", "").Value, s.Value) {
				t.Errorf("%s: what was imported from the secret is another certificate", what)
			}
		}
	}
}

// TestSecretJava: Java's key store finds one entry with the key and its chain.
func TestSecretJava(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("javac"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no Java compiler")
		}
		t.Skip("no Java compiler, which nothing else here needs")
	}
	const program = `
import java.security.KeyStore;
import java.util.Collections;

class Read {
	public static void main(String[] args) throws Exception {
		KeyStore store = KeyStore.getInstance("PKCS12");
		store.load(System.in, new char[0]);
		for (String alias : Collections.list(store.aliases()))
			System.out.println(store.getKey(alias, new char[0]).getAlgorithm() + " " + store.getCertificateChain(alias).length);
	}
}`
	h := newHarness(t, nil)
	e := newExisting(t, ecP256, h.clock.Now())
	h.mustImport("web", vault.ImportParams{Value: e.pfx(t)})
	source := filepath.Join(t.TempDir(), "Read.java")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, h.mustSecret("web", "").Value, "java", source); got != "EC 2\n" {
		t.Errorf("Java reads %q", got)
	}
}

// TestSecretIsStable: programs learn that a certificate is a new one by comparing
// its secret with the one that they have.
func TestSecretIsStable(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	e := newExisting(t, ecP256, h.clock.Now())
	for _, exportable := range []bool{true, false} {
		policy := &policy.Params{ContentType: new(policy.ContentPKCS12), Key: &policy.KeyParams{Exportable: &exportable}}
		h.mustImport("web", vault.ImportParams{Value: e.pfx(t), Policy: policy})
		if !bytes.Equal(h.mustSecret("web", "").Value, h.mustSecret("web", "").Value) {
			t.Errorf("exportable %t: the secret differs when it is read again", exportable)
		}
	}
}

// TestSecretKeepsOrder: with preserveCertOrder PKCS #12 has the order of PEM.
func TestSecretKeepsOrder(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	e := newExisting(t, ecP256, h.clock.Now())
	h.mustImport("web", vault.ImportParams{Value: e.pfx(t), PreserveOrder: new(true)})
	e.check(t, "OpenSSL", parsePEM(t, run(t, h.mustSecret("web", "").Value, "openssl", "pkcs12", "-nodes", "-passin", "pass:")))
}

func TestSecretPEM(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	e := newExisting(t, ecP256, h.clock.Now())
	h.mustImport("web", vault.ImportParams{Value: e.pfx(t), Policy: &policy.Params{ContentType: new(policy.ContentPEM)}})
	s := h.mustSecret("web", "")
	if s.ContentType != policy.ContentPEM || !bytes.HasPrefix(s.Value, []byte("-----BEGIN PRIVATE KEY-----\n")) {
		t.Errorf("secret %s: %.40q", s.ContentType, s.Value)
	}
	e.check(t, "PEM", parsePEM(t, string(s.Value)))
	// It can be imported as it is.
	again := h.mustImport("again", vault.ImportParams{Value: string(s.Value)})
	if !bytes.Equal(again.Thumbprint, s.Thumbprint) {
		t.Error("what was imported from the secret is another certificate")
	}
}

// TestSecretNotExportable: the private key does not leave the vault.
func TestSecretNotExportable(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	e := newExisting(t, ecP256, h.clock.Now())
	public := existing{nil, e.chain}
	for _, contentType := range []string{policy.ContentPKCS12, policy.ContentPEM} {
		h.mustImport("web", vault.ImportParams{Value: e.pfx(t), Policy: &policy.Params{ContentType: &contentType, Key: &policy.KeyParams{Exportable: new(false)}}})
		s := h.mustSecret("web", "")
		text := string(s.Value)
		if contentType == policy.ContentPKCS12 {
			text = run(t, s.Value, "openssl", "pkcs12", "-nodes", "-passin", "pass:")
		}
		if strings.Contains(text, "PRIVATE KEY") {
			t.Fatalf("%s: the private key is there", contentType)
		}
		want := public
		if contentType == policy.ContentPKCS12 {
			want.chain = []*x509.Certificate{e.chain[1], e.chain[0]} // root first, as Key Vault has it
		}
		want.check(t, contentType, parsePEM(t, text))
	}
}

func TestSecretRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	first := h.mustSelf("web")
	h.mustSelf("web")
	h.mustUpdate("web", "", vault.UpdateParams{Attributes: vault.AttributeParams{Enabled: new(false)}})
	h.mustCreate("shell", "Unknown")
	shell := h.mustCertificate("shell")
	h.mustSelf("gone")
	if _, err := h.Delete(ctx, name(t, "gone")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, name, version string
		secret, key         vault.Reason
	}{
		{"no such name", "none", "", vault.SecretNotFound, vault.KeyNotFound},
		{"no such version", "web", shell.Version, vault.SecretNotFound, vault.KeyNotFound},
		{"never completed", "shell", "", vault.SecretNotFound, vault.KeyNotFound},
		{"never completed, by its version", "shell", shell.Version, vault.SecretNotFound, vault.KeyNotFound},
		{"deleted", "gone", "", vault.SecretNotFound, vault.KeyNotFound},
		{"disabled", "web", "", vault.SecretDisabled, vault.KeyDisabled},
		{"an older version that is enabled", "web", first.Version, 0, 0},
	} {
		if _, err := h.Secret(ctx, name(t, c.name), c.version, nil); reason(t, err) != c.secret {
			t.Errorf("%s: secret: %v", c.what, err)
		}
		_, err := h.Key(ctx, name(t, c.name), c.version)
		if reason(t, err) != c.key {
			t.Errorf("%s: key: %v", c.what, err)
		}
		if c.key == vault.KeyDisabled && err.(*vault.Error).Detail != "get" {
			t.Errorf("%s: the operation is %q", c.what, err.(*vault.Error).Detail)
		}
	}
}

// TestSecretOfExpired: what has expired can still be retrieved.
func TestSecretOfExpired(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustSelf("web")
	h.clock.Advance(500 * 24 * time.Hour)
	h.mustSecret("web", "")
}

// TestSecretAs: a caller may ask for the other form.
func TestSecretAs(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	e := newExisting(t, ecP256, h.clock.Now())
	h.mustImport("web", vault.ImportParams{Value: e.pfx(t)})
	s, err := h.Secret(ctx, name(t, "web"), "", new("APPLICATION/x-pem-file"))
	if err != nil || s.ContentType != policy.ContentPEM {
		t.Fatalf("secret as PEM: %s, %v", s.ContentType, err)
	}
	e.check(t, "PEM", parsePEM(t, string(s.Value)))
	if s := h.mustSecret("web", ""); s.ContentType != policy.ContentPKCS12 {
		t.Errorf("the secret has become %s", s.ContentType)
	}
	for _, as := range []string{"", "text/plain"} {
		if _, err := h.Secret(ctx, name(t, "web"), "", &as); reason(t, err) != vault.BadParameter {
			t.Errorf("secret as %q: %v, want BadParameter", as, err)
		}
	}
}

// TestPrevious: each version names the one that it took the place of.
func TestPrevious(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	first := h.mustSelf("web")
	second := h.mustSelf("web")
	third := h.mustImport("web", vault.ImportParams{Value: newExisting(t, ecP256, h.clock.Now()).pfx(t)})
	if first.Previous != "" || second.Previous != first.Version || third.Previous != second.Version {
		t.Errorf("versions %q, %q, %q come after %q, %q, %q", first.Version, second.Version, third.Version, first.Previous, second.Previous, third.Previous)
	}
}
