package policy

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/field"
)

func TestPolicyUpdate(t *testing.T) {
	t.Parallel()
	old, err := New(sent(func(p *Params) {
		p.Key = &KeyParams{Size: new(4096), Reuse: new(true), Exportable: new(false)}
		p.ContentType = new(ContentPEM)
		p.X509.SANs = &SANs{DNSNames: []string{"example.com"}}
		p.X509.ValidityMonths = new(24)
		p.Issuer = &IssuerParams{Name: new("Self"), CertificateType: new("x")}
		p.LifetimeActions = []LifetimeAction{{DaysBefore: 500, Action: "AutoRenew"}}
	}), certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	later := certtest.Time.Add(time.Hour)
	for _, c := range []struct {
		name string
		in   Params
		want func(*Policy)
	}{
		{"nothing", Params{}, func(*Policy) {}},
		{
			"groups that say nothing",
			Params{Key: &KeyParams{}, X509: &X509Params{SANs: &SANs{}}, Issuer: &IssuerParams{}},
			func(*Policy) {},
		},
		{
			"a key type with its curve and size", Params{Key: &KeyParams{Type: new("EC"), Curve: new("P-256"), Size: new(256)}},
			func(p *Policy) { p.Key.Type, p.Key.Curve, p.Key.Size = "EC", "P-256", 256 },
		},
		{"one member of key_props", Params{Key: &KeyParams{Reuse: new(false)}}, func(p *Policy) { p.Key.Reuse = false }},
		{
			"secret_props", Params{ContentType: new(ContentPKCS12)},
			func(p *Policy) { p.ContentType = ContentPKCS12 },
		},
		{
			"a subject", Params{X509: &X509Params{Subject: new("CN=b")}},
			func(p *Policy) { p.X509.Subject = "CN=b" },
		},
		{
			"a validity", Params{X509: &X509Params{ValidityMonths: new(36)}},
			func(p *Policy) { p.X509.ValidityMonths = 36 },
		},
		{"a validity that is not set", Params{X509: &X509Params{ValidityMonths: new(0)}}, func(*Policy) {}},
		{
			"lists of usages are replaced", Params{X509: &X509Params{EKUs: []string{}, KeyUsage: []string{"digitalsignature"}}},
			func(p *Policy) { p.X509.EKUs, p.X509.KeyUsage = []string{}, []string{"digitalSignature"} },
		},
		{
			"one kind of alternative names", Params{X509: &X509Params{SANs: &SANs{Emails: []string{"b@example.com"}}}},
			func(p *Policy) {
				p.X509.SANs = &SANs{DNSNames: []string{"example.com"}, Emails: []string{"b@example.com"}}
			},
		},
		{
			"alternative names of a kind are replaced, and removed", Params{X509: &X509Params{SANs: &SANs{DNSNames: []string{}, UPNs: []string{"b@example.com"}}}},
			func(p *Policy) { p.X509.SANs = &SANs{UPNs: []string{"b@example.com"}} },
		},
		{"a CA", Params{X509: &X509Params{CA: new(true)}}, func(p *Policy) { p.X509.CA = true }},
		{
			"an issuer, actions and type stay", Params{Issuer: &IssuerParams{Name: new("ca")}},
			func(p *Policy) { p.Issuer.Name = "ca" },
		},
		{
			"transparency", Params{Issuer: &IssuerParams{Transparency: new(true)}},
			func(p *Policy) { p.Issuer.Transparency = new(true) },
		},
		{
			"lifetime_actions", Params{LifetimeActions: []LifetimeAction{{Percentage: 50, Action: "EmailContacts"}}},
			func(p *Policy) { p.LifetimeActions = []LifetimeAction{{Percentage: 50, Action: "EmailContacts"}} },
		},
		{"attributes", Params{Enabled: new(false)}, func(p *Policy) { p.Enabled = false }},
	} {
		got, err := old.Update(c.in, later)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := old
		c.want(&want)
		want.Updated = later
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}

	t.Run("updated grows", func(t *testing.T) {
		for _, now := range []time.Time{certtest.Time, certtest.Time.Add(-time.Hour), certtest.Time.Add(time.Second / 2)} {
			got, err := old.Update(Params{}, now)
			if err != nil || !got.Updated.Equal(certtest.Time.Add(time.Second)) || !got.Created.Equal(certtest.Time) {
				t.Errorf("at %s: created %s, updated %s, %v", now, got.Created, got.Updated, err)
			}
		}
	})
	t.Run("refuses", func(t *testing.T) {
		for path, p := range map[string]Params{
			"policy.key_props.kty":   {Key: &KeyParams{Type: new("oct")}},
			"policy.x509_props":      {X509: &X509Params{Subject: new(" "), SANs: &SANs{DNSNames: []string{}}}},
			"policy.x509_props.ekus": {X509: &X509Params{Subject: new("CN=a"), EKUs: []string{"x"}}},
			// The action of 500 days stays, but not within 12 months.
			"policy.lifetime_actions.trigger.days_before_expiry": {X509: &X509Params{ValidityMonths: new(12)}},
		} {
			_, err := old.Update(p, later)
			var e *field.Error
			if !errors.As(err, &e) || e.Field != path {
				t.Errorf("%v, want a BadParameter of %s", err, path)
			}
		}
	})
}
