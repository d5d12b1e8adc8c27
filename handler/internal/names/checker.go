package names

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// Checker decides which names may be certified. It has them certified under a
// likeness, a chain of CAs with the same constraints and keys of its own, and
// verifies the certificate: how names and constraints match is crypto/x509's
// business alone. Its methods may be called concurrently.
type Checker struct {
	permitted *Permitted

	// A certificate that signer signs is accepted by a verifier that trusts
	// anchor if its names are permitted.
	likeness *x509.CertPool
	anchor   *x509.CertPool
	signer   *x509.Certificate
	key      *ecdsa.PrivateKey
}

// NewChecker makes a Checker for what is permitted, anything when nil, and for the
// name constraints of a CA's chain, the CA's own certificate first; there may be
// none.
func NewChecker(permitted *Permitted, chain []*x509.Certificate) (*Checker, error) {
	anchor := &x509.Certificate{Subject: pkix.Name{CommonName: "permitted"}}
	if permitted != nil {
		if err := permitted.Check(); err != nil {
			return nil, err
		}
		permitted.Constrain(anchor)
	}
	c := &Checker{permitted: permitted, likeness: x509.NewCertPool(), anchor: x509.NewCertPool()}
	if err := c.imitate(anchor, c.anchor); err != nil {
		return nil, err
	}
	for _, ca := range slices.Backward(chain) {
		err := c.imitate(&x509.Certificate{
			RawSubject:                  ca.RawSubject,
			PermittedDNSDomainsCritical: true,
			PermittedDNSDomains:         ca.PermittedDNSDomains,
			ExcludedDNSDomains:          ca.ExcludedDNSDomains,
			PermittedIPRanges:           ca.PermittedIPRanges,
			ExcludedIPRanges:            ca.ExcludedIPRanges,
			PermittedEmailAddresses:     ca.PermittedEmailAddresses,
			ExcludedEmailAddresses:      ca.ExcludedEmailAddresses,
			PermittedURIDomains:         ca.PermittedURIDomains,
			ExcludedURIDomains:          ca.ExcludedURIDomains,
		}, c.likeness)
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// When the likeness is valid, and a moment of that.
var (
	begin = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	then  = begin.AddDate(1, 0, 0)
	end   = begin.AddDate(2, 0, 0)
)

// imitate makes a CA with a key of its own below the last, which it takes the
// place of, and adds it to a pool. The first signs itself.
func (c *Checker) imitate(template *x509.Certificate, pool *x509.CertPool) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("name constraints: %w", err)
	}
	if c.signer == nil {
		c.signer, c.key = template, key
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), begin, end
	template.BasicConstraintsValid, template.IsCA, template.MaxPathLen = true, true, -1
	der, err := x509.CreateCertificate(rand.Reader, template, c.signer, &key.PublicKey, c.key)
	if err != nil {
		return fmt.Errorf("name constraints: %w", err)
	}
	if c.signer, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("name constraints: %w", err)
	}
	c.key = key
	pool.AddCert(c.signer)
	return nil
}

// Check refuses the first kind of names of which one is not permitted. Its error
// is a *Refusal.
func (c *Checker) Check(s Set) error {
	for _, part := range s.parts() {
		if p := c.permitted; p != nil && p.count(part.kind) == 0 {
			return refuse(part.kind, "%s %q is not permitted: no name of this kind is", kindText[part.kind], part.first)
		}
		if refusal := c.certify(part.kind, part.template); refusal != nil {
			return refusal
		}
	}
	if c.permitted == nil {
		return nil
	}
	for _, email := range s.Emails {
		if !permits(c.permitted.EmailDomains, email, domainOf(email)) {
			return notPermitted(Email, email)
		}
	}
	for _, upn := range s.UPNs {
		if !permits(c.permitted.UPNDomains, upn, domainOf(upn)) {
			return notPermitted(UPN, upn)
		}
	}
	for _, uri := range s.URIs {
		if !permits(c.permitted.URIDomains, uri.String(), uri.Hostname()) {
			return notPermitted(URI, uri.String())
		}
	}
	return nil
}

// part are the names of one kind.
type part struct {
	kind     Kind
	first    string
	template *x509.Certificate
}

// parts are the kinds of which there are names.
func (s Set) parts() []part {
	var parts []part
	if len(s.DNS) > 0 {
		parts = append(parts, part{DNS, s.DNS[0], &x509.Certificate{DNSNames: s.DNS}})
	}
	if len(s.Emails) > 0 {
		parts = append(parts, part{Email, s.Emails[0], &x509.Certificate{EmailAddresses: s.Emails}})
	}
	if len(s.UPNs) > 0 {
		parts = append(parts, part{UPN, s.UPNs[0], &x509.Certificate{}})
	}
	if len(s.URIs) > 0 {
		parts = append(parts, part{URI, s.URIs[0].String(), &x509.Certificate{URIs: s.URIs}})
	}
	if len(s.IPs) > 0 {
		parts = append(parts, part{IP, s.IPs[0].String(), &x509.Certificate{IPAddresses: s.IPs}})
	}
	return parts
}

// count is how many entries p has for a kind.
func (p *Permitted) count(kind Kind) int {
	switch kind {
	case DNS:
		return len(p.DNSDomains)
	case Email:
		return len(p.EmailDomains)
	case UPN:
		return len(p.UPNDomains)
	case URI:
		return len(p.URIDomains)
	default:
		return len(p.IPRanges)
	}
}

// certify has names of one kind certified under the likeness and verified.
func (c *Checker) certify(kind Kind, template *x509.Certificate) *Refusal {
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), begin, end
	der, err := x509.CreateCertificate(rand.Reader, template, c.signer, &c.key.PublicKey, c.key)
	var leaf *x509.Certificate
	if err == nil {
		leaf, err = x509.ParseCertificate(der)
	}
	if err == nil {
		_, err = leaf.Verify(x509.VerifyOptions{
			Roots:         c.anchor,
			Intermediates: c.likeness,
			CurrentTime:   then,
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
	}
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid) && invalid.Detail != "":
		return refuse(kind, "%s", invalid.Detail)
	default:
		return refuse(kind, "%v", err)
	}
}

// permits reports whether one of entries is for a name of a host: the name itself,
// the host, or, with a leading dot, a domain above it. Of name constraints on
// mailboxes and URIs crypto/x509 takes a host for a domain, and those on UPNs it
// does not know.
func permits(entries []string, name, host string) bool {
	return host != "" && slices.ContainsFunc(entries, func(entry string) bool {
		at := strings.LastIndexByte(entry, '@')
		switch {
		case at >= 0:
			return strings.TrimSuffix(name, host) == entry[:at+1] && sameDomain(host, entry[at+1:])
		case entry[0] == '.':
			return len(host) > len(entry) && sameDomain(host[len(host)-len(entry):], entry)
		default:
			return sameDomain(host, entry)
		}
	})
}

// domainOf is what follows the @ of a name; empty without one.
func domainOf(name string) string {
	at := strings.LastIndexByte(name, '@')
	if at < 0 {
		return ""
	}
	return name[at+1:]
}

func notPermitted(kind Kind, name string) *Refusal {
	return refuse(kind, "%s %q is not permitted", kindText[kind], name)
}

// sameDomain compares domains without case in ASCII only: other letters have more
// relatives than one, and some of them are in ASCII.
func sameDomain(a, b string) bool {
	ascii := !strings.ContainsFunc(a, func(r rune) bool { return r > '~' })
	return a == b || ascii && strings.EqualFold(a, b)
}
