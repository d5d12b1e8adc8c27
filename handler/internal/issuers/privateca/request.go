package privateca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/vault"
)

// request is what a certificate is asked to be, in a policy or in a CSR.
type request struct {
	dns, emails, upns []string
	ips               []net.IP
	uris              []*url.URL
	extension         []pkix.Extension // the CSR's alternative names as they are
	keyUsage          x509.KeyUsage
	ekus              []asn1.ObjectIdentifier
	ca                bool
	ec                bool // the key is one for ECDSA and ECDH
}

// refusal says why something is not certified.
type refusal struct {
	field string // below policy
	why   string // without a full stop
}

func refuse(field, format string, args ...any) *refusal {
	return &refusal{field, fmt.Sprintf(format, args...)}
}

// keyUsages are Key Vault's names of key usages.
var keyUsages = map[string]x509.KeyUsage{
	"digitalSignature": x509.KeyUsageDigitalSignature,
	"nonRepudiation":   x509.KeyUsageContentCommitment,
	"keyEncipherment":  x509.KeyUsageKeyEncipherment,
	"dataEncipherment": x509.KeyUsageDataEncipherment,
	"keyAgreement":     x509.KeyUsageKeyAgreement,
	"keyCertSign":      x509.KeyUsageCertSign,
	"cRLSign":          x509.KeyUsageCRLSign,
	"encipherOnly":     x509.KeyUsageEncipherOnly,
	"decipherOnly":     x509.KeyUsageDecipherOnly,
}

// requestOfPolicy reads what the CSR of a policy will ask for, except its common
// names.
func requestOfPolicy(p vault.Policy) (request, *refusal) {
	r := request{ca: p.X509.CA, ec: p.Key.Type == vault.KeyEC || p.Key.Type == vault.KeyECHSM}
	for _, name := range p.X509.KeyUsage {
		r.keyUsage |= keyUsages[name]
	}
	for _, text := range p.X509.EKUs {
		oid, err := parseOID(text)
		if err != nil {
			return request{}, refuse("x509_props.ekus", "%q is no object identifier", text)
		}
		r.ekus = append(r.ekus, oid)
	}
	if p.X509.SANs == nil {
		return r, nil
	}
	r.dns, r.emails, r.upns = p.X509.SANs.DNSNames, p.X509.SANs.Emails, p.X509.SANs.UPNs
	for _, text := range p.X509.SANs.IPAddresses {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Is4In6() {
			return request{}, refuse("x509_props.sans.ipAddresses", "%q is no IP address, or an IPv4 address in the form of IPv6", text)
		}
		r.ips = append(r.ips, addr.AsSlice())
	}
	for _, text := range p.X509.SANs.URIs {
		u, err := url.Parse(text)
		if err != nil {
			return request{}, refuse("x509_props.sans.uris", "%q is no URI", text)
		}
		r.uris = append(r.uris, u)
	}
	return r, nil
}

// Extensions of a CSR. RFC 5280 sections 4.2.1.3 to 4.2.1.12.
var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// requestOfCSR reads what a CSR asks for. It refuses what it does not know.
func requestOfCSR(csr *x509.CertificateRequest) (request, error) {
	r := request{dns: csr.DNSNames, emails: csr.EmailAddresses, ips: csr.IPAddresses, uris: csr.URIs, ec: isEC(csr.PublicKey)}
	for _, ip := range csr.IPAddresses {
		// Verifiers differ about which of the two it is.
		if len(ip) == net.IPv6len && ip.To4() != nil {
			return request{}, fmt.Errorf("%s is an IPv4 address in the form of IPv6", ip)
		}
	}
	for _, a := range csr.Subject.Names {
		if text, ok := a.Value.(string); ok && a.Type.Equal(oidCommonName) {
			r.addCommonName(text)
		}
	}
	for _, e := range csr.Extensions {
		var err error
		switch {
		case e.Id.Equal(oidKeyUsage):
			var bits asn1.BitString
			if err = unmarshal(e.Value, &bits); err == nil {
				r.keyUsage = usageOf(bits)
			}
		case e.Id.Equal(oidExtKeyUsage):
			err = unmarshal(e.Value, &r.ekus)
		case e.Id.Equal(oidBasicConstraints):
			var constraints struct {
				CA         bool `asn1:"optional"`
				MaxPathLen int  `asn1:"optional,default:-1"`
			}
			err = unmarshal(e.Value, &constraints)
			r.ca = constraints.CA
		case e.Id.Equal(oidSubjectAltName):
			r.extension = append(r.extension, e)
			r.upns, err = userNames(e.Value)
		default:
			err = errors.New("is not known here")
		}
		if err != nil {
			return request{}, fmt.Errorf("extension %s: %w", e.Id, err)
		}
	}
	return r, nil
}

