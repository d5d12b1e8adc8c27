package names

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Set are the names that a certificate is for, or is to be for.
type Set struct {
	DNS, Emails, UPNs []string
	URIs              []*url.URL
	IPs               []net.IP
}

// Kind is a kind of names, as policies call their list of it.
type Kind string

// Kinds of names.
const (
	DNS   Kind = "dns_names"
	Email Kind = "emails"
	UPN   Kind = "upns"
	URI   Kind = "uris"
	IP    Kind = "ipAddresses"
)

// kindText is the kind for people.
var kindText = map[Kind]string{
	DNS: "DNS name", Email: "e-mail address", UPN: "user principal name", URI: "URI", IP: "IP address",
}

// Refusal says why a name is not certified.
type Refusal struct {
	Kind Kind
	Why  string // names the name; without a full stop
}

func (r *Refusal) Error() string { return r.Why }

func refuse(kind Kind, format string, args ...any) *Refusal {
	return &Refusal{kind, fmt.Sprintf(format, args...)}
}

// Parse reads names as they are written. Its error is a *Refusal.
func Parse(dns, emails, upns, uris, ips []string) (Set, error) {
	s := Set{DNS: dns, Emails: emails, UPNs: upns}
	for _, text := range uris {
		u, err := url.Parse(text)
		if err != nil {
			return Set{}, refuse(URI, "%q is not a URI", text)
		}
		s.URIs = append(s.URIs, u)
	}
	for _, text := range ips {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Is4In6() { // verifiers differ about which of the two it is
			return Set{}, refuse(IP, "%q is not an IP address, or is an IPv4 address in the form of IPv6", text)
		}
		s.IPs = append(s.IPs, addr.AsSlice())
	}
	return s, nil
}

// OfRequest are all names of a CSR, those in its subject among them.
func OfRequest(r *x509.CertificateRequest) (Set, error) {
	s := Set{DNS: r.DNSNames, Emails: r.EmailAddresses, URIs: r.URIs, IPs: r.IPAddresses}
	return s.complete(r.Subject, r.Extensions)
}

// OfCertificate are all names of a certificate, those in its subject among them.
func OfCertificate(c *x509.Certificate) (Set, error) {
	s := Set{DNS: c.DNSNames, Emails: c.EmailAddresses, URIs: c.URIs, IPs: c.IPAddresses}
	return s.complete(c.Subject, c.Extensions)
}

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// complete adds what crypto/x509 does not read, and refuses what nobody does.
func (s Set) complete(subject pkix.Name, extensions []pkix.Extension) (Set, error) {
	for _, ip := range s.IPs {
		if len(ip) == net.IPv6len && ip.To4() != nil {
			return Set{}, fmt.Errorf("%s is an IPv4 address in the form of IPv6", ip)
		}
	}
	for _, e := range extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		upns, err := userNames(e.Value)
		if err != nil {
			return Set{}, fmt.Errorf("subject alternative names: %w", err)
		}
		s.UPNs = append(s.UPNs, upns...)
	}
	return s.and(OfSubject(subject)), nil
}

func (s Set) and(t Set) Set {
	return Set{
		DNS:    slices.Concat(s.DNS, t.DNS),
		Emails: slices.Concat(s.Emails, t.Emails),
		UPNs:   slices.Concat(s.UPNs, t.UPNs),
		URIs:   slices.Concat(s.URIs, t.URIs),
		IPs:    slices.Concat(s.IPs, t.IPs),
	}
}

var (
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)

// OfSubject are the names in a subject: common names that programs may take for
// the name of a host or the address of one, and mailboxes.
func OfSubject(subject pkix.Name) Set {
	var s Set
	for _, a := range subject.Names {
		text, ok := a.Value.(string)
		switch {
		case !ok:
		case a.Type.Equal(oidEmailAddress) && strings.Contains(text, "@"):
			s.Emails = append(s.Emails, text)
		case a.Type.Equal(oidCommonName):
			host := strings.TrimRight(text, ". \x00")
			if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
				s.IPs = append(s.IPs, addr.Unmap().AsSlice())
			} else if isHostName(host) {
				s.DNS = append(s.DNS, host)
			}
		}
	}
	return s
}

// isHostName reports whether programs may take a common name for the name of a
// host: labels, perhaps with wildcards, and a dot between.
func isHostName(cn string) bool {
	labels := strings.Split(cn, ".")
	for _, label := range labels {
		if label == "" || strings.Trim(label, hostLetters+"*") != "" {
			return false
		}
	}
	return len(labels) > 1
}

// userNames are the UPNs among alternative names, which x509 does not read. The
// kinds that neither of them knows are refused. RFC 5280 section 4.2.1.6.
func userNames(extension []byte) ([]string, error) {
	list, err := ReadGeneralNames(extension)
	if err != nil {
		return nil, err
	}
	var upns []string
	for _, n := range list {
		switch n.Tag {
		case TagEmail, TagDNS, TagURI, TagIP:
			continue
		}
		upn, ok := n.UPN()
		if !ok {
			return nil, fmt.Errorf("a name of a kind that is not known here (tag %d)", n.Tag)
		}
		upns = append(upns, upn)
	}
	return upns, nil
}
