package acme

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/provider"
)

// Types of identifiers. RFC 8555 section 9.7.7 and RFC 8738 section 3.
const (
	typeDNS = "dns"
	typeIP  = "ip"
)

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// identifiers are what an order for a CSR must name: exactly the DNS names and
// IP addresses in it, common names included. RFC 8555 section 7.4.
func identifiers(der []byte) ([]acmez.Identifier, error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, refuse(provider.CodeIssuerError, "The CSR cannot be read: %v.", err)
	}
	var list []acmez.Identifier
	add := func(id acmez.Identifier) {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	for _, name := range csr.DNSNames {
		add(acmez.Identifier{Type: typeDNS, Value: strings.ToLower(name)})
	}
	for _, ip := range csr.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			add(acmez.Identifier{Type: typeIP, Value: addr.Unmap().String()})
		}
	}
	for _, a := range csr.Subject.Names {
		if !a.Type.Equal(oidCommonName) {
			continue
		}
		cn := fmt.Sprint(a.Value)
		id, ok := commonName(cn)
		if !ok {
			return nil, refuse(provider.CodeIssuerError,
				"The common name %q is neither a DNS name nor an IP address, and a CA that speaks ACME certifies nothing else. Leave CN out of the subject.", cn)
		}
		add(id)
	}
	if len(list) == 0 {
		return nil, refuse(provider.CodeIssuerError, "The CSR has neither a DNS name nor an IP address, and a CA that speaks ACME certifies nothing else.")
	}
	return list, nil
}

// commonName takes a common name for the identifier that it must be.
func commonName(cn string) (acmez.Identifier, bool) {
	if addr, err := netip.ParseAddr(cn); err == nil && addr.Zone() == "" {
		return acmez.Identifier{Type: typeIP, Value: addr.Unmap().String()}, true
	}
	name := strings.ToLower(cn)
	return acmez.Identifier{Type: typeDNS, Value: name}, isDNSName(strings.TrimPrefix(name, "*.")) && strings.Contains(name, ".")
}

// isDNSName reports whether a name in lower case, without the root's dot, is
// made of labels that can stand in an address or a query as they are.
func isDNSName(name string) bool {
	if len(name) > 253 { // RFC 1035 section 2.3.4
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
