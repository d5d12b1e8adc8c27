package settings_test

// step-ca in the settings.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/scripts/localcloud/stepca"
)

// TestStepCAFromSettings: what CERTWRIGHT_PROVIDERS says is enough to obtain a
// certificate from a step-ca as it comes, which signs for a day at most.
func TestStepCAFromSettings(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	ca, err := stepca.Start(ctx, stepca.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer ca.Stop()
	setting, err := json.Marshal(map[string]any{"Internal": map[string]any{"stepca": map[string]any{
		"url": ca.URL(), "roots": settingstest.Certificates(t, ca.Root().Raw), "maxValidityHours": 24,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	v, _ := openVault(t, map[string]string{"CERTWRIGHT_PROVIDERS": string(setting)})
	issuer, err := vault.ParseIssuerName("ca")
	if err != nil {
		t.Fatal(err)
	}
	set := vault.IssuerSet{Provider: new("internal"), AccountID: new(stepca.Provisioner), Password: new(ca.Key())}
	if _, err := v.SetIssuer(ctx, issuer, set); err != nil {
		t.Fatal(err)
	}
	name, err := vault.ParseName("web")
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Create(ctx, name, vault.CreateParams{Policy: &policy.Params{
		X509:   &policy.X509Params{Subject: new("CN=www.example.test"), SANs: &policy.SANs{DNSNames: []string{"www.example.test"}}},
		Issuer: &policy.IssuerParams{Name: new("ca")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Advance(ctx); err != nil {
		t.Fatal(err)
	}
	c, err := v.Certificate(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Leaf)
	if err != nil {
		t.Fatalf("after a tick the certificate is %+v: %v", c, err)
	}
	if lifetime := leaf.NotAfter.Sub(leaf.NotBefore); lifetime < 23*time.Hour || lifetime > 25*time.Hour {
		t.Errorf("it is valid for %s", lifetime)
	}
}

func TestStepCASettingsAreChecked(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"stepca": {"url": "http://ca.example.com"}}`,
		`{"stepca": {"url": "https://ca.example.com", "maxValidityHours": -1}}`,
		`{"stepca": {"url": "https://ca.example.com", "roots": "no-such-file"}}`,
	} {
		if _, err := openProvider(t, settings.Backend{}, text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
