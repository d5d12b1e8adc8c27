package privateca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/names"
)

// Profile is what a CA certifies.
type Profile struct {
	// MaxValidity bounds the validity of certificates, a minute or more; 398 days
	// when zero.
	MaxValidity time.Duration

	// KeyUsages, by Key Vault's names, that certificates may have:
	// digitalSignature, keyEncipherment and keyAgreement when nil. keyCertSign
	// and cRLSign are for CAs only and go without saying.
	KeyUsages []string

	// EKUs, dotted, that certificates may have: those for TLS servers and
	// clients when nil.
	EKUs []string

	// NameConstraints are the names that may be certified; nil: all that the CA's
	// own certificates permit.
	NameConstraints *names.Permitted

	// SubordinateCAs allows requests for certificates of CAs. They get a path
	// length of zero and the NameConstraints of the profile.
	SubordinateCAs bool

	// CRLURLs are where the CRL can be fetched (http), IssuerURLs where the CA's
	// certificate can. RFC 5280 sections 4.2.1.13 and 4.2.2.1.
	CRLURLs, IssuerURLs []string
}

// profile is a Profile that was checked, for one authority.
type profile struct {
	Profile
	usage x509.KeyUsage
	ekus  []asn1.ObjectIdentifier // that the authority permits too
}

// caUsage is what a CA's key is for.
const caUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign

func newProfile(p Profile, a *authority) (profile, error) {
	if p.MaxValidity == 0 {
		p.MaxValidity = 398 * 24 * time.Hour
	}
	if p.KeyUsages == nil {
		p.KeyUsages = []string{"digitalSignature", "keyEncipherment", "keyAgreement"}
	}
	if p.EKUs == nil {
		p.EKUs = []string{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"}
	}
	c := profile{Profile: p}
	switch {
	case p.MaxValidity < time.Minute:
		return profile{}, fmt.Errorf("maximal validity of %s: must be at least a minute", p.MaxValidity)
	case p.SubordinateCAs && a.room == 0:
		return profile{}, errors.New("subordinate CAs are not possible: the path length of the CA's chain leaves no room for them")
	}
	for _, name := range p.KeyUsages {
		usage := keyUsages[name]
		if usage == 0 || usage&caUsage != 0 {
			return profile{}, fmt.Errorf("key usage %q is unknown, or for CAs only", name)
		}
		c.usage |= usage
	}
	for _, text := range p.EKUs {
		oid, err := parseOID(text)
		if err != nil {
			return profile{}, fmt.Errorf("extended key usage %q: %w", text, err)
		}
		if a.permitsEKU(oid) {
			c.ekus = append(c.ekus, oid)
		}
	}
	if c.usage == 0 || len(c.ekus) == 0 {
		return profile{}, errors.New("the CA's own certificates permit no key usage, or no extended key usage")
	}
	for _, text := range slices.Concat(p.CRLURLs, p.IssuerURLs) {
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return profile{}, fmt.Errorf("%q is not an http URL", text)
		}
	}
	return c, nil
}

// grant is what of a request is certified.
type grant struct {
	names []pkix.Extension
	usage x509.KeyUsage
	ekus  []asn1.ObjectIdentifier
	ca    bool
}

// Usages that a key can be put to: EC keys do not encipher, RSA keys do not agree.
// RFC 5480 section 3, RFC 3279 section 2.3.1.
const (
	signUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | caUsage
	ecUsage   = signUsage | x509.KeyUsageKeyAgreement | x509.KeyUsageEncipherOnly | x509.KeyUsageDecipherOnly
	rsaUsage  = signUsage | x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment
)

// grant decides what of a request is certified at a time. What is not asked for
// is decided by the profile, since a certificate without key usages would be good
// for all.
func (p *Provider) grant(r request, at time.Time) (grant, *refusal) {
	rules := p.profile
	g := grant{names: r.extension, usage: rules.usage, ekus: rules.ekus, ca: r.ca}
	if r.ca && !rules.SubordinateCAs {
		return grant{}, refuse("x509_props.basic_constraints.ca", "the CA certifies end entities only")
	}
	if r.ca {
		g.usage |= caUsage
	}
	if r.keyUsage != 0 {
		g.usage &= r.keyUsage
	}
	if r.ec {
		g.usage &= ecUsage
	} else {
		g.usage &= rsaUsage
	}
	if r.ca {
		g.usage |= x509.KeyUsageCertSign
	}
	if g.usage&^(x509.KeyUsageEncipherOnly|x509.KeyUsageDecipherOnly) == 0 {
		return grant{}, refuse("x509_props.key_usage", "the CA certifies none of the requested key usages that suit this key; it certifies %s", strings.Join(rules.KeyUsages, ", "))
	}
	if len(r.ekus) > 0 {
		g.ekus = slices.DeleteFunc(slices.Clone(r.ekus), func(oid asn1.ObjectIdentifier) bool {
			return !slices.ContainsFunc(rules.ekus, oid.Equal)
		})
	}
	if len(g.ekus) == 0 {
		return grant{}, refuse("x509_props.ekus", "the CA certifies none of the requested extended key usages; it certifies %s", dotted(rules.ekus))
	}
	if refusal := p.authority.permits(r.names); refusal != nil {
		return grant{}, refusal
	}
	return g, p.authority.validAt(at)
}

// apply writes a grant into a certificate.
func (p profile) apply(c *x509.Certificate, g grant) {
	c.KeyUsage, c.UnknownExtKeyUsage = g.usage, g.ekus
	c.BasicConstraintsValid, c.IsCA, c.MaxPathLenZero = true, g.ca, g.ca
	c.CRLDistributionPoints, c.IssuingCertificateURL = p.CRLURLs, p.IssuerURLs
	if g.ca && p.NameConstraints != nil {
		p.NameConstraints.Constrain(c)
	}
}

func dotted(oids []asn1.ObjectIdentifier) string {
	var list []string
	for _, oid := range oids {
		list = append(list, oid.String())
	}
	return strings.Join(list, ", ")
}

// parseOID reads an object identifier in dotted form.
func parseOID(text string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return nil, err
		}
		oid = append(oid, int(n))
	}
	if _, err := asn1.Marshal(oid); err != nil {
		return nil, err
	}
	return oid, nil
}
