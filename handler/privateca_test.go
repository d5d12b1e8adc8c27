package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/issuers/privateca"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestPrivateCAFromSettings: a chain and a key in files are a CA.
func TestPrivateCAFromSettings(t *testing.T) {
	t.Parallel()
	ca, keyFile := newRoot(t)
	setting, err := json.Marshal(map[string]any{"Corp": map[string]any{"privateca": map[string]any{
		"chain": writePEM(t, ca.Raw), "keyFile": keyFile, "names": map[string]any{"dns": []string{"corp.test"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	v, _ := openVault(t, map[string]string{"CERTWRIGHT_PROVIDERS": string(setting)})
	ctx, provider, issuerName := context.Background(), "corp", "corp"
	issuer, err := vault.ParseIssuerName(issuerName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.SetIssuer(ctx, issuer, vault.IssuerSet{Provider: &provider}); err != nil {
		t.Fatal(err)
	}
	create := func(name, host string) (vault.Name, error) {
		n, err := vault.ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		subject := "CN=" + host
		_, err = v.Create(ctx, n, vault.CreateParams{Policy: &vault.PolicyParams{
			X509:   &vault.X509Params{Subject: &subject, SANs: &vault.SANs{DNSNames: []string{host}}},
			Issuer: &vault.IssuerParams{Name: &issuerName},
		}})
		return n, err
	}
	if _, err := create("outside", "www.example.com"); err == nil {
		t.Error("a name that the CA does not certify was accepted")
	}
	n, err := create("inside", "www.corp.test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Advance(ctx); err != nil {
		t.Fatal(err)
	}
	c, err := v.Certificate(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Leaf)
	if err != nil {
		t.Fatalf("after a tick the certificate is %+v: %v", c, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "www.corp.test"}); err != nil {
		t.Error(err)
	}
}

// newRoot makes a CA with its key in a file.
func newRoot(t *testing.T) (root *x509.Certificate, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root, err = privateca.Root{Subject: pkix.Name{CommonName: "Private CA"}, Years: 5}.Certify(key, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile = filepath.Join(t.TempDir(), "ca.key")
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return root, keyFile
}
