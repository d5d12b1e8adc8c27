package policy

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/names"
)

// Limits of the alternative names of one policy.
const (
	maxSANs     = 250
	maxSANBytes = 32 << 10 // of all of them; policy and CSR are kept in one row
	maxSAN      = 2048     // bytes of one
	maxDNSName  = 253      // RFC 1035 section 2.3.4, without the root's dot
)

// sanKind is one of the lists of alternative names.
type sanKind struct {
	field string // on the wire
	list  func(*SANs) *[]string
	check func(string) error
	// add appends a valid name as a GeneralName.
	add func(*cryptobyte.Builder, string)
}

// sanKinds are in the order of the extension, which is that of the live service's
// CSRs.
var sanKinds = []sanKind{
	{"emails", func(s *SANs) *[]string { return &s.Emails }, checkEmail, addIA5(names.TagEmail)},
	{"dns_names", func(s *SANs) *[]string { return &s.DNSNames }, checkDNSName, addIA5(names.TagDNS)},
	{"upns", func(s *SANs) *[]string { return &s.UPNs }, checkUPN, addUPN},
	{"uris", func(s *SANs) *[]string { return &s.URIs }, checkURI, addIA5(names.TagURI)},
	{"ipAddresses", func(s *SANs) *[]string { return &s.IPAddresses }, checkIPAddress, addIPAddress},
}

// count is the number of names. s may be nil.
func (s *SANs) count() int {
	n := 0
	if s != nil {
		for _, k := range sanKinds {
			n += len(*k.list(s))
		}
	}
	return n
}

// Empty reports whether there are no names. s may be nil.
func (s *SANs) Empty() bool { return s.count() == 0 }

// with is s with those lists of sent that were sent in the place of its own: nil
// was not sent. A list that was sent empty is none.
func (s *SANs) with(sent *SANs) *SANs {
	merged := new(SANs)
	if s != nil {
		*merged = *s
	}
	for _, k := range sanKinds {
		if list := *k.list(sent); len(list) > 0 {
			*k.list(merged) = slices.Clone(list)
		} else if list != nil {
			*k.list(merged) = nil
		}
	}
	return merged
}

const sansPath = "policy.x509_props.sans"

// check refuses names that cannot stand in a certificate.
func (s *SANs) check() error {
	for _, k := range sanKinds {
		for _, name := range *k.list(s) {
			if len(name) > maxSAN {
				return field.Errorf(sansPath+"."+k.field, "a name of %d bytes: must be at most %d", len(name), maxSAN)
			}
			if err := k.check(name); err != nil {
				return field.Errorf(sansPath+"."+k.field, "%q: %v", name, err)
			}
		}
	}
	return nil
}

// checkTotal bounds all names together.
func (s *SANs) checkTotal() error {
	if n := s.count(); n > maxSANs {
		return field.Errorf(sansPath, "%d names: must be at most %d", n, maxSANs)
	}
	total := 0
	for _, k := range sanKinds {
		for _, name := range *k.list(s) {
			total += len(name)
		}
	}
	if total > maxSANBytes {
		return field.Errorf(sansPath, "%d bytes of names: must be at most %d", total, maxSANBytes)
	}
	return nil
}

// checkDNSName wants a host name (RFC 1123 section 2.1; an underscore is taken
// too, as CAs of private names do) whose first label may be the wildcard.
func checkDNSName(name string) error {
	host := strings.TrimPrefix(name, "*.")
	switch {
	case !isASCII(host):
		return errors.New("an internationalized name is written in its ASCII form")
	case len(name) > maxDNSName:
		return fmt.Errorf("more than %d characters", maxDNSName)
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return errors.New("a label must have 1 to 63 characters")
		}
		if strings.Trim(label, "-") != label || strings.Trim(label, letters+"0123456789-_") != "" {
			return fmt.Errorf("label %q is not made of letters, digits and inner hyphens", label)
		}
	}
	return nil
}

// checkEmail wants a mailbox without display name. RFC 5280 section 4.2.1.6,
// rfc822Name.
func checkEmail(address string) error {
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || !isASCII(address) {
		return errors.New("not an address of the form local@domain in ASCII")
	}
	domain := address[strings.LastIndexByte(address, '@')+1:]
	if strings.HasPrefix(domain, "*") {
		return errors.New("a wildcard")
	}
	return checkDNSName(domain)
}

// checkUPN wants text; a UPN's form is the directory's business.
func checkUPN(upn string) error {
	if upn == "" || !field.IsText(upn) {
		return errors.New("not UTF-8 text")
	}
	return nil
}

// checkURI wants an absolute URI, its host a DNS name or an IP address. RFC
// 5280 section 4.2.1.6, uniformResourceIdentifier.
func checkURI(uri string) error {
	parsed, err := url.Parse(uri)
	switch {
	case err != nil:
		return errors.New("not a URI")
	case parsed.Scheme == "" || len(uri) == len(parsed.Scheme)+len(":"):
		return errors.New("not an absolute URI")
	case strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("a character that is not percent-encoded")
	case parsed.Host == "":
		return nil
	}
	host := parsed.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		return nil
	}
	if strings.HasPrefix(host, "*") {
		return errors.New("a wildcard")
	}
	return checkDNSName(host)
}

// checkIPAddress wants an IPv4 or IPv6 address without zone or mask.
func checkIPAddress(ip string) error {
	if addr, err := netip.ParseAddr(ip); err != nil || addr.Zone() != "" {
		return errors.New("not an IP address")
	}
	return nil
}

// addIA5 appends names of the kinds that are an IA5String under tag.
func addIA5(tag asn1.Tag) func(*cryptobyte.Builder, string) {
	return func(b *cryptobyte.Builder, name string) {
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
	}
}

// addUPN appends an otherName whose value is a UTF8String.
func addUPN(b *cryptobyte.Builder, upn string) {
	b.AddASN1(names.TagOtherName, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(names.OIDUPN)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(upn)) })
		})
	})
}

func addIPAddress(b *cryptobyte.Builder, ip string) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		b.SetError(err)
		return
	}
	b.AddASN1(names.TagIP, func(b *cryptobyte.Builder) { b.AddBytes(addr.AsSlice()) })
}
