package policy_test

// Policies as sent: defaults, and what is refused.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
)

// sent is a valid policy as sent, changed by edit.
func sent(edit func(*policy.Params)) policy.Params {
	p := policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}, Key: &policy.KeyParams{}, Issuer: &policy.IssuerParams{}}
	if edit != nil {
		edit(&p)
	}
	return p
}

func TestNewPolicyDefaults(t *testing.T) {
	t.Parallel()
	unknown := policy.Policy{
		Key:         policy.KeyProperties{Exportable: true, Type: "RSA", Size: 2048},
		ContentType: "application/x-pkcs12",
		X509: policy.X509Properties{
			Subject:        "CN=example.com",
			EKUs:           []string{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"},
			KeyUsage:       []string{"digitalSignature", "keyEncipherment"},
			ValidityMonths: 12,
		},
		LifetimeActions: []policy.LifetimeAction{{Percentage: 80, Action: "EmailContacts"}},
		Issuer:          policy.IssuerParameters{Name: "Unknown"},
		Enabled:         true,
		Created:         certtest.Time,
		Updated:         certtest.Time,
	}
	withIssuer := func(name, action string) policy.Policy {
		p := unknown
		p.Issuer.Name = name
		p.LifetimeActions = []policy.LifetimeAction{{Percentage: 80, Action: action}}
		return p
	}
	subject := &policy.X509Params{Subject: new("CN=example.com")}
	for _, c := range []struct {
		name string
		in   policy.Params
		want policy.Policy
	}{
		{"only a subject", policy.Params{X509: subject}, unknown},
		{"empty groups", policy.Params{X509: subject, Key: &policy.KeyParams{}, Issuer: &policy.IssuerParams{}}, unknown},
		{"Self", policy.Params{X509: subject, Issuer: &policy.IssuerParams{Name: new("Self")}}, withIssuer("Self", "AutoRenew")},
		{"self", policy.Params{X509: subject, Issuer: &policy.IssuerParams{Name: new("self")}}, withIssuer("self", "AutoRenew")},
		{"unknown", policy.Params{X509: subject, Issuer: &policy.IssuerParams{Name: new("unknown")}}, withIssuer("unknown", "EmailContacts")},
		{"an issuer object", policy.Params{X509: subject, Issuer: &policy.IssuerParams{Name: new("My-CA")}}, withIssuer("My-CA", "AutoRenew")},
		{"0 months", policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com"), ValidityMonths: new(0)}}, unknown},
	} {
		got, err := policy.New(c.in, certtest.Time)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestNewPolicyKeepsWhatIsSent(t *testing.T) {
	t.Parallel()
	sans := &policy.SANs{
		DNSNames:    []string{"example.com", "*.Example.com", "_sip.a-b.example"},
		Emails:      []string{"ada+x@example.com"},
		UPNs:        []string{"ada@corp", "Zoë"},
		URIs:        []string{"https://example.com/a?b#c", "spiffe://td/ns/x", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "https://[2001:db8::1]:8443/"},
		IPAddresses: []string{"192.0.2.1", "2001:0db8::1", "::ffff:192.0.2.1"},
	}
	got, err := policy.New(policy.Params{
		Key:         &policy.KeyParams{Exportable: new(false), Type: new("RSA"), Size: new(4096), Reuse: new(true)},
		ContentType: new("application/x-pem-file"),
		X509: &policy.X509Params{
			Subject:        new("C=US, O=Contoso, CN=example.com"),
			SANs:           sans,
			EKUs:           []string{"1.3.6.1.5.5.7.3.3", "1.3.6.1.4.1.311.10.3.4"},
			KeyUsage:       []string{"keyCertSign", "crlSign", "DIGITALSIGNATURE", "keyCertSign", "decipherOnly"},
			ValidityMonths: new(1200),
			CA:             new(true),
		},
		LifetimeActions: []policy.LifetimeAction{{DaysBefore: 1200 * 27, Action: "autorenew"}},
		Issuer:          &policy.IssuerParams{Name: new("ca"), CertificateType: new("OV-SSL"), Transparency: new(false)},
		Enabled:         new(false),
	}, certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Policy{
		Key:         policy.KeyProperties{Exportable: false, Type: "RSA", Size: 4096, Reuse: true},
		ContentType: "application/x-pem-file",
		X509: policy.X509Properties{
			Subject:        "C=US, O=Contoso, CN=example.com",
			SANs:           sans,
			EKUs:           []string{"1.3.6.1.5.5.7.3.3", "1.3.6.1.4.1.311.10.3.4"},
			KeyUsage:       []string{"cRLSign", "decipherOnly", "digitalSignature", "keyCertSign"},
			ValidityMonths: 1200,
			CA:             true,
		},
		LifetimeActions: []policy.LifetimeAction{{DaysBefore: 1200 * 27, Action: "AutoRenew"}},
		Issuer:          policy.IssuerParameters{Name: "ca", CertificateType: "OV-SSL", Transparency: new(false)},
		Enabled:         false,
		Created:         certtest.Time,
		Updated:         certtest.Time,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	sans.DNSNames[0] = "changed by the caller"
	if got.X509.SANs.DNSNames[0] != "example.com" {
		t.Error("the policy shares its names with the caller")
	}
}

// Nothing sent, nothing and something are three things on the wire.
func TestNewPolicyNoneAndEmpty(t *testing.T) {
	t.Parallel()
	p, err := policy.New(sent(func(p *policy.Params) {
		p.X509.SANs = &policy.SANs{}
		p.X509.EKUs = []string{}
		p.X509.KeyUsage = []string{}
		p.LifetimeActions = []policy.LifetimeAction{}
	}), certtest.Time)
	if err != nil {
		t.Fatal(err)
	}
	if p.X509.SANs == nil || p.X509.EKUs == nil || len(p.X509.EKUs) > 0 || p.X509.KeyUsage == nil || len(p.X509.KeyUsage) > 0 ||
		p.LifetimeActions == nil || len(p.LifetimeActions) > 0 {
		t.Errorf("empty lists became %+v", p)
	}
	for _, x := range []*policy.X509Params{
		{Subject: new("CN=a")},
		{SANs: &policy.SANs{DNSNames: []string{"a"}}},
		{Subject: new(" "), SANs: &policy.SANs{UPNs: []string{"a"}}},
	} {
		p, err := policy.New(policy.Params{X509: x}, certtest.Time)
		if err != nil {
			t.Errorf("%+v: %v", x, err)
		} else if (p.X509.SANs == nil) != (x.SANs == nil) {
			t.Errorf("%+v: SANs became %+v", x, p.X509.SANs)
		}
	}
}

func TestNewPolicyKeys(t *testing.T) {
	t.Parallel()
	rsa := func(size int) policy.KeyProperties {
		return policy.KeyProperties{Exportable: true, Type: "RSA", Size: size}
	}
	ec := func(curve string, size int) policy.KeyProperties {
		return policy.KeyProperties{Exportable: true, Type: "EC", Curve: curve, Size: size}
	}
	for _, c := range []struct {
		in   policy.KeyParams
		want policy.KeyProperties
	}{
		{policy.KeyParams{Size: new(3072)}, rsa(3072)},
		{policy.KeyParams{Type: new("rsa"), Size: new(4096)}, rsa(4096)},
		{policy.KeyParams{Type: new("RSA-HSM"), Exportable: new(true)}, policy.KeyProperties{Type: "RSA-HSM", Size: 2048}},
		{policy.KeyParams{Type: new("EC")}, ec("P-256", 256)},
		{policy.KeyParams{Type: new("EC"), Curve: new("P-256")}, ec("P-256", 256)},
		{policy.KeyParams{Type: new("EC"), Curve: new("P-384")}, ec("P-384", 384)},
		{policy.KeyParams{Type: new("EC"), Curve: new("P-521")}, ec("P-521", 521)},
		{policy.KeyParams{Type: new("EC"), Size: new(256)}, ec("P-256", 256)},
		{policy.KeyParams{Type: new("EC"), Size: new(384)}, ec("P-384", 384)},
		{policy.KeyParams{Type: new("EC"), Size: new(521)}, ec("P-521", 521)},
		{policy.KeyParams{Type: new("EC"), Size: new(521), Curve: new("p-521")}, ec("P-521", 521)},
		{policy.KeyParams{Type: new("EC-HSM"), Curve: new("P-384")}, policy.KeyProperties{Type: "EC-HSM", Curve: "P-384", Size: 384}},
	} {
		p, err := policy.New(sent(func(p *policy.Params) { p.Key = &c.in }), certtest.Time)
		if err != nil {
			t.Errorf("%+v: %v", c.in, err)
		} else if diff := cmp.Diff(c.want, p.Key); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.in, diff)
		}
	}
}

func TestNewPolicyRefuses(t *testing.T) {
	t.Parallel()
	type edit = func(*policy.Params)
	key := func(k policy.KeyParams) edit { return func(p *policy.Params) { p.Key = &k } }
	sans := func(s policy.SANs) edit { return func(p *policy.Params) { p.X509.SANs = &s } }
	months := func(n int) edit { return func(p *policy.Params) { p.X509.ValidityMonths = &n } }
	actions := func(a ...policy.LifetimeAction) edit { return func(p *policy.Params) { p.LifetimeActions = a } }
	const x509, san, lifetime = "policy.x509_props", "policy.x509_props.sans", "policy.lifetime_actions"
	label, long := strings.Repeat("a", 63), strings.Repeat("ü", 1000)
	for _, c := range []struct {
		field string
		edit  edit
	}{
		{x509, func(p *policy.Params) { p.X509 = nil }},
		{x509, func(p *policy.Params) { p.X509 = &policy.X509Params{SANs: &policy.SANs{}} }},
		{x509, func(p *policy.Params) { p.X509.Subject = new("  ") }},

		{"policy.key_props.kty", key(policy.KeyParams{Type: new("oct")})},
		{"policy.key_props.kty", key(policy.KeyParams{Type: new("")})},
		{"policy.key_props.kty", key(policy.KeyParams{Type: &long})},
		{"policy.key_props.key_size", key(policy.KeyParams{Size: new(1024)})},
		{"policy.key_props.key_size", key(policy.KeyParams{Size: new(0)})},
		{"policy.key_props.key_size", key(policy.KeyParams{Type: new("EC"), Size: new(2048)})},
		{"policy.key_props.key_size", key(policy.KeyParams{Type: new("EC"), Curve: new("P-256"), Size: new(384)})},
		{"policy.key_props.key_size", key(policy.KeyParams{Type: new("EC"), Curve: new("P-256"), Size: new(0)})},
		{"policy.key_props.crv", key(policy.KeyParams{Type: new("RSA"), Curve: new("P-256")})},
		{"policy.key_props.crv", key(policy.KeyParams{Curve: new("P-256")})},
		{"policy.key_props.crv", key(policy.KeyParams{Type: new("EC"), Curve: new("P-256K")})},
		{"policy.key_props.crv", key(policy.KeyParams{Type: new("EC"), Curve: new("P-256K"), Size: new(256)})},
		{"policy.key_props.crv", key(policy.KeyParams{Type: new("EC"), Curve: new("secp256r1")})},
		{"policy.key_props.crv", key(policy.KeyParams{Type: new("EC"), Curve: &long})},
		{"policy.key_props.crv", key(policy.KeyParams{Curve: &long})},

		{"policy.secret_props.contentType", func(p *policy.Params) { p.ContentType = new("text/plain") }},
		{"policy.secret_props.contentType", func(p *policy.Params) { p.ContentType = new("") }},
		{"policy.secret_props.contentType", func(p *policy.Params) { p.ContentType = &long }},

		{x509 + ".ekus", func(p *policy.Params) { p.X509.EKUs = []string{"serverAuth"} }},
		{x509 + ".ekus", func(p *policy.Params) { p.X509.EKUs = []string{""} }},
		{x509 + ".ekus", func(p *policy.Params) { p.X509.EKUs = []string{long} }},
		{x509 + ".ekus", func(p *policy.Params) { p.X509.EKUs = []string{"2.25.329800735698586629295641978511506172918"} }},
		{x509 + ".ekus", func(p *policy.Params) { p.X509.EKUs = slices.Repeat([]string{"1.2.3"}, 51) }},
		{x509 + ".key_usage", func(p *policy.Params) { p.X509.KeyUsage = []string{"digitalSignature", "sign"} }},
		{x509 + ".key_usage", func(p *policy.Params) { p.X509.KeyUsage = []string{long} }},
		{x509 + ".validity_months", months(-1)},
		{x509 + ".validity_months", months(1201)},

		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{""}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{long}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{"*"}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{"a.*.example"}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{"a*.example"}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{"example.com."}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{"a..example"}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{"-a.example"}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{"a-.example"}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{"a b.example"}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{"bücher.example"}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{"a\x00.example"}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{label + "a.example"}})},
		{san + ".dns_names", sans(policy.SANs{DNSNames: []string{strings.Join([]string{label, label, label, label}, ".")}})},
		{san + ".emails", sans(policy.SANs{Emails: []string{"example.com"}})},
		{san + ".emails", sans(policy.SANs{Emails: []string{"Ada <ada@example.com>"}})},
		{san + ".emails", sans(policy.SANs{Emails: []string{"ada@*.example"}})},
		{san + ".emails", sans(policy.SANs{Emails: []string{"ada@bücher.example"}})},
		{san + ".emails", sans(policy.SANs{Emails: []string{"ädä@example.com"}})},
		{san + ".upns", sans(policy.SANs{UPNs: []string{""}})},
		{san + ".upns", sans(policy.SANs{UPNs: []string{"a\xff"}})},
		{san + ".upns", sans(policy.SANs{UPNs: []string{"a\nb"}})},
		{san + ".upns", sans(policy.SANs{UPNs: []string{strings.Repeat("a", 2049)}})},
		{san + ".uris", sans(policy.SANs{URIs: []string{""}})},
		{san + ".uris", sans(policy.SANs{URIs: []string{"/path"}})},
		{san + ".uris", sans(policy.SANs{URIs: []string{"example.com"}})},
		{san + ".uris", sans(policy.SANs{URIs: []string{"https:"}})},
		{san + ".uris", sans(policy.SANs{URIs: []string{"https://exa mple.com"}})},
		{san + ".uris", sans(policy.SANs{URIs: []string{"https://*.example.com"}})},
		{san + ".uris", sans(policy.SANs{URIs: []string{"https://example.com./"}})},
		{san + ".uris", sans(policy.SANs{URIs: []string{"https://[fe80::1%25eth0]/"}})},
		{san + ".uris", sans(policy.SANs{URIs: []string{"https://example.com/ü"}})},
		{san + ".uris", sans(policy.SANs{URIs: []string{"https://example.com/%zz"}})},
		{san + ".ipAddresses", sans(policy.SANs{IPAddresses: []string{""}})},
		{san + ".ipAddresses", sans(policy.SANs{IPAddresses: []string{"192.0.2.1/24"}})},
		{san + ".ipAddresses", sans(policy.SANs{IPAddresses: []string{"192.0.2.256"}})},
		{san + ".ipAddresses", sans(policy.SANs{IPAddresses: []string{"fe80::1%eth0"}})},
		{san, sans(policy.SANs{DNSNames: slices.Repeat([]string{"a"}, 200), IPAddresses: slices.Repeat([]string{"::1"}, 51)})},
		{san, sans(policy.SANs{UPNs: slices.Repeat([]string{strings.Repeat("a", 2048)}, 17)})},

		{lifetime, actions(policy.LifetimeAction{Percentage: 80, Action: "EmailContacts"}, policy.LifetimeAction{Percentage: 80, Action: "AutoRenew"})},
		{lifetime, actions(slices.Repeat([]policy.LifetimeAction{{Percentage: 80, Action: "AutoRenew"}}, 2)...)},
		{lifetime + ".action.action_type", actions(policy.LifetimeAction{Percentage: 80})},
		{lifetime + ".action.action_type", actions(policy.LifetimeAction{Percentage: 80, Action: "Renew"})},
		{lifetime + ".action.action_type", actions(policy.LifetimeAction{Percentage: 80, Action: long})},
		{lifetime + ".trigger", actions(policy.LifetimeAction{Action: "AutoRenew"})},
		{lifetime + ".trigger", actions(policy.LifetimeAction{Percentage: 80, DaysBefore: 30, Action: "AutoRenew"})},
		{lifetime + ".trigger.lifetime_percentage", actions(policy.LifetimeAction{Percentage: 100, Action: "AutoRenew"})},
		{lifetime + ".trigger.lifetime_percentage", actions(policy.LifetimeAction{Percentage: -1, Action: "AutoRenew"})},
		{lifetime + ".trigger.days_before_expiry", actions(policy.LifetimeAction{DaysBefore: -1, Action: "AutoRenew"})},
		{lifetime + ".trigger.days_before_expiry", actions(policy.LifetimeAction{DaysBefore: 12*27 + 1, Action: "AutoRenew"})},

		{"policy.issuer.name", func(p *policy.Params) { p.Issuer.Name = new("") }},
		{"policy.issuer.name", func(p *policy.Params) { p.Issuer.Name = new("my ca") }},
		{"policy.issuer.name", func(p *policy.Params) { p.Issuer.Name = &long }},
		{"policy.issuer.cty", func(p *policy.Params) { p.Issuer.CertificateType = new(strings.Repeat("a", 129)) }},
		{"policy.issuer.cty", func(p *policy.Params) { p.Issuer.CertificateType = new("a\nb") }},
	} {
		in := sent(c.edit)
		_, err := policy.New(in, certtest.Time)
		var e *field.Error
		if !errors.As(err, &e) || e.Field != c.field || e.Detail == "" {
			t.Errorf("%s: %v, want a BadParameter of %s", describe(in), err, c.field)
		} else if len(e.Detail) > 500 {
			t.Errorf("%s is answered with %d bytes", c.field, len(e.Detail))
		}
	}
}

// Key Vault's text for a bad subject does not say what is wrong with it; the
// cause is for the log.
func TestNewPolicyBadSubject(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"example.com", "CN=", "C=USA, CN=a", "CN=" + strings.Repeat("a", 1024)} {
		_, err := policy.New(sent(func(p *policy.Params) { p.X509.Subject = &subject }), certtest.Time)
		var e *field.Error
		if !errors.As(err, &e) {
			t.Fatalf("%q: %v", subject, err)
		}
		want := "Property policy.x509_props has invalid value. Invalid X.500 distinguished name\r\n"
		if e.Field != "" || e.Detail != want || e.Err == nil {
			t.Errorf("%q: %+v", subject, e)
		}
	}
}

// describe prints what the pointers of p lead to.
func describe(p policy.Params) string {
	s := fmt.Sprintf("actions %v", p.LifetimeActions)
	if p.Key != nil {
		s += fmt.Sprintf(", key %v %v %v", policy.Deref(p.Key.Type), policy.Deref(p.Key.Size), policy.Deref(p.Key.Curve))
	}
	if p.X509 != nil {
		s += fmt.Sprintf(", x509 %+v, names %+v", *p.X509, policy.Deref(p.X509.SANs))
	}
	return s
}
