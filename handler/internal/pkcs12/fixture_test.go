package pkcs12

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pair is a key with its chain.
type pair struct {
	key   []byte   // PKCS #8
	chain [][]byte // DER, leaf first
}

// newPair makes an EC key with a chain of three.
func newPair(t testing.TB) pair {
	t.Helper()
	var p pair
	var issuer *x509.Certificate
	var issuerKey *ecdsa.PrivateKey
	for i, name := range []string{"Root", "Intermediate", "leaf.example.com"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 1), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			IsCA: i < 2, BasicConstraintsValid: true,
		}
		if issuer == nil {
			issuer, issuerKey = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, issuerKey)
		if err != nil {
			t.Fatal(err)
		}
		if issuer, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		issuerKey = key
		p.chain = slices.Insert(p.chain, 0, der)
	}
	var err error
	if p.key, err = x509.MarshalPKCS8PrivateKey(issuerKey); err != nil {
		t.Fatal(err)
	}
	return p
}

// files writes the pair where programs can read it.
func (p pair) files(t *testing.T) (key, chain string) {
	t.Helper()
	dir := t.TempDir()
	var certs []byte
	for _, der := range p.chain {
		certs = append(certs, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key, chain = filepath.Join(dir, "key.pem"), filepath.Join(dir, "chain.pem")
	for name, text := range map[string][]byte{key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p.key}), chain: certs} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key, chain
}

// openssl exports the pair.
func (p pair) openssl(t *testing.T, password string, args ...string) []byte {
	t.Helper()
	key, chain := p.files(t)
	return run(t, nil, "openssl", append([]string{"pkcs12", "-export", "-inkey", key, "-in", chain, "-passout", "pass:" + password}, args...)...)
}

// run runs a program and returns what it prints.
func run(t *testing.T, input []byte, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, stderr.String())
	}
	return out
}

// need passes over a test whose program is not installed, which in CI is a fault.
func need(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// check compares a file with what it was made of; certificates in any order.
func (p pair) check(t *testing.T, f *File, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Keys) != 1 || !bytes.Equal(f.Keys[0].PKCS8, p.key) {
		t.Errorf("%d keys, or another one", len(f.Keys))
	}
	p.checkCertificates(t, f)
	leaf := f.Certificates[slices.IndexFunc(f.Certificates, func(c Certificate) bool { return bytes.Equal(c.DER, p.chain[0]) })]
	if len(leaf.LocalKeyID) == 0 || len(f.Keys) == 1 && !bytes.Equal(leaf.LocalKeyID, f.Keys[0].LocalKeyID) {
		t.Errorf("the leaf has the local key id %x, the key another", leaf.LocalKeyID)
	}
}

func (p pair) checkCertificates(t *testing.T, f *File) {
	t.Helper()
	if len(f.Certificates) != len(p.chain) {
		t.Fatalf("%d certificates, want %d", len(f.Certificates), len(p.chain))
	}
	for _, der := range p.chain {
		if !slices.ContainsFunc(f.Certificates, func(c Certificate) bool { return bytes.Equal(c.DER, der) }) {
			t.Error("a certificate is missing")
		}
	}
}
