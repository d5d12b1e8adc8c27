package digicert_test

// What is refused before an order.

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/digicert"
)

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	i, err := digicert.New(digicert.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]field.Error{
		"112233": {},
		"":       {Detail: "Id in organization details is not set"}, // in Key Vault's words
		"0":      {Field: "org_details.id", Detail: `"0": must be the id of an organization at CertCentral, a number`},
		"-1":     {Field: "org_details.id", Detail: `"-1": must be the id of an organization at CertCentral, a number`},
		"Contoso": {
			Field: "org_details.id", Detail: `"Contoso": must be the id of an organization at CertCentral, a number`,
		},
	} {
		err := i.CheckIssuer(provider.Issuer{Name: "ca", Org: provider.OrganizationDetails{ID: id}})
		checkRefusal(t, fmt.Sprintf("organization %q", id), err, want)
	}
}

func TestCheckPolicy(t *testing.T) {
	t.Parallel()
	const wrongType = "The certificate type specified is either invalid or not supported with DigiCert. Supported types are OV-SSL,EV-SSL. " +
		"If you have any questions or concerns, please feel free to reach out to DigiCert."
	sans := func(s policy.SANs) func(*policy.Policy) { return func(p *policy.Policy) { p.X509.SANs = &s } }
	certificateType := func(cty string) func(*policy.Policy) {
		return func(p *policy.Policy) { p.Issuer.CertificateType = cty }
	}
	curve := func(crv string) func(*policy.Policy) {
		return func(p *policy.Policy) { p.Key = policy.KeyProperties{Type: "EC", Curve: crv} }
	}
	ekus := func(oids ...string) func(*policy.Policy) { return func(p *policy.Policy) { p.X509.EKUs = oids } }
	for name, c := range map[string]struct {
		change       func(*policy.Policy)
		path, detail string // of the refusal; none when empty
	}{
		"open":             {func(*policy.Policy) {}, "", ""},
		"OV":               {certificateType("OV-SSL"), "", ""},
		"EV in lower case": {certificateType("ev-ssl"), "", ""},
		"DV":               {certificateType("DV-SSL"), "", wrongType},
		"wildcard":         {sans(policy.SANs{DNSNames: []string{"*.example.com"}}), "", ""},
		"P-256":            {curve("P-256"), "", ""},
		"P-384":            {curve("P-384"), "", ""},
		"P-521":            {curve("P-521"), "policy.key_props.crv", `"P-521": must be P-256 or P-384 for DigiCert`},
		"no usages":        {ekus(), "", ""},
		"for servers, too": {ekus("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"), "", ""},
		"for code":         {ekus("1.3.6.1.5.5.7.3.3"), "policy.x509_props.ekus", "lacks 1.3.6.1.5.5.7.3.1 (server authentication): OV-SSL certificates are for TLS servers"},
		"a CA":             {func(p *policy.Policy) { p.X509.CA = true }, "policy.x509_props.basic_constraints.ca", "is true: DigiCert certifies end entities only"},
		"e-mail address":   {sans(policy.SANs{Emails: []string{"a@example.com"}}), "policy.x509_props.sans.emails", `has "a@example.com": DigiCert certifies DNS names only in OV-SSL certificates`},
		"UPN":              {sans(policy.SANs{UPNs: []string{"a@example.com"}}), "policy.x509_props.sans.upns", `has "a@example.com": DigiCert certifies DNS names only in OV-SSL certificates`},
		"URI":              {sans(policy.SANs{URIs: []string{"urn:a"}}), "policy.x509_props.sans.uris", `has "urn:a": DigiCert certifies DNS names only in OV-SSL certificates`},
		"IP address":       {sans(policy.SANs{DNSNames: []string{"example.com"}, IPAddresses: []string{"192.0.2.1"}}), "policy.x509_props.sans.ipAddresses", `has "192.0.2.1": DigiCert certifies DNS names only in OV-SSL certificates`},
		"250 names":        {sans(policy.SANs{DNSNames: make([]string, 250)}), "", ""},
		"251 names":        {sans(policy.SANs{DNSNames: make([]string, 251)}), "policy.x509_props.sans.dns_names", "251 names: must be at most 250"},
		"EV for all subdomains": {func(p *policy.Policy) {
			certificateType("EV-SSL")(p)
			sans(policy.SANs{DNSNames: []string{"*.example.com"}})(p)
		}, "policy.x509_props.sans.dns_names", `has "*.example.com": there are no wildcards in EV-SSL certificates`},
	} {
		i, err := digicert.New(digicert.Config{})
		if err != nil {
			t.Fatal(err)
		}
		p := policy.Policy{Key: policy.KeyProperties{Type: "RSA", Size: 2048}, X509: policy.X509Properties{Subject: "CN=example.com"}}
		c.change(&p)
		want := field.Error{}
		if c.detail != "" {
			want = field.Error{Field: c.path, Detail: c.detail}
		}
		checkRefusal(t, name, i.CheckPolicy(provider.Issuer{}, p), want)
	}
}

// checkRefusal compares a refusal; want is the zero Error where there is to be none.
func checkRefusal(t testing.TB, name string, err error, want field.Error) {
	t.Helper()
	var got *field.Error
	switch {
	case want == field.Error{}:
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	case !errors.As(err, &got) || *got != want:
		t.Errorf("%s: %v, want %v", name, err, &want)
	}
}

// Long values are not repeated in full.
func TestLongValues(t *testing.T) {
	t.Parallel()
	i, err := digicert.New(digicert.Config{})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 1000)
	for _, err := range []error{
		i.CheckIssuer(provider.Issuer{Org: provider.OrganizationDetails{ID: long}}),
		i.CheckPolicy(provider.Issuer{}, policy.Policy{X509: policy.X509Properties{SANs: &policy.SANs{URIs: []string{long}}}}),
	} {
		if err == nil || len(err.Error()) > 300 {
			t.Errorf("%v", err)
		}
	}
}
