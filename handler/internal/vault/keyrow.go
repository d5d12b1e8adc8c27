package vault

import (
	"context"
	"crypto"
	"strings"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// keyRecord is the document of a key row.
type keyRecord struct {
	Schema int    `json:"schema"`
	Sealed []byte `json:"sealed"` // PKCS #8
}

// sealedKey is the kind under which private keys are sealed.
const sealedKey = "key"

// sealKey makes the row of a private key.
func (v *Vault) sealKey(ctx context.Context, n Name, id string, key crypto.Signer) (store.Row, error) {
	der, err := policy.MarshalKey(key)
	if err != nil {
		return store.Row{}, err
	}
	defer clear(der)
	sealed, err := v.cfg.Seal(ctx, sealedKey, n.key(), id, der)
	if err != nil {
		return store.Row{}, err
	}
	return store.NewRow(keyRowKey(n, id), "", keyRecord{store.Schema, sealed}), nil
}

// privateKey reads and opens a private key.
func (v *Vault) privateKey(ctx context.Context, n Name, id string) (crypto.Signer, error) {
	var r keyRecord
	if _, err := v.get(ctx, keyRowKey(n, id), &r); err != nil {
		return nil, err
	}
	der, err := v.cfg.Open(ctx, sealedKey, n.key(), id, r.Sealed)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return policy.ParseKey(der)
}

// resealKey makes a key row anew: sealed as keys are today.
func (v *Vault) resealKey(ctx context.Context, r store.Row) (store.Row, error) {
	name, id, _ := strings.Cut(strings.TrimPrefix(r.Key, "k:"), ":")
	var record keyRecord
	if err := decode(r, &record); err != nil {
		return store.Row{}, err
	}
	der, err := v.cfg.Open(ctx, sealedKey, name, id, record.Sealed)
	if err != nil {
		return store.Row{}, err
	}
	defer clear(der)
	sealed, err := v.cfg.Seal(ctx, sealedKey, name, id, der)
	return store.NewRow(r.Key, r.Label, keyRecord{store.Schema, sealed}), err
}
