package privateca

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certwright/certwright/handler/internal/names"
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
	names               *names.Checker
}

// newAuthority checks a CA's chain. It certifies names that are permitted (nil:
// any), here and by the chain's name constraints.
func newAuthority(chain []*x509.Certificate, permitted *names.Permitted) (*authority, error) {
	if err := CheckChain(chain); err != nil {
		return nil, err
	}
	checker, err := names.NewChecker(permitted, chain)
	if err != nil {
		return nil, err
	}
	a := &authority{chain: chain, room: -1, notBefore: chain[0].NotBefore, notAfter: chain[0].NotAfter, names: checker}
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

// permits refuses names that the CA does not certify.
func (a *authority) permits(s names.Set) *refusal {
	if refused, ok := errors.AsType[*names.Refusal](a.names.Check(s)); ok {
		return refusalOf(refused)
	}
	return nil
}

// refusalOf is a refusal of an alternative name.
func refusalOf(r *names.Refusal) *refusal {
	return &refusal{"x509_props.sans." + string(r.Kind), r.Why}
}

// validAt refuses to certify anything while the CA's certificates are not valid.
func (a *authority) validAt(at time.Time) *refusal {
	if at.Before(a.notBefore) || at.After(a.notAfter) {
		return refuse("issuer.name", "the CA's certificates are valid from %s to %s only", a.notBefore.Format(time.RFC3339), a.notAfter.Format(time.RFC3339))
	}
	return nil
}
