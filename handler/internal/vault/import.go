package vault

import (
	"context"

	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// ImportParams are a certificate with its private key.
type ImportParams struct {
	Value         string         // base64 of PKCS #12, PEM, or base64 of PEM; which one is found out
	Password      string         // of the PKCS #12 file
	Policy        *policy.Params // where it contradicts the certificate, the certificate counts
	Attributes    AttributeParams
	Tags          map[string]string
	PreserveOrder *bool // the chain follows the leaf in the order in which it was sent
}

// Import makes a certificate that already exists, with its key and chain, the
// latest version. It takes the place of an operation that has ended.
//
// REST page: Import Certificate.
func (v *Vault) Import(ctx context.Context, n Name, p ImportParams) (Certificate, error) {
	if err := checkTags(p.Tags); err != nil {
		return Certificate{}, err
	}
	now := v.now()
	pair, err := chain.ParseImport(p.Value, p.Password)
	if err != nil {
		return Certificate{}, err
	}
	preserve := p.PreserveOrder != nil && *p.PreserveOrder
	chain, err := pair.Chain(preserve, now)
	if err != nil {
		return Certificate{}, err
	}
	policy, err := policy.Imported(p.Policy, chain[0], pair.Properties, pair.ContentType, now)
	if err != nil {
		return Certificate{}, err
	}
	h, err := v.head(ctx, n)
	if err != nil {
		return Certificate{}, err
	}
	if err := h.checkFree(n); err != nil {
		return Certificate{}, err
	}
	keyID := v.newID()
	keyRow, err := v.sealKey(ctx, n, keyID, pair.Key)
	if err != nil {
		return Certificate{}, err
	}
	h, err = v.addVersion(ctx, n, h, chain, func(h *head, tx *store.Tx) (*version, error) {
		if err := h.checkFree(n); err != nil {
			return nil, err
		}
		h.dropKey(tx, n)
		h.Operation = nil
		tx.Add(keyRow)
		if h.stored() {
			policy.Created, policy.Updated = h.Policy.Created, later(now, h.Policy.Updated)
		} else {
			h.Name, h.Created = n.text, now
		}
		h.Policy = policy
		return &version{
			Enabled:       p.Attributes.Enabled == nil || *p.Attributes.Enabled,
			Tags:          p.Tags,
			KeyID:         keyID,
			Key:           policy.Key,
			ContentType:   policy.ContentType,
			PreserveOrder: p.PreserveOrder,
		}, nil
	})
	if err != nil {
		return Certificate{}, err
	}
	return v.latest(h), nil
}