func isEC(pub crypto.PublicKey) bool {
	_, ok := pub.(*ecdsa.PublicKey)
	return ok
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// addCommonName adds the name of a host, or the address of one, that programs may
// take a common name for.
func (r *request) addCommonName(cn string) {
	host := strings.TrimRight(cn, ". \x00")
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		r.ips = append(slices.Clone(r.ips), addr.Unmap().AsSlice())
	} else if isHostName(host) && !slices.Contains(r.dns, host) {
		r.dns = append(slices.Clone(r.dns), host)
	}
}

// isHostName reports whether programs may take a common name for the name of a
// host: labels, perhaps with wildcards, and a dot between.
func isHostName(cn string) bool {
	labels := strings.Split(cn, ".")
	for _, label := range labels {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*") != "" {
			return false
		}
	}
	return len(labels) > 1
}

func unmarshal(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err == nil && len(rest) > 0 {
		err = errors.New("trailing data")
	}
	return err
}

// usageOf turns the bits of a KeyUsage around: its first is x509's lowest.
func usageOf(bits asn1.BitString) x509.KeyUsage {
	var usage x509.KeyUsage
	for n := range 9 {
		usage |= x509.KeyUsage(bits.At(n)) << n
	}
	return usage
}

// oidUPN is Microsoft's szOID_NT_PRINCIPAL_NAME.
var oidUPN = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}

// userNames are the UPNs among alternative names, which x509 does not read. The
// kinds that neither of them knows are refused. RFC 5280 section 4.2.1.6.
func userNames(value []byte) ([]string, error) {
	input := cryptobyte.String(value)
	var list cryptobyte.String
	if !input.ReadASN1(&list, cryptobyteasn1.SEQUENCE) || !input.Empty() {
		return nil, errors.New("not a sequence of names")
	}
	otherName := cryptobyteasn1.Tag(0).ContextSpecific().Constructed()
	known := []cryptobyteasn1.Tag{
		cryptobyteasn1.Tag(1).ContextSpecific(), // rfc822Name
		cryptobyteasn1.Tag(2).ContextSpecific(), // dNSName
		cryptobyteasn1.Tag(6).ContextSpecific(), // uniformResourceIdentifier
		cryptobyteasn1.Tag(7).ContextSpecific(), // iPAddress
	}
	var upns []string
	for !list.Empty() {
		var name cryptobyte.String
		var tag cryptobyteasn1.Tag
		if !list.ReadAnyASN1(&name, &tag) {
			return nil, errors.New("not a sequence of names")
		}
		if slices.Contains(known, tag) {
			continue
		}
		var kind asn1.ObjectIdentifier
		var wrapped, upn cryptobyte.String
		if tag != otherName || !name.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidUPN) ||
			!name.ReadASN1(&wrapped, otherName) || !name.Empty() || !wrapped.ReadASN1(&upn, cryptobyteasn1.UTF8String) || !wrapped.Empty() {
			return nil, fmt.Errorf("a name of a kind that is not known here (tag %d)", tag)
		}
		upns = append(upns, string(upn))
	}
	return upns, nil
}
