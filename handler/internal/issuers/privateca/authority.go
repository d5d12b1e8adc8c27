package privateca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// maxChain is how many certificates a CA may bring along; with the one that is
// issued they are what the vault takes.
const maxChain = 9

// authority is a CA by its own certificates.
type authority struct {
	chain               []*x509.Certificate // the CA's first
	room                int                 // for CAs below it; -1: any number
	ekus                [][]asn1.ObjectIdentifier
	notBefore, notAfter time.Time // while all of chain are valid

	// A likeness of chain with other keys. A certificate that its first signs is
	// accepted by a verifier that trusts anchor if one that the CA signs would be.
	likeness *x509.CertPool
	anchor   *x509.CertPool
	signer   *x509.Certificate
	key      *ecdsa.PrivateKey
}

// newAuthority checks a CA's chain. Certificates with names other than the given
// (nil: any) are not accepted under the likeness.
func newAuthority(chain []*x509.Certificate, names *Names) (*authority, error) {
	if err := CheckChain(chain); err != nil {
		return nil, err
	}
	a := &authority{chain: chain, room: -1, notBefore: chain[0].NotBefore, notAfter: chain[0].NotAfter}
	for depth, c := range chain {
		if c.NotBefore.After(a.notBefore) {
			a.notBefore = c.NotBefore
		}
		if c.NotAfter.Before(a.notAfter) {
			a.notAfter = c.NotAfter
		}
		if c.MaxPathLen >= 0 { // parsed: -1 when there is no limit
			room := c.MaxPathLen - depth
			if room < 0 {
				return nil, fmt.Errorf("the path length of %q does not allow the %d CAs below it", c.Subject, depth)
			}
			if a.room < 0 || room < a.room {
				a.room = room
			}
		}
		for _, e := range c.Extensions {
			if !e.Id.Equal(oidExtKeyUsage) {
				continue
			}
			var ekus []asn1.ObjectIdentifier
			if err := unmarshal(e.Value, &ekus); err != nil {
				return nil, fmt.Errorf("extended key usages of %q: %w", c.Subject, err)
			}
			a.ekus = append(a.ekus, ekus)
		}
	}
	if err := a.imitate(names); err != nil {
		return nil, fmt.Errorf("name constraints: %w", err)
	}
	return a, nil
}

// CheckChain checks that certificates are a CA's with those above it.
func CheckChain(chain []*x509.Certificate) error {
	if len(chain) == 0 || len(chain) > maxChain {
		return fmt.Errorf("the CA has %d certificates: must be 1 to %d", len(chain), maxChain)
	}
	for i, c := range chain {
		switch {
		case !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage&x509.KeyUsageCertSign == 0:
			return fmt.Errorf("%q is not the certificate of a CA that may certify", c.Subject)
		case len(c.SubjectKeyId) == 0:
			return fmt.Errorf("%q has no subject key identifier", c.Subject)
		case len(c.UnhandledCriticalExtensions) > 0:
			return fmt.Errorf("%q has critical extensions that are not understood here: %s", c.Subject, dotted(c.UnhandledCriticalExtensions))
		case i == 0:
			continue
		}
		if err := chain[i-1].CheckSignatureFrom(c); err != nil {
			return fmt.Errorf("%q is not signed by the next, %q: %w", chain[i-1].Subject, c.Subject, err)
		}
	}
	return nil
}

// oidAnyEKU is anyExtendedKeyUsage. RFC 5280 section 4.2.1.12.
var oidAnyEKU = asn1.ObjectIdentifier{2, 5, 29, 37, 0}

// permitsEKU reports whether no CA restricts its extended key usages to others.
// RFC 5280 does not ask for that; verifiers do.
func (a *authority) permitsEKU(oid asn1.ObjectIdentifier) bool {
	for _, ekus := range a.ekus {
		if !slices.ContainsFunc(ekus, oid.Equal) && !slices.ContainsFunc(ekus, oidAnyEKU.Equal) {
			return false
		}
	}
	return true
}

// within bounds the validity of a certificate that is issued at a time.
func (a *authority) within(c *x509.Certificate, at time.Time, longest time.Duration) {
	if c.NotBefore.Before(a.notBefore) {
		c.NotBefore = a.notBefore
	}
	for _, end := range []time.Time{at.Add(longest), a.notAfter} {
		if end.Before(c.NotAfter) {
			c.NotAfter = end
		}
	}
}

// imitate makes the likeness: the same subjects, name constraints and validities,
// below an anchor that is constrained to names. Path lengths are known to do.
func (a *authority) imitate(names *Names) error {
	anchor := &x509.Certificate{Subject: pkix.Name{CommonName: "profile"}, NotBefore: a.notBefore, NotAfter: a.notAfter}
	if names != nil {
		names.constrain(anchor)
	}
	parent, key, err := imitation(anchor, nil, nil)
	if err != nil {
		return err
	}
	a.anchor, a.likeness = x509.NewCertPool(), x509.NewCertPool()
	a.anchor.AddCert(parent)
	for _, c := range slices.Backward(a.chain) {
		parent, key, err = imitation(&x509.Certificate{
			RawSubject:                  c.RawSubject,
			NotBefore:                   c.NotBefore,
			NotAfter:                    c.NotAfter,
			PermittedDNSDomainsCritical: true,
			PermittedDNSDomains:         c.PermittedDNSDomains,
			ExcludedDNSDomains:          c.ExcludedDNSDomains,
			PermittedIPRanges:           c.PermittedIPRanges,
			ExcludedIPRanges:            c.ExcludedIPRanges,
			PermittedEmailAddresses:     c.PermittedEmailAddresses,
			ExcludedEmailAddresses:      c.ExcludedEmailAddresses,
			PermittedURIDomains:         c.PermittedURIDomains,
			ExcludedURIDomains:          c.ExcludedURIDomains,
		}, parent, key)
		if err != nil {
			return err
		}
		a.likeness.AddCert(parent)
	}
	a.signer, a.key = parent, key
	return nil
}

// imitation makes a CA's certificate with a key of its own; without a parent it
// signs itself.
func imitation(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	template.SerialNumber, template.BasicConstraintsValid, template.IsCA, template.MaxPathLen = big.NewInt(1), true, true, -1
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, err
	}
	c, err := x509.ParseCertificate(der)
	return c, key, err
}

// permits has the names of a request certified under the likeness and verified at
// a time.
func (a *authority) permits(r request, at time.Time) *refusal {
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber:   big.NewInt(1),
		NotBefore:      a.notBefore,
		NotAfter:       a.notAfter,
		DNSNames:       r.dns,
		EmailAddresses: r.emails,
		IPAddresses:    r.ips,
		URIs:           r.uris,
	}, a.signer, &a.key.PublicKey, a.key)
	var c *x509.Certificate
	if err == nil {
		c, err = x509.ParseCertificate(der)
	}
	if err == nil {
		_, err = c.Verify(x509.VerifyOptions{
			Roots:         a.anchor,
			Intermediates: a.likeness,
			CurrentTime:   at,
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
	}
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return refuse("issuer.name", "the CA's certificates are valid from %s to %s only", a.notBefore.Format(time.RFC3339), a.notAfter.Format(time.RFC3339))
	case errors.As(err, &invalid) && invalid.Detail != "":
		return refuse("x509_props.sans", "%s", invalid.Detail)
	default:
		return refuse("x509_props.sans", "%v", err)
	}
}
