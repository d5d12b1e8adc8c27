// Package names decides which names may be certified: by the server's
// configuration, and by the name constraints of CAs.
package names

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Permitted are the names that may be certified, by kind; a kind that has none is
// not certified at all. Matching is that of name constraints: RFC 5280 section
// 4.2.1.10.
type Permitted struct {
	// DNSDomains are certified with all that is below them, with a leading dot
	// only that.
	DNSDomains []string `json:"dns"`

	// EmailDomains are hosts of mailboxes, with a leading dot those below one, or
	// single mailboxes.
	EmailDomains []string `json:"emails"`

	// URIDomains are hosts of URIs, with a leading dot those below one.
	URIDomains []string `json:"uris"`

	// UPNDomains are what follows the @ of user principal names, exactly.
	UPNDomains []string `json:"upns"`

	// IPRanges are networks of IP addresses.
	IPRanges []netip.Prefix `json:"ips"`
}

// Check refuses what would match nothing, or everything, by mistake.
func (p *Permitted) Check() error {
	for _, kind := range []struct {
		member string
		list   []string
		check  func(string) error
	}{
		{"dns", p.DNSDomains, checkDomain},
		{"emails", p.EmailDomains, checkMailDomain},
		{"uris", p.URIDomains, checkDomain},
		{"upns", p.UPNDomains, checkRealm},
	} {
		for _, text := range kind.list {
			if err := kind.check(text); err != nil {
				return fmt.Errorf("names: %s: %q %w", kind.member, text, err)
			}
		}
	}
	for _, network := range p.IPRanges {
		if !network.IsValid() || network.Addr().Is4In6() {
			return fmt.Errorf("names: ips: %q is not a network, or is an IPv4 network in the form of IPv6", network)
		}
	}
	return nil
}

// checkDomain wants a host name, perhaps after a dot.
func checkDomain(text string) error {
	switch host := strings.TrimPrefix(text, "."); {
	case host == "":
		return errors.New("names no domain")
	case strings.HasSuffix(host, "."):
		return errors.New("ends with a dot")
	case strings.Contains(host, "*"):
		return errors.New("has a wildcard, which a domain does not need to stand for what is below it")
	case strings.ContainsFunc(host, func(r rune) bool { return r > '~' }):
		return errors.New("is not written in its ASCII form, xn--")
	default:
		for label := range strings.SplitSeq(host, ".") {
			if label == "" || len(label) > 63 || strings.Trim(label, hostLetters) != "" {
				return fmt.Errorf("is not a domain: the label %q", label)
			}
		}
		return nil
	}
}

const hostLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// checkMailDomain wants what checkDomain does, or a mailbox.
func checkMailDomain(text string) error {
	at := strings.LastIndexByte(text, '@')
	switch {
	case at < 0:
		return checkDomain(text)
	case at == 0:
		return errors.New("has nothing before the @: a domain is written without it")
	case text[at+1:] == "" || text[at+1] == '.':
		return errors.New("is not a mailbox")
	default:
		return checkDomain(text[at+1:])
	}
}

// checkRealm wants text without an @.
func checkRealm(text string) error {
	if text == "" || text[0] == '.' || strings.Contains(text, "@") {
		return errors.New("is not what follows the @ of user principal names")
	}
	return nil
}

// Constrain writes p into a CA's certificate, except what name constraints cannot
// say: UPNs.
func (p *Permitted) Constrain(c *x509.Certificate) {
	const everything = "" // as a constraint
	c.PermittedDNSDomainsCritical = true
	c.PermittedDNSDomains, c.PermittedEmailAddresses, c.PermittedURIDomains = p.DNSDomains, p.EmailDomains, p.URIDomains
	for _, n := range p.IPRanges {
		c.PermittedIPRanges = append(c.PermittedIPRanges, network(n))
	}
	if len(p.DNSDomains) == 0 {
		c.ExcludedDNSDomains = []string{everything}
	}
	if len(p.EmailDomains) == 0 {
		c.ExcludedEmailAddresses = []string{everything}
	}
	if len(p.URIDomains) == 0 {
		c.ExcludedURIDomains = []string{everything}
	}
	if len(p.IPRanges) == 0 {
		for _, n := range []string{"0.0.0.0/0", "::/0"} {
			c.ExcludedIPRanges = append(c.ExcludedIPRanges, network(netip.MustParsePrefix(n)))
		}
	}
}

func network(p netip.Prefix) *net.IPNet {
	p = p.Masked()
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
