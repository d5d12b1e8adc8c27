package acme

import (
	"slices"
	"strings"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
)

// maxNames bounds the names of one certificate, as public CAs do.
const maxNames = 100

// CheckIssuer refuses an issuer object without the credentials that the CA asks
// for.
func (p *Provider) CheckIssuer(o provider.Issuer) error {
	if p.cfg.Directory.ExternalAccount && o.AccountID == "" {
		return field.Errorf("credentials.account_id", "is required by %s: the key identifier of an external account, with its HMAC key (base64url) as credentials.pwd", p.host)
	}
	return nil
}

// CheckPolicy refuses what ACME does not carry, what its CAs do not certify and
// what cannot be proven with the configuration.
func (p *Provider) CheckPolicy(_ provider.Issuer, policy policy.Policy) error {
	const path = "policy.x509_props."
	if sans := policy.X509.SANs; sans != nil {
		for _, kind := range []struct {
			field string
			names []string
		}{
			{"emails", sans.Emails},
			{"upns", sans.UPNs},
			{"uris", sans.URIs},
		} {
			if len(kind.names) > 0 {
				return field.Errorf(path+"sans."+kind.field, "has %q: a CA that speaks ACME (%s) certifies DNS names and IP addresses only", kind.names[0], p.host)
			}
		}
	}
	if err := p.checkNames(policy.X509); err != nil {
		return err
	}
	switch {
	case policy.X509.CA:
		return field.Errorf(path+"basic_constraints.ca", "is true: a CA that speaks ACME (%s) certifies end entities only", p.host)
	case policy.Key.Curve != "" && !slices.Contains(p.cfg.Directory.Curves, policy.Key.Curve):
		return field.Errorf("policy.key_props.crv", "is %s: %s certifies keys on %s", policy.Key.Curve, p.host, strings.Join(p.cfg.Directory.Curves, ", "))
	case policy.Issuer.Transparency != nil && !*policy.Issuer.Transparency:
		return field.Errorf("policy.issuer.cert_transparency", "is false, which cannot be promised: %s decides by itself what it publishes", p.host)
	}
	return nil
}

// checkNames refuses names that are too many for a CA or for the state of an
// operation, and those that nothing configured can prove.
func (p *Provider) checkNames(x policy.X509Properties) error {
	const sans = "policy.x509_props.sans"
	names, err := p.namesOf(x)
	if err != nil {
		return err
	}
	different := make(map[acmez.Identifier]bool)
	bytes := 0
	for _, name := range names {
		switch {
		case name.Type == typeIP && p.cfg.Tokens.Put == nil:
			return field.Errorf(name.field, "has %q: an IP address is proven by HTTP-01, which is not configured", name.Value)
		case strings.HasPrefix(name.Value, "*.") && p.cfg.DNS == nil:
			return field.Errorf(name.field, "has %q: a wildcard is proven by DNS, which is not configured", name.Value)
		case !different[name.Identifier]:
			different[name.Identifier] = true
			bytes += len(name.Value)
		}
	}
	switch n := len(different); {
	case n == 0:
		return field.Errorf(sans, "has neither a DNS name nor an IP address: a CA that speaks ACME (%s) certifies nothing else", p.host)
	case n > maxNames || n*proofBytes+bytes > provider.MaxState-maxProofBytes:
		return field.Errorf(sans, "has %d names of %d characters: one order takes at most %d, and fewer long ones", n, bytes, maxNames)
	}
	return nil
}

// askedName is a name that a policy asks for, and the field that does.
type askedName struct {
	field string
	acmez.Identifier
}

// namesOf are the names that an order for a policy's CSR will have, some perhaps
// twice. See identifiers.
func (p *Provider) namesOf(x policy.X509Properties) ([]askedName, error) {
	const path = "policy.x509_props."
	var names []askedName
	for _, cn := range x.CommonNames() {
		id, ok := commonName(cn)
		if !ok {
			return nil, field.Errorf(path+"subject", "has the common name %q, neither a DNS name nor an IP address: a CA that speaks ACME (%s) certifies nothing else", cn, p.host)
		}
		names = append(names, askedName{path + "subject", id})
	}
	if x.SANs == nil {
		return names, nil
	}
	for _, name := range x.SANs.DNSNames {
		names = append(names, askedName{path + "sans.dns_names", acmez.Identifier{Type: typeDNS, Value: strings.ToLower(name)}})
	}
	for _, ip := range x.SANs.IPAddresses {
		names = append(names, askedName{path + "sans.ipAddresses", acmez.Identifier{Type: typeIP, Value: ip}})
	}
	return names, nil
}

// proofBytes is about what one proof adds to the state besides its name, in
// bytes of JSON.
const proofBytes = 190
