package privateca

import (
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Names are the names that may be certified, by kind; a kind that has none is
// not certified at all. Matching is that of name constraints: RFC 5280 section
// 4.2.1.10.
type Names struct {
	// DNSDomains are certified with all that is below them.
	DNSDomains []string

	// EmailDomains are hosts of mailboxes, or single mailboxes.
	EmailDomains []string

	// URIDomains are hosts of URIs, with a leading dot those below one.
	URIDomains []string

	// UPNDomains are what follows the @ of user principal names, exactly.
	UPNDomains []string

	// IPRanges are networks of IP addresses.
	IPRanges []netip.Prefix
}

// constrain writes n into a CA's certificate, except what name constraints
// cannot say: UPNs.
func (n *Names) constrain(c *x509.Certificate) {
	const everything = "" // as a constraint
	c.PermittedDNSDomainsCritical = true
	c.PermittedDNSDomains, c.PermittedEmailAddresses, c.PermittedURIDomains = n.DNSDomains, n.EmailDomains, n.URIDomains
	for _, p := range n.IPRanges {
		c.PermittedIPRanges = append(c.PermittedIPRanges, network(p))
	}
	if len(n.DNSDomains) == 0 {
		c.ExcludedDNSDomains = []string{everything}
	}
	if len(n.EmailDomains) == 0 {
		c.ExcludedEmailAddresses = []string{everything}
	}
	if len(n.URIDomains) == 0 {
		c.ExcludedURIDomains = []string{everything}
	}
	if len(n.IPRanges) == 0 {
		for _, p := range []string{"0.0.0.0/0", "::/0"} {
			c.ExcludedIPRanges = append(c.ExcludedIPRanges, network(netip.MustParsePrefix(p)))
		}
	}
}

func network(p netip.Prefix) *net.IPNet {
	p = p.Masked()
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// check refuses a kind of names that is not certified, and foreign UPNs. The
// rest is up to the constraints.
func (n *Names) check(r request) *refusal {
	const field = "x509_props.sans."
	for _, kind := range []struct {
		field, text string
		asked       int
		permitted   int
	}{
		{"dns_names", "DNS names", len(r.dns), len(n.DNSDomains)},
		{"emails", "e-mail addresses", len(r.emails), len(n.EmailDomains)},
		{"upns", "user principal names", len(r.upns), len(n.UPNDomains)},
		{"uris", "URIs", len(r.uris), len(n.URIDomains)},
		{"ipAddresses", "IP addresses", len(r.ips), len(n.IPRanges)},
	} {
		if kind.asked > 0 && kind.permitted == 0 {
			return refuse(field+kind.field, "the CA certifies no %s", kind.text)
		}
	}
	for _, upn := range r.upns {
		domain := upn[strings.LastIndexByte(upn, '@')+1:]
		if !slices.ContainsFunc(n.UPNDomains, func(permitted string) bool { return sameDomain(domain, permitted) }) {
			return refuse(field+"upns", "user principal name %q is not permitted", upn)
		}
	}
	return nil
}

// sameDomain compares domains without case in ASCII only: other letters have more
// relatives than one, and some of them are in ASCII.
func sameDomain(a, b string) bool {
	ascii := !strings.ContainsFunc(a, func(r rune) bool { return r > '~' })
	return a == b || ascii && strings.EqualFold(a, b)
}
