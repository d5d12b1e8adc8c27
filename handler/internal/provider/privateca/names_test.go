package privateca_test

// Which names a CA certifies.

import (
	"crypto/elliptic"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
)

// Names are refused when the operation is created, and again when the CSR is
// there. Whether the CA's certificate, one above it, or the profile constrains
// them makes no difference.
func TestNames(t *testing.T) {
	t.Parallel()
	permitted := names.Permitted{
		DNSDomains:   []string{"contoso.com"},
		EmailDomains: []string{"contoso.com", "bob@fabrikam.com"},
		URIDomains:   []string{".contoso.com"},
		UPNDomains:   []string{"corp.contoso.com"},
		IPRanges:     []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")},
	}
	constrained := func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedEmailAddresses, c.PermittedURIDomains = permitted.DNSDomains, permitted.EmailDomains, permitted.URIDomains
		c.PermittedIPRanges = []*net.IPNet{
			{IP: net.IP{10, 1, 0, 0}, Mask: net.CIDRMask(16, 32)},
			{IP: net.ParseIP("fd00::"), Mask: net.CIDRMask(8, 128)},
		}
	}
	for _, above := range []string{"profile", "CA", "root"} {
		changes := map[string]func(*x509.Certificate){above: constrained}
		c := newCA(t, newCA(t, nil, ecKey(t, elliptic.P256()), changes["root"]), ecKey(t, elliptic.P256()), changes["CA"])
		cfg := c.config()
		if above == "profile" {
			cfg.Profile.NameConstraints = &permitted
		}
		i := issuer(t, cfg)
		for _, test := range []struct {
			sans policy.SANs
			want string // empty: certified
		}{
			{policy.SANs{}, ""},
			{policy.SANs{DNSNames: []string{"contoso.com", "a.b.contoso.com", "*.contoso.com", "WWW.Contoso.COM", "_x.contoso.com"}}, ""},
			{policy.SANs{DNSNames: []string{"contoso.com", "fabrikam.com"}}, `DNS name "fabrikam.com" is not permitted by any constraint`},
			{policy.SANs{DNSNames: []string{"evilcontoso.com"}}, "is not permitted"},
			{policy.SANs{DNSNames: []string{"*.com"}}, "is not permitted"},
			{policy.SANs{DNSNames: []string{"localhost"}}, "is not permitted"},
			{policy.SANs{Emails: []string{"ada@contoso.com", "bob@fabrikam.com"}}, ""},
			{policy.SANs{Emails: []string{"ada@fabrikam.com"}}, "is not permitted"},
			{policy.SANs{URIs: []string{"spiffe://a.contoso.com/x", "https://b.contoso.com"}}, ""},
			{policy.SANs{URIs: []string{"spiffe://contoso.com/x"}}, "is not permitted"},
			{policy.SANs{URIs: []string{"https://10.1.0.1/"}}, "cannot be matched"},
			{policy.SANs{URIs: []string{"urn:contoso:x"}}, "cannot be matched"},
			{policy.SANs{IPAddresses: []string{"10.1.2.3", "fd12::1"}}, ""},
			{policy.SANs{IPAddresses: []string{"10.2.0.1"}}, "is not permitted"},
			{policy.SANs{UPNs: []string{"ada@corp.contoso.com", "bob@CORP.contoso.com"}}, ""},
			{policy.SANs{UPNs: []string{"ada@contoso.com"}}, `user principal name "ada@contoso.com" is not permitted`},
			{policy.SANs{UPNs: []string{"a@corp.contoso.com@fabrikam.com"}}, "is not permitted"},
			{policy.SANs{UPNs: []string{"ada"}}, "is not permitted"},
			{policy.SANs{UPNs: []string{"ada@corp.contoſo.com"}}, "is not permitted"}, // folds to s
		} {
			if len(test.sans.UPNs) > 0 && above != "profile" {
				continue // name constraints on UPNs are not read
			}
			req := request(t, policy.X509Params{Subject: new("CN=a"), SANs: &test.sans}, ec256)
			err, out := i.CheckPolicy(provider.Issuer{}, req.Policy), run(t, i, req)
			if test.want == "" {
				leaf := issued(t, out)
				if err != nil {
					t.Errorf("%s: %+v: %v", above, test.sans, err)
				}
				verify(t, c, leaf)
				continue
			}
			wantRefusal(t, above, err, "policy.x509_props.sans."+kindOf(test.sans), test.want)
			if out.Kind != provider.OutcomeFailed || out.Code != provider.CodeRejected || !strings.Contains(out.Message, test.want) {
				t.Errorf("%s: %+v: %s", above, test.sans, brief(out))
			}
		}
	}
}

