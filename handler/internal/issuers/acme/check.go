package acme

import (
	"fmt"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/vault"
)

// maxNames bounds the names of one certificate, as public CAs do.
const maxNames = 100

// CheckIssuer refuses an issuer object without the credentials that the CA asks
// for.
func (p *Provider) CheckIssuer(o vault.IssuerObject) error {
	if p.cfg.Directory.ExternalAccount && o.AccountID == "" {
		return badParameter("credentials.account_id", "is required by %s: the key identifier of an external account, with its HMAC key (base64url) as credentials.pwd", p.host)
	}
	return nil
}

// CheckPolicy refuses what ACME does not carry, what its CAs do not certify and
// what cannot be proven with the configuration.
func (p *Provider) CheckPolicy(_ vault.IssuerObject, policy vault.Policy) error {
	const field = "policy.x509_props."
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
				return badParameter(field+"sans."+kind.field, "has %q: a CA that speaks ACME (%s) certifies DNS names and IP addresses only", kind.names[0], p.host)
			}
		}
		if err := p.checkNames(*sans); err != nil {
			return err
		}
	}
	switch {
	case policy.X509.CA:
		return badParameter(field+"basic_constraints.ca", "is true: a CA that speaks ACME (%s) certifies end entities only", p.host)
	case policy.Key.Curve != "" && !slices.Contains(p.cfg.Directory.Curves, policy.Key.Curve):
		return badParameter("policy.key_props.crv", "is %s: %s certifies keys on %s", policy.Key.Curve, p.host, strings.Join(p.cfg.Directory.Curves, ", "))
	case policy.Issuer.Transparency != nil && !*policy.Issuer.Transparency:
		return badParameter("policy.issuer.cert_transparency", "is false, which cannot be promised: %s decides by itself what it publishes", p.host)
	}
	return nil
}

// checkNames refuses names that are too many for a CA or for the state of an
// operation, or that nothing configured can prove.
func (p *Provider) checkNames(sans vault.SANs) error {
	const field = "policy.x509_props.sans."
	names := len(sans.DNSNames) + len(sans.IPAddresses)
	bytes := 0
	for _, name := range sans.DNSNames {
		bytes += len(name)
		if strings.HasPrefix(name, "*.") && p.cfg.DNS == nil {
			return badParameter(field+"dns_names", "has %q: a wildcard is proven by DNS, and neither a DNS zone nor a hook is configured", name)
		}
	}
	if names > maxNames || names*proofBytes+bytes > vault.MaxState-maxProofBytes {
		return badParameter(strings.TrimSuffix(field, "."), "has %d names of %d characters: one order takes at most %d, and less of very long ones", names, bytes, maxNames)
	}
	for _, ip := range sans.IPAddresses {
		if p.cfg.Tokens.Put == nil {
			return badParameter(field+"ipAddresses", "has %q: an IP address is proven by HTTP-01, which is not configured", ip)
		}
	}
	return nil
}

// proofBytes is about what one proof adds to the state besides its name, in
// bytes of JSON.
const proofBytes = 190

func badParameter(field, format string, args ...any) error {
	return &vault.Error{Reason: vault.BadParameter, Field: field, Detail: fmt.Sprintf(format, args...)}
}
