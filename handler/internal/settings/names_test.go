package settings_test

// Limits on names in the settings.

import (
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// TestNamesFromSettings: what CERTWRIGHT_PROVIDERS says may be certified is what
// may be asked for, whatever kind of CA it is.
func TestNamesFromSettings(t *testing.T) {
	t.Parallel()
	v, _ := openVault(t, map[string]string{"CERTWRIGHT_PROVIDERS": `{
		"Portal": {"webhook": {"url": "https://portal.example.com"}, "names": {"dns": ["example.com"], "ips": ["10.0.0.0/8"]}},
		"Other":  {"webhook": {"url": "https://other.example.com"}}}`})
	create := func(issuer, host string) error {
		n, err := vault.ParseIssuerName(issuer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.SetIssuer(t.Context(), n, vault.IssuerSet{Provider: &issuer, AccountID: new("a"), Password: new(strings.Repeat("p", 32))}); err != nil {
			t.Fatal(err)
		}
		name, err := vault.ParseName("web-" + strings.ReplaceAll(issuer+host, ".", "-"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Create(t.Context(), name, vault.CreateParams{Policy: &policy.Params{
			Key:    &policy.KeyParams{Type: new("EC"), Curve: new("P-256")},
			X509:   &policy.X509Params{Subject: new("CN=" + host)},
			Issuer: &policy.IssuerParams{Name: &issuer},
		}})
		return err
	}
	for _, issuer := range []string{"Portal", "other"} {
		for host, permitted := range map[string]bool{"www.example.com": true, "10.1.2.3": true, "www.example.org": false} {
			if err := create(issuer, host); (err == nil) != (permitted || issuer == "other") {
				t.Errorf("%s of %s: %v", host, issuer, err)
			}
		}
	}
}
