package vault

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// ChainSource is an Issuer whose CA offers the certificates of CAs, for leaves
// that come without.
type ChainSource interface {
	// Certificates are those (DER) of the CA that an issuer object uses and of
	// the CAs above it, in any order. The vault takes of them what signed.
	Certificates(ctx context.Context, issuer IssuerObject) ([][]byte, error)
}

// maxOffered is how many certificates of a ChainSource are looked at.
const maxOffered = 64

// completeChain adds to the chain that an issuer returned for h's operation, leaf
// first, the certificates of CAs that it left out: from what its CA offers, or from
// the chain of the version before, if the same issuer object obtained it. Addresses
// in certificates are not followed. A chain that cannot be completed is returned as
// it is.
func (v *Vault) completeChain(ctx context.Context, n Name, h *head, issuer Issuer, object IssuerObject, given []*x509.Certificate) []*x509.Certificate {
	op := h.Operation
	chain := linkChain(given)
	if !chain.lacking() {
		return given
	}
	log := v.cfg.Log.With("certificate", n.text, "request_id", op.RequestID, "issuer", object.Name)
	if source, ok := issuer.(ChainSource); ok {
		offered, err := v.offered(ctx, source, object)
		if err != nil {
			log.WarnContext(ctx, "the CA's own certificates cannot be had", "error", err)
		}
		chain.extend(offered, v.now())
	}
	if chain.lacking() && h.Latest.issuedBy(op) {
		last, err := v.chain(ctx, h.Latest)
		if err != nil {
			log.WarnContext(ctx, "the chain of the last version cannot be had", "error", err)
		} else {
			chain.extend(last[1:], v.now())
		}
	}
	if chain.lacking() {
		log.WarnContext(ctx, "chain is incomplete", "lacks", nameText(chain.top().RawIssuer))
	}
	if len(chain.added) == 0 {
		return given
	}
	log.InfoContext(ctx, "chain completed", "added", len(chain.added))
	return slices.Concat(chain.chain, chain.rest) // nothing that came along is lost
}

// offered asks a CA for its certificates.
func (v *Vault) offered(ctx context.Context, source ChainSource, object IssuerObject) (certs []*x509.Certificate, err error) {
	defer v.recovered(ctx, "provider", object.Provider, &err, "issuer", object.Name)
	der, err := source.Certificates(ctx, object)
	switch {
	case err != nil:
		return nil, err
	case len(der) > maxOffered:
		return nil, fmt.Errorf("%d certificates: must be at most %d", len(der), maxOffered)
	case len(der) == 0:
		return nil, nil
	}
	return parseChain(der)
}

// links are a leaf with the CAs above it, each of which signed the one before.
type links struct {
	chain []*x509.Certificate
	rest  []*x509.Certificate // that came along and does not belong, or not yet
	added []*x509.Certificate // of chain, those that did not come along
}

// linkChain takes apart a chain that is in order as far as it goes.
func linkChain(chain []*x509.Certificate) *links {
	n := 1
	for n < len(chain) && !selfIssued(chain[n-1]) && chain[n-1].CheckSignatureFrom(chain[n]) == nil {
		n++
	}
	return &links{chain: slices.Clone(chain[:n]), rest: slices.Clone(chain[n:])}
}

func (l *links) top() *x509.Certificate { return l.chain[len(l.chain)-1] }

// lacking reports whether the chain has a gap, or is only a leaf that somebody
// else signed. That a root is left out is no lack.
func (l *links) lacking() bool {
	return !selfIssued(l.top()) && (len(l.chain) == 1 || len(l.rest) > 0)
}

// extend puts issuers above the top as long as there are any that are valid at a
// time, among what came along and what others offer.
func (l *links) extend(offered []*x509.Certificate, at time.Time) {
	for len(l.chain) < maxChain && !selfIssued(l.top()) {
		signed := func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, l.top().RawIssuer) && !slices.ContainsFunc(l.chain, c.Equal) &&
				!at.Before(c.NotBefore) && !at.After(c.NotAfter) && l.top().CheckSignatureFrom(c) == nil
		}
		if i := slices.IndexFunc(l.rest, signed); i >= 0 {
			l.chain = append(l.chain, l.rest[i])
			l.rest = slices.Delete(l.rest, i, i+1)
		} else if i := slices.IndexFunc(offered, signed); i >= 0 {
			l.chain = append(l.chain, offered[i])
			l.added = append(l.added, offered[i])
		} else {
			return
		}
	}
}

// selfIssued: subject and issuer are the same, as of a root.
func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }
