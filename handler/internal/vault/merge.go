package vault

import (
	"context"
	"crypto/x509"

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
	mine := h.Operation
	if err := mine.checkMergeable(n); err != nil {
		return Certificate{}, err
	}
	certs, err := chain.ParseX5C(p.X5C)
	if err != nil {
		return Certificate{}, err
	}
	csr, err := x509.ParseCertificateRequest(mine.CSR)
	if err != nil {
		return Certificate{}, err
	}
	chain, err := chain.Order(certs, csr.PublicKey)
	if err != nil {
		return Certificate{}, err
	}
	var merged *version
	h, err = v.complete(ctx, n, h, chain, func(h *head) (*version, error) {
		if err := h.checkOperation(n, mine.RequestID); err != nil {
			return nil, err
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
	if err != nil {
		return Certificate{}, err
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
