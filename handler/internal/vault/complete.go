package vault

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // Key Vault names certificates by it (x5t); nothing is trusted by it
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// acceptIssued makes the chain of what an issuer returned for h's operation: leaf
// first, and completed where the issuer left certificates of CAs out. The error says
// in what it is not what was asked for.
func (v *Vault) acceptIssued(ctx context.Context, n Name, h *head, issuer provider.Provider, object provider.Issuer, der [][]byte) ([]*x509.Certificate, error) {
	op := h.Operation
	certs, err := chain.Parse(der)
	if err != nil {
		return nil, err
	}
	certs = chain.Sort(chain.Unique(certs), op.CSR)
	if leaf := certs[0].Raw; len(leaf) > op.maxLeaf() {
		return nil, fmt.Errorf("it has %d bytes: must have at most %d", len(leaf), op.maxLeaf())
	}
	cameLinked := len(chain.Link(certs).Chain) > 1
	if len(certs) <= chain.MaxIssued {
		certs = v.completeChain(ctx, n, h, issuer, object, certs)
	}
	// What came beside a lone leaf may be the upper part of its chain: that has a gap.
	if links := chain.Link(certs); cameLinked && len(links.Strays()) > 0 {
		for _, c := range links.Strays() {
			v.cfg.Log.WarnContext(ctx, "certificate left out of a chain", "certificate", n.text, "request_id", op.RequestID, "left_out", chain.NameText(c.RawSubject))
		}
		certs = links.Chain
	}
	if h.Latest != nil && bytes.Equal(certs[0].Raw, h.Latest.Leaf) {
		return nil, errors.New("it is the certificate that there is already")
	}
	if err := chain.CheckIssued(certs, op.CSR, v.now()); err != nil {
		return nil, err
	}
	return certs, v.checkPermittedLeaf(op.Provider, certs[0])
}

// completeIssued completes an operation with the chain that its issuer returned.
func (v *Vault) completeIssued(ctx context.Context, n Name, h *head, chain []*x509.Certificate) (*head, error) {
	mine := h.Operation
	return v.complete(ctx, n, h, chain, func(h *head) (*version, error) {
		if err := h.held(mine); err != nil {
			return nil, err
		}
		ver, op := newVersion(h.Operation), h.Operation
		ver.Issuer, ver.Provider, ver.IssuerID = op.Policy.Issuer.Name, op.Provider, op.IssuerID
		return ver, nil
	})
}

// newVersion starts the version that an operation completes to.
func newVersion(op *Operation) *version {
	return &version{
		Enabled:       op.Enabled == nil || *op.Enabled,
		Tags:          op.Tags,
		KeyID:         op.KeyID,
		Key:           op.Policy.Key,
		ContentType:   op.Policy.ContentType,
		PreserveOrder: op.PreserveOrder,
	}
}

// complete makes chain (leaf first) the latest version and ends the operation,
// in one transaction. allow says, on the head as it then is, whether that may
// still happen, and what the version is like besides its certificate.
func (v *Vault) complete(ctx context.Context, n Name, h *head, chain []*x509.Certificate, allow func(*head) (*version, error)) (*head, error) {
	return v.addVersion(ctx, n, h, chain, func(h *head, tx *store.Tx) (*version, error) {
		ver, err := allow(h)
		if err != nil {
			return nil, err
		}
		v.releaseLeftover(tx, n, h.Operation)
		h.Operation.OrderID = v.orderID(h.Operation)
		h.Operation.end(StatusCompleted, nil)
		return ver, nil
	})
}

// addVersion makes chain (leaf first) the latest version, in one transaction.
// decide is like that of change; the version that it returns lacks only what
// follows from the certificate.
//
// The version id is minted here, for this attempt alone, and names the chain
// blob that is written first. The transaction picks the winner; a loser takes
// its own blob away again, once its transaction can no longer be applied.
func (v *Vault) addVersion(ctx context.Context, n Name, h *head, certs []*x509.Certificate, decide func(*head, *store.Tx) (*version, error)) (*head, error) {
	id := v.newID()
	blob, text := chainBlob(n, id), chain.EncodePEM(certs)
	if err := v.cfg.Store.PutBlob(ctx, blob, text); err != nil {
		return nil, unavailable(err)
	}
	next, err := v.changeFrom(ctx, n, h, func(h *head, tx *store.Tx) error {
		ver, err := decide(h, tx)
		if err != nil {
			return err
		}
		now := v.now()
		ver.ID, ver.Created, ver.Updated = id, now, now
		if h.Latest != nil {
			ver.Previous = h.Latest.ID
		}
		ver.setLeaf(n, certs[0])
		ver.ChainSum = sumOf(text)
		tx.Add(ver.row(n))
		h.Latest, h.Shell = ver, shell{}
		v.tell(tx, h.event(EventNewVersion))
		return nil
	})
	if err != nil && !reasonOf(err).uncertain() {
		// Refused on a head that is not the one that the commit relied on.
		if err := v.cfg.Store.DeleteBlob(ctx, blob); err != nil {
			v.cfg.Log.WarnContext(ctx, "unused chain blob stays", "blob", blob, "error", err)
		}
	}
	return next, err
}

// setLeaf sets what follows from the version's id and certificate.
func (ver *version) setLeaf(n Name, leaf *x509.Certificate) {
	thumbprint := sha1.Sum(leaf.Raw) //nolint:gosec // as above
	ver.Schema = store.Schema
	ver.Leaf, ver.Thumbprint, ver.Chain = leaf.Raw, thumbprint[:], chainBlob(n, ver.ID)
	ver.NotBefore, ver.Expires = leaf.NotBefore, leaf.NotAfter
}
