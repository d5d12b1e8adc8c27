package settings_test

// Private CAs in the settings.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestPrivateCAFromSettings: a chain and a key in files are a CA.
func TestPrivateCAFromSettings(t *testing.T) {
	t.Parallel()
	ca, keyFile := settingstest.Root(t)
	setting, err := json.Marshal(map[string]any{"Corp": map[string]any{"privateca": map[string]any{
		"chain": settingstest.Certificates(t, ca.Raw), "keyFile": keyFile, "names": map[string]any{"dns": []string{"corp.test"}},
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
		_, err = v.Create(ctx, n, vault.CreateParams{Policy: &policy.Params{
			X509:   &policy.X509Params{Subject: &subject, SANs: &policy.SANs{DNSNames: []string{host}}},
			Issuer: &policy.IssuerParams{Name: &issuerName},
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

// A poll may sign with a key that is opened without the network: one in a file,
// or a sealed one where the key-encryption key is in a file.
func TestInstantCAs(t *testing.T) {
	t.Parallel()
	root, keyFile := settingstest.Root(t)
	chain := settingstest.Certificates(t, root.Raw)
	open := func(localKEK bool, members map[string]any) (provider.Provider, error) {
		text, err := json.Marshal(map[string]any{"privateca": members})
		if err != nil {
			t.Fatal(err)
		}
		return openProvider(t, settings.Backend{LocalKEK: localKEK}, string(text))
	}
	for name, test := range map[string]struct {
		members  map[string]any
		localKEK bool
		instant  bool
	}{
		"file":                      {map[string]any{"chain": chain, "keyFile": keyFile}, false, true},
		"sealed by a file":          {map[string]any{"chain": chain, "sealed": true}, true, true},
		"sealed by a key elsewhere": {map[string]any{"chain": chain, "sealed": true}, false, false},
	} {
		issuer, err := open(test.localKEK, test.members)
		if err != nil {
			t.Fatal(err)
		}
		if instant := issuer.(provider.Instant).Instant(); instant != test.instant {
			t.Errorf("%s: instant %t", name, instant)
		}
	}
	for _, members := range []map[string]any{
		{"chain": chain},
		{"chain": chain, "keyFile": keyFile, "sealed": true},
		{"chain": chain, "keyId": "https://kv.example.com/keys/ca/0123456789abcdef0123456789abcdef", "sealed": true},
	} {
		if _, err := open(false, members); err == nil || !strings.Contains(err.Error(), "set one of keyId, sealed, and keyFile") {
			t.Errorf("%+v: %v", members, err)
		}
	}
	if _, err := open(false, map[string]any{"chain": chain, "keyFile": chain}); err == nil {
		t.Error("a key file without a key is accepted")
	}
	_, another := settingstest.Root(t)
	if _, err := open(false, map[string]any{"chain": chain, "keyFile": another}); err == nil || !strings.Contains(err.Error(), "the key does not belong to") {
		t.Errorf("another CA's key: %v", err)
	}
}

// A key in Key Vault is made there.
func TestKeyInVaultIsNotBrought(t *testing.T) {
	t.Parallel()
	id := fmt.Sprintf("https://kv.example.com/keys/ca/%032x", 1)
	place, err := (&settings.PrivateCA{KeyID: id}).KeyPlace(settings.Backend{Credential: scopeToken{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := place.Store(t.Context(), nil); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("%v", err)
	}
}
