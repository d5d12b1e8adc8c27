package vault

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/provider"
)

// maxOffered is how many certificates of a ChainSource are looked at.
const maxOffered = 64

// completeChain adds to the chain that an issuer returned for h's operation, leaf
// first, the certificates of CAs that it left out: from what its CA offers, or from
// the chain of the version before, if the same issuer object obtained it. Addresses
// in certificates are not followed. A chain that cannot be completed is returned as
// it is.
func (v *Vault) completeChain(ctx context.Context, n Name, h *head, issuer provider.Provider, object provider.Issuer, given []*x509.Certificate) []*x509.Certificate {
	op := h.Operation
	certs := chain.Link(given)
	if !certs.Lacking() {
		return given
	}
	log := v.cfg.Log.With("certificate", n.text, "request_id", op.RequestID, "issuer", object.Name)
	if source, ok := issuer.(provider.ChainSource); ok {
		offered, err := v.offered(ctx, source, object)
		if err != nil {
			log.WarnContext(ctx, "the CA's own certificates could not be fetched", "error", err)
		}
		certs.Extend(offered, v.now())
	}
	if certs.Lacking() && h.Latest.issuedBy(op) {
		last, err := v.chain(ctx, h.Latest)
		if err != nil {
			log.WarnContext(ctx, "the chain of the last version could not be read", "error", err)
		} else {
			certs.Extend(last[1:], v.now())
		}
	}
	if certs.Lacking() {
		log.WarnContext(ctx, "chain is incomplete", "lacks", chain.NameText(certs.Top().RawIssuer))
	}
	if len(certs.Added) == 0 {
		return given
	}
	log.InfoContext(ctx, "chain completed", "added", len(certs.Added))
	return slices.Concat(certs.Chain, certs.Rest) // nothing that came along is lost
}

// offered asks a CA for its certificates.
func (v *Vault) offered(ctx context.Context, source provider.ChainSource, object provider.Issuer) (certs []*x509.Certificate, err error) {
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
	return chain.Parse(der)
}
