package vault

import (
	"context"
	"errors"

	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// ImportParams are a certificate with its private key.
type ImportParams struct {
	Value         string         // base64 of PKCS #12, PEM, or base64 of PEM; which one is found out
	Password      string         // of the PKCS #12 file, or of the private key in PEM
	Policy        *policy.Params // where it contradicts the certificate, the certificate counts
	Attributes    AttributeParams
	Tags          map[string]string
	PreserveOrder *bool // the chain follows the leaf in the order in which it was sent
}

// Import makes a certificate that already exists, with its key and chain, the
// latest version. It takes the place of an operation that has ended. When ctx is
// cancelled while what was sent is read, nothing happens; later that does not
// matter.
//
// REST page: Import Certificate.
func (v *Vault) Import(ctx context.Context, n Name, p ImportParams) (Certificate, error) {
	if err := checkTags(p.Tags); err != nil {
		return Certificate{}, err
	}
	now := v.now()
	pair, err := v.readImport(ctx, p)
	if err != nil {
		return Certificate{}, err
	}
	ctx, cancel := decided(ctx)
	defer cancel()
	preserve := keepsOrder(p.PreserveOrder)
	chain, err := pair.Chain(preserve, now)
	if err != nil {
		return Certificate{}, err
	}
	if err := checkLeaf("value", chain[0], maxImportedLeaf); err != nil {
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
	if v.imported(ctx, h) {
		return v.latest(h), nil
	}
	if err := h.checkFree(n); err != nil {
		return Certificate{}, err
	}
	keyID := v.newID()
	keyRow, err := v.sealKey(ctx, n, keyID, pair.Key)
	if err != nil {
		return Certificate{}, err
	}
	var before Certificate // by an earlier try
	h, err = v.addVersion(ctx, n, h, chain, func(h *head, tx *store.Tx) (*version, error) {
		if v.imported(ctx, h) {
			before = v.latest(h)
			return nil, errRepeated
		}
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
	if errors.Is(err, errRepeated) {
		return before, nil
	}
	if err != nil {
		return Certificate{}, err
	}
	return v.latest(h), nil
}

// imported reports whether the request of ctx has made the latest version.
func (v *Vault) imported(ctx context.Context, h *head) bool {
	return v.repeats(ctx, h) && h.checkLive(Name{h.Name}) == nil && h.Operation == nil && h.Latest != nil
}

// readImport reads what was sent, which may cost seconds of a processor.
func (v *Vault) readImport(ctx context.Context, p ImportParams) (chain.KeyPair, error) {
	leave, err := v.reading.enter(ctx)
	if err != nil {
		return chain.KeyPair{}, err
	}
	defer leave()
	pair, err := chain.ParseImport(ctx, p.Value, p.Password)
	if err != nil && ctx.Err() != nil {
		return chain.KeyPair{}, unavailable(err)
	}
	return pair, err
}
