package chain

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"
)

// Links are a leaf with the CAs above it, each of which signed the one before.
type Links struct {
	Chain []*x509.Certificate
	Rest  []*x509.Certificate // that came along and does not belong, or not yet
	Added []*x509.Certificate // of chain, those that did not come along
}

// Link takes apart a chain that is in order as far as it goes.
func Link(chain []*x509.Certificate) *Links {
	n := 1
	for n < len(chain) && !selfIssued(chain[n-1]) && chain[n-1].CheckSignatureFrom(chain[n]) == nil {
		n++
	}
	return &Links{Chain: slices.Clone(chain[:n]), Rest: slices.Clone(chain[n:])}
}

// Top is the last certificate of the chain: the one that nothing is above yet.
func (l *Links) Top() *x509.Certificate { return l.Chain[len(l.Chain)-1] }

// Lacking reports whether the chain has a gap, or is only a leaf that somebody
// else signed. A chain without its root is complete.
func (l *Links) Lacking() bool {
	return !selfIssued(l.Top()) && (len(l.Chain) == 1 || len(l.Rest) > 0)
}

// Strays are those of Rest that do not go on from the chain: it ends in its root, or
// none of them has the name of who signed its top.
func (l *Links) Strays() []*x509.Certificate {
	named := func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, l.Top().RawIssuer) }
	if !selfIssued(l.Top()) && slices.ContainsFunc(l.Rest, named) {
		return nil
	}
	return l.Rest
}

// Unique are certificates without those that were there before.
func Unique(certs []*x509.Certificate) []*x509.Certificate {
	var unique []*x509.Certificate
	for _, c := range certs {
		if !slices.ContainsFunc(unique, c.Equal) {
			unique = append(unique, c)
		}
	}
	return unique
}

// Extend puts issuers above the top as long as there are any that are valid at a
// time, among what came along and what others offer.
func (l *Links) Extend(offered []*x509.Certificate, at time.Time) {
	for len(l.Chain) < MaxIssued && !selfIssued(l.Top()) {
		signed := func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, l.Top().RawIssuer) && !slices.ContainsFunc(l.Chain, c.Equal) &&
				!at.Before(c.NotBefore) && !at.After(c.NotAfter) && l.Top().CheckSignatureFrom(c) == nil
		}
		if i := slices.IndexFunc(l.Rest, signed); i >= 0 {
			l.Chain = append(l.Chain, l.Rest[i])
			l.Rest = slices.Delete(l.Rest, i, i+1)
		} else if i := slices.IndexFunc(offered, signed); i >= 0 {
			l.Chain = append(l.Chain, offered[i])
			l.Added = append(l.Added, offered[i])
		} else {
			return
		}
	}
}

// selfIssued: subject and issuer are the same, as of a root.
func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }
