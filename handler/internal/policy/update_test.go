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
			"key_props as a whole", Params{Key: &KeyParams{Type: new("EC"), Curve: new("P-256"), Size: new(256)}},
			func(p *Policy) { p.Key = KeyProperties{Exportable: true, Type: "EC", Curve: "P-256", Size: 256} },
		},
		{
			"secret_props", Params{ContentType: new(ContentPKCS12)},
			func(p *Policy) { p.ContentType = ContentPKCS12 },
		},
		{
			"x509_props as a whole", Params{X509: &X509Params{Subject: new("CN=b"), ValidityMonths: new(36)}},
			func(p *Policy) {
				p.X509 = X509Properties{Subject: "CN=b", EKUs: defaultEKUs, KeyUsage: defaultKeyUsage, ValidityMonths: 36}
			},
		},
		{
			"issuer as a whole, actions stay", Params{Issuer: &IssuerParams{Name: new("ca")}},
			func(p *Policy) { p.Issuer = IssuerParameters{Name: "ca"} },
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
			"policy.x509_props":      {X509: &X509Params{ValidityMonths: new(12)}},
			"policy.x509_props.ekus": {X509: &X509Params{Subject: new("CN=a"), EKUs: []string{"x"}}},
			// The action of 500 days stays, but not within 12 months.
			"policy.lifetime_actions.trigger.days_before_expiry": {X509: &X509Params{Subject: new("CN=a")}},
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
	old, err := New(Params{X509: &X509Params{Subject: new("CN=a")}}, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	old.LifetimeActions = []LifetimeAction{{Percentage: 80, Action: ActionAutoRenew}, {DaysBefore: 30, Action: ActionEmailContacts}}
	updated, err := old.Update(Params{ContentType: new(ContentPEM)}, certtest.Time)
	if err != nil || len(updated.LifetimeActions) != 2 {
		t.Errorf("%v, %v", updated.LifetimeActions, err)
	}
	_, err = old.Update(Params{LifetimeActions: old.LifetimeActions}, certtest.Time)
	if refused, ok := errors.AsType[*field.Error](err); !ok || refused.Detail != "At most one action is allowed" {
		t.Errorf("two that are sent: %v", err)
	}
}
