package acme_test

// What is refused before an order.

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
)

// checkField checks that err blames a field, or nothing when field is empty.
func checkField(t *testing.T, err error, path, detail string) {
	t.Helper()
	e, ok := errors.AsType[*field.Error](err)
	switch {
	case err == nil && path == "":
	case !ok || e.Field != path || !strings.Contains(e.Detail, detail):
		t.Errorf("%v; want the field %q blamed with %q", err, path, detail)
	}
}

func TestCheckPolicy(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	dns := func(names ...string) *policy.SANs { return &policy.SANs{DNSNames: names} }
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("host-%d.example.test", i)
	}
	long := make([]string, 90)
	for i := range long {
		long[i] = fmt.Sprintf("%d.%s.%s.test", i, strings.Repeat("x", 60), strings.Repeat("y", 60))
	}
	const sans = "policy.x509_props.sans"
	for _, test := range []struct {
		name          string
		policy        policy.Policy
		without       string // DNS or tokens
		curves        []string
		field, detail string
	}{
		{name: "host names", policy: policy.Policy{X509: policy.X509Properties{SANs: dns("a.test", "*.a.test")}}},
		{name: "subject only", policy: policy.Policy{X509: policy.X509Properties{Subject: "CN=a.test"}}},
		{name: "subject is an address", policy: policy.Policy{X509: policy.X509Properties{Subject: "CN=192.0.2.1"}}},
		{name: "subject is not a name", policy: policy.Policy{X509: policy.X509Properties{Subject: "CN=Web Server", SANs: dns("a.test")}}, field: "policy.x509_props.subject", detail: `"Web Server"`},
		{name: "subject has one that is not a name", policy: policy.Policy{X509: policy.X509Properties{Subject: "CN=a.test, CN=localhost"}}, field: "policy.x509_props.subject", detail: `"localhost"`},
		{name: "no name", policy: policy.Policy{X509: policy.X509Properties{Subject: "O=a"}}, field: sans, detail: "neither a DNS name nor an IP address"},
		{name: "subject has none", policy: policy.Policy{X509: policy.X509Properties{Subject: "O=a", SANs: dns("a.test")}}},
		{name: "address", policy: policy.Policy{X509: policy.X509Properties{SANs: &policy.SANs{IPAddresses: []string{"192.0.2.1"}}}}},
		{name: "e-mail", policy: policy.Policy{X509: policy.X509Properties{SANs: &policy.SANs{Emails: []string{"a@a.test"}}}}, field: sans + ".emails", detail: `"a@a.test"`},
		{name: "UPN", policy: policy.Policy{X509: policy.X509Properties{SANs: &policy.SANs{UPNs: []string{"a@a.test"}}}}, field: sans + ".upns", detail: "DNS names and IP addresses only"},
		{name: "URI", policy: policy.Policy{X509: policy.X509Properties{SANs: &policy.SANs{URIs: []string{"urn:a"}}}}, field: sans + ".uris", detail: "urn:a"},
		{name: "100 names", policy: policy.Policy{X509: policy.X509Properties{SANs: dns(many[:100]...)}}},
		{name: "100 names, one of them the subject's too", policy: policy.Policy{X509: policy.X509Properties{Subject: "CN=HOST-7.example.test", SANs: dns(many[:100]...)}}},
		{name: "101 names, one of them the subject's", policy: policy.Policy{X509: policy.X509Properties{Subject: "CN=a.test", SANs: dns(many[:100]...)}}, field: sans, detail: "101 names"},
		{name: "101 names", policy: policy.Policy{X509: policy.X509Properties{SANs: dns(many...)}}, field: sans, detail: "101 names"},
		{name: "long names", policy: policy.Policy{X509: policy.X509Properties{SANs: dns(long...)}}, field: sans, detail: "fewer long ones"},
		{name: "CA", policy: policy.Policy{X509: policy.X509Properties{CA: true}}, field: "policy.x509_props.basic_constraints.ca", detail: "end entities"},
		{name: "RSA", policy: policy.Policy{Key: policy.KeyProperties{Type: policy.KeyRSA, Size: 4096}}},
		{name: "P-384", policy: policy.Policy{Key: policy.KeyProperties{Type: policy.KeyEC, Curve: "P-384"}}},
		{name: "P-521", policy: policy.Policy{Key: policy.KeyProperties{Type: policy.KeyEC, Curve: "P-521"}}, field: "policy.key_props.crv", detail: "P-256, P-384"},
		{name: "P-521 of a private CA", policy: policy.Policy{Key: policy.KeyProperties{Type: policy.KeyEC, Curve: "P-521"}}, curves: []string{"P-521"}},
		{name: "logged", policy: policy.Policy{Issuer: policy.IssuerParameters{Transparency: &yes}}},
		{name: "not logged", policy: policy.Policy{Issuer: policy.IssuerParameters{Transparency: &no}}, field: "policy.issuer.cert_transparency", detail: "cannot be promised"},
		{name: "wildcard without DNS", policy: policy.Policy{X509: policy.X509Properties{SANs: dns("a.test", "*.a.test")}}, without: "DNS", field: sans + ".dns_names", detail: `"*.a.test"`},
		{name: "wildcard in the subject without DNS", policy: policy.Policy{X509: policy.X509Properties{Subject: "CN=*.a.test"}}, without: "DNS", field: "policy.x509_props.subject", detail: `"*.a.test"`},
		{name: "address in the subject without tokens", policy: policy.Policy{X509: policy.X509Properties{Subject: "CN=192.0.2.1"}}, without: "tokens", field: "policy.x509_props.subject", detail: "HTTP-01"},
		{name: "address without tokens", policy: policy.Policy{X509: policy.X509Properties{SANs: &policy.SANs{IPAddresses: []string{"192.0.2.1"}}}}, without: "tokens", field: sans + ".ipAddresses", detail: "HTTP-01, which is not configured"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, quick)
			if test.policy.X509.Subject == "" && test.policy.X509.SANs == nil {
				test.policy.X509.Subject = "CN=a.test"
			}
			s.cfg.Directory.Curves = test.curves
			if test.without != "tokens" {
				s.cfg.Tokens = tokens()
			}
			if test.without == "DNS" {
				s.dns = acme.DNSConfig{}
			}
			checkField(t, s.provider().CheckPolicy(provider.Issuer{}, test.policy), test.field, test.detail)
		})
	}
}

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	checkField(t, s.provider().CheckIssuer(provider.Issuer{}), "", "")
	s.cfg.Directory.ExternalAccount = true
	checkField(t, s.provider().CheckIssuer(provider.Issuer{}), "credentials.account_id", "HMAC key")
	checkField(t, s.provider().CheckIssuer(provider.Issuer{AccountID: "kid-1", HasAccount: true}), "", "")
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*acme.Config){
		"no URL":          func(c *acme.Config) { c.Directory.URL = "" },
		"no https":        func(c *acme.Config) { c.Directory.URL = "http://ca.test/dir" },
		"no accounts":     func(c *acme.Config) { c.SaveAccount = nil },
		"no keys":         func(c *acme.Config) { c.LoadAccount = nil },
		"half of tokens":  func(c *acme.Config) { c.Tokens.Remove = nil },
		"no proofs":       func(c *acme.Config) { c.Tokens = acme.Tokens{} },
		"a strange curve": func(c *acme.Config) { c.Directory.Curves = []string{"P-256", "secp256k1"} },
		"nothing missing": func(*acme.Config) {},
	} {
		accounts := new(accounts)
		cfg := acme.Config{
			Directory:   acme.Directory{URL: "https://ca.test/dir"},
			Tokens:      tokens(),
			LoadAccount: accounts.load,
			SaveAccount: accounts.save,
		}
		change(&cfg)
		if _, err := acme.New(cfg); (err == nil) != (name == "nothing missing") {
			t.Errorf("a configuration with %s: %v", name, err)
		}
	}
}