// kindOf is the kind of the names, which must be of one.
func kindOf(sans policy.SANs) string {
	switch {
	case len(sans.DNSNames) > 0:
		return "dns_names"
	case len(sans.Emails) > 0:
		return "emails"
	case len(sans.UPNs) > 0:
		return "upns"
	case len(sans.URIs) > 0:
		return "uris"
	default:
		return "ipAddresses"
	}
}

// Kinds that a profile does not name are not certified; without names all are.
func TestKindsOfNames(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	none, all := c.config(), c.config()
	none.Profile.NameConstraints = new(names.Permitted)
	for field, sans := range map[string]policy.SANs{
		"dns_names":   {DNSNames: []string{"contoso.com"}},
		"emails":      {Emails: []string{"ada@contoso.com"}},
		"upns":        {UPNs: []string{"ada@contoso.com"}},
		"uris":        {URIs: []string{"urn:a:b"}},
		"ipAddresses": {IPAddresses: []string{"10.0.0.1"}},
	} {
		req := request(t, policy.X509Params{Subject: new("CN=a"), SANs: &sans}, ec256)
		wantRefusal(t, field, issuer(t, none).CheckPolicy(provider.Issuer{}, req.Policy), "policy.x509_props.sans."+field, "is not permitted: no name of this kind is")
		if out := run(t, issuer(t, none), req); out.Kind != provider.OutcomeFailed {
			t.Errorf("%s: %s", field, brief(out))
		}
		if out := run(t, issuer(t, all), req); out.Kind != provider.OutcomeIssued {
			t.Errorf("%s: %s", field, brief(out))
		}
	}
}

// Some verifiers would take it for the IPv4 address, others not.
func TestMappedAddress(t *testing.T) {
	t.Parallel()
	i := issuer(t, newPair(t).config())
	req := request(t, policy.X509Params{SANs: &policy.SANs{IPAddresses: []string{"::ffff:10.1.0.1"}}}, ec256)
	wantRefusal(t, "mapped", i.CheckPolicy(provider.Issuer{}, req.Policy), "policy.x509_props.sans.ipAddresses", "in the form of IPv6")
	if out := run(t, i, req); out.Kind != provider.OutcomeFailed || !strings.Contains(out.Message, "in the form of IPv6") {
		t.Error(brief(out))
	}
}

// A common name that is that of a host counts as a DNS name or an address, as some
// programs take it for one.
func TestCommonName(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	cfg := c.config()
	cfg.Profile.NameConstraints = &names.Permitted{DNSDomains: []string{"contoso.com", "2"}, IPRanges: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for subject, ok := range map[string]bool{
		"CN=www.contoso.com":              true,
		"CN=*.contoso.com":                true,
		"CN=Ada Lovelace":                 true,
		"CN=server":                       true,
		"CN=Contoso Inc. Service":         true,
		"O=fabrikam.com":                  true,
		"CN=www.fabrikam.com":             false,
		"CN=WWW.FABRIKAM.COM":             false,
		"CN=*.fabrikam.com":               false,
		"CN=a.contoso.com, CN=b.test.com": false,
		"CN=www.fabrikam.com.":            false,
		"CN=w*.fabrikam.com":              false,
		"CN=10.0.0.1":                     true,
		"CN=192.0.2.2":                    false, // not a DNS name below 2
		"CN=2001:db8::1":                  false,
	} {
		req := request(t, policy.X509Params{Subject: &subject}, ec256)
		if err := issuer(t, cfg).CheckPolicy(provider.Issuer{}, req.Policy); !ok {
			wantRefusal(t, subject, err, "policy.x509_props.subject", "is not permitted")
		} else if err != nil {
			t.Errorf("%s: %v", subject, err)
		}
		out := run(t, issuer(t, cfg), req)
		if ok != (out.Kind == provider.OutcomeIssued) || !ok && !strings.Contains(out.Message, "is not permitted") {
			t.Errorf("%s: %s", subject, brief(out))
		}
	}
}
