package policy_test

// Updates of policies, group by group.

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
)

func TestPolicyUpdate(t *testing.T) {
	t.Parallel()
	old, err := policy.New(sent(func(p *policy.Params) {
		p.Key = &policy.KeyParams{Size: new(4096), Reuse: new(true), Exportable: new(false)}
		p.ContentType = new(policy.ContentPEM)
		p.X509.SANs = &policy.SANs{DNSNames: []string{"example.com"}}
		p.X509.ValidityMonths = new(24)
		p.Issuer = &policy.IssuerParams{Name: new("Self"), CertificateType: new("x")}
		p.LifetimeActions = []policy.LifetimeAction{{DaysBefore: 500, Action: "AutoRenew"}}
	}), certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	later := certtest.Time.Add(time.Hour)
	for _, c := range []struct {
		name string
		in   policy.Params
		want func(*policy.Policy)
	}{
		{"nothing", policy.Params{}, func(*policy.Policy) {}},
		{
			"groups that say nothing",
			policy.Params{Key: &policy.KeyParams{}, X509: &policy.X509Params{SANs: &policy.SANs{}}, Issuer: &policy.IssuerParams{}},
			func(*policy.Policy) {},
		},
		{
			"a key type with its curve and size", policy.Params{Key: &policy.KeyParams{Type: new("EC"), Curve: new("P-256"), Size: new(256)}},
			func(p *policy.Policy) { p.Key.Type, p.Key.Curve, p.Key.Size = "EC", "P-256", 256 },
		},
		{"one member of key_props", policy.Params{Key: &policy.KeyParams{Reuse: new(false)}}, func(p *policy.Policy) { p.Key.Reuse = false }},
		{
			"secret_props", policy.Params{ContentType: new(policy.ContentPKCS12)},
			func(p *policy.Policy) { p.ContentType = policy.ContentPKCS12 },
		},
		{
			"a subject", policy.Params{X509: &policy.X509Params{Subject: new("CN=b")}},
			func(p *policy.Policy) { p.X509.Subject = "CN=b" },
		},
		{
			"a validity", policy.Params{X509: &policy.X509Params{ValidityMonths: new(36)}},
			func(p *policy.Policy) { p.X509.ValidityMonths = 36 },
		},
		{"a validity that is not set", policy.Params{X509: &policy.X509Params{ValidityMonths: new(0)}}, func(*policy.Policy) {}},
		{
			"lists of usages are replaced", policy.Params{X509: &policy.X509Params{EKUs: []string{}, KeyUsage: []string{"digitalsignature"}}},
			func(p *policy.Policy) { p.X509.EKUs, p.X509.KeyUsage = []string{}, []string{"digitalSignature"} },
		},
		{
			"one kind of alternative names", policy.Params{X509: &policy.X509Params{SANs: &policy.SANs{Emails: []string{"b@example.com"}}}},
			func(p *policy.Policy) {
				p.X509.SANs = &policy.SANs{DNSNames: []string{"example.com"}, Emails: []string{"b@example.com"}}
			},
		},
		{
			"alternative names of a kind are replaced, and removed", policy.Params{X509: &policy.X509Params{SANs: &policy.SANs{DNSNames: []string{}, UPNs: []string{"b@example.com"}}}},
			func(p *policy.Policy) { p.X509.SANs = &policy.SANs{UPNs: []string{"b@example.com"}} },
		},
		{"a CA", policy.Params{X509: &policy.X509Params{CA: new(true)}}, func(p *policy.Policy) { p.X509.CA = true }},
		{
			"an issuer, actions and type stay", policy.Params{Issuer: &policy.IssuerParams{Name: new("ca")}},
			func(p *policy.Policy) { p.Issuer.Name = "ca" },
		},
		{
			"transparency", policy.Params{Issuer: &policy.IssuerParams{Transparency: new(true)}},
			func(p *policy.Policy) { p.Issuer.Transparency = new(true) },
		},
		{
			"lifetime_actions", policy.Params{LifetimeActions: []policy.LifetimeAction{{Percentage: 50, Action: "EmailContacts"}}},
			func(p *policy.Policy) {
				p.LifetimeActions = []policy.LifetimeAction{{Percentage: 50, Action: "EmailContacts"}}
			},
		},
		{"attributes", policy.Params{Enabled: new(false)}, func(p *policy.Policy) { p.Enabled = false }},
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
			got, err := old.Update(policy.Params{}, now)
			if err != nil || !got.Updated.Equal(certtest.Time.Add(time.Second)) || !got.Created.Equal(certtest.Time) {
				t.Errorf("at %s: created %s, updated %s, %v", now, got.Created, got.Updated, err)
			}
		}
	})
	t.Run("refuses", func(t *testing.T) {
		for path, p := range map[string]policy.Params{
			"policy.key_props.kty":   {Key: &policy.KeyParams{Type: new("oct")}},
			"policy.x509_props":      {X509: &policy.X509Params{Subject: new(" "), SANs: &policy.SANs{DNSNames: []string{}}}},
			"policy.x509_props.ekus": {X509: &policy.X509Params{Subject: new("CN=a"), EKUs: []string{"x"}}},
			// The action of 500 days stays, but not within 12 months.
			"policy.lifetime_actions.trigger.days_before_expiry": {X509: &policy.X509Params{ValidityMonths: new(12)}},
		} {
			_, err := old.Update(p, later)
			var e *field.Error
			if !errors.As(err, &e) || e.Field != path {
				t.Errorf("%v, want a BadParameter of %s", err, path)
			}
		}
	})
}

// TestUpdateKeepsTwoActions: a policy of version 0.1.0 may have two lifetime actions,
// which stay until others are sent.
func TestUpdateKeepsTwoActions(t *testing.T) {
	t.Parallel()
	old, err := policy.New(policy.Params{X509: &policy.X509Params{Subject: new("CN=a")}}, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	old.LifetimeActions = []policy.LifetimeAction{{Percentage: 80, Action: policy.ActionAutoRenew}, {DaysBefore: 30, Action: policy.ActionEmailContacts}}
	updated, err := old.Update(policy.Params{ContentType: new(policy.ContentPEM)}, certtest.Time)
	if err != nil || len(updated.LifetimeActions) != 2 {
		t.Errorf("%v, %v", updated.LifetimeActions, err)
	}
	_, err = old.Update(policy.Params{LifetimeActions: old.LifetimeActions}, certtest.Time)
	if refused, ok := errors.AsType[*field.Error](err); !ok || refused.Detail != "At most one action is allowed" {
		t.Errorf("two that are sent: %v", err)
	}
}
