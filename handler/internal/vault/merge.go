package vault

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/field"
)

// MergeParams are a certificate that a CA made from an operation's CSR.
type MergeParams struct {
	X5C        []string // certificates in any of the encodings that clients send, in any order
	Attributes AttributeParams
	Tags       map[string]string
}

// Merge completes an operation with a certificate that the caller obtained:
// one whose issuer is Unknown, or one that failed or was cancelled at its
// issuer. The leaf is the certificate of the operation's key; who signed it is
// the caller's business.
//
// REST page: Merge Certificate.
func (v *Vault) Merge(ctx context.Context, n Name, p MergeParams) (Certificate, error) {
	if err := checkTags(p.Tags); err != nil {
		return Certificate{}, err
	}
	h, err := v.operationHead(ctx, n, "")
	if err != nil {
		return Certificate{}, err
	}
	if v.repeats(ctx, h) && h.Operation.Status == StatusCompleted && h.Latest != nil {
		return v.withPolicy(v.ofVersion(h, h.Latest), h), nil
	}
	mine := h.Operation
	if err := mine.checkMergeable(n); err != nil {
		return Certificate{}, err
	}
	certs, err := v.readMerge(ctx, p)
	if err != nil {
		return Certificate{}, err
	}
	ctx, cancel := decided(ctx)
	defer cancel()
	csr, err := x509.ParseCertificateRequest(mine.CSR)
	if err != nil {
		return Certificate{}, err
	}
	chain, err := chain.Arrange(certs, csr.PublicKey, keepsOrder(mine.PreserveOrder))
	if err != nil {
		return Certificate{}, err
	}
	if err := checkLeaf("x5c", chain[0], mine.maxLeaf()); err != nil {
		return Certificate{}, err
	}
	var merged *version
	var before Certificate // by an earlier try
	h, err = v.complete(ctx, n, h, chain, func(h *head) (*version, error) {
		if err := h.checkOperation(n, mine.RequestID); err != nil {
			return nil, err
		}
		if v.repeats(ctx, h) && h.Operation.Status == StatusCompleted && h.Latest != nil {
			before = v.withPolicy(v.ofVersion(h, h.Latest), h)
			return nil, errRepeated
		}
		if err := h.Operation.checkMergeable(n); err != nil {
			return nil, err
		}
		merged = newVersion(h.Operation)
		if p.Attributes.Enabled != nil {
			merged.Enabled = *p.Attributes.Enabled
		}
		if p.Tags != nil {
			merged.Tags = p.Tags
		}
		return merged, nil
	})
	if errors.Is(err, errRepeated) {
		return before, nil
	}
	if err != nil {
		return Certificate{}, err
	}
	if h.Latest != nil && h.Latest.ID == merged.ID {
		merged = h.Latest // as it was committed, maybe by an earlier run
	}
	return v.withPolicy(v.ofVersion(h, merged), h), nil
}

func (op *Operation) checkMergeable(n Name) error {
	switch {
	case op.Status == StatusCompleted:
		return &field.Error{Detail: "The pending certificate is already completed."}
	case op.Status == StatusInProgress && !op.Manual():
		return &Error{Reason: MergeForbidden, Name: n.text, Issuer: op.Policy.Issuer.Name}
	}
	return nil
}

// readMerge reads what was sent, among which may be PKCS #12.
func (v *Vault) readMerge(ctx context.Context, p MergeParams) ([]*x509.Certificate, error) {
	leave, err := v.reading.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	certs, err := chain.ParseX5C(ctx, p.X5C)
	if err != nil && ctx.Err() != nil {
		return nil, unavailable(err)
	}
	return certs, err
}
