// Package keyring keeps keys that providers have of their own: of accounts at CAs,
// and of CAs. They outlive operations and belong to no certificate, so they have rows
// of their own, sealed, one a key. A key is written once and never replaced: where two
// processes make one at the same time, both get the one that was stored.
package keyring

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/certwright/certwright/handler/internal/store"
)

// Ring keeps keys in Store. Seal and Open are those of vault.Config.
type Ring struct {
	Store      store.Store
	Seal, Open func(ctx context.Context, kind, name, id string, data []byte) ([]byte, error)
}

// record is the document of a key's row.
type record struct {
	Schema int    `json:"schema"`
	Sealed []byte `json:"sealed"`
}

// sealedAccount is the kind under which keys are sealed; 0.1.0 kept keys of accounts only.
const sealedAccount = "account"

func accountKey(id string) string { return "a:" + id }

// Load returns the key that is kept under an id, nil when there is none.
func (r Ring) Load(ctx context.Context, id string) ([]byte, error) {
	if err := checkAccountID(id); err != nil {
		return nil, err
	}
	row, err := r.Store.Get(ctx, accountKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var stored record
	if err := store.Decode(row, &stored); err != nil {
		return nil, err
	}
	return r.Open(ctx, sealedAccount, "", id, stored.Sealed)
}

// Save keeps a key under an id for good, unless there is one already, and
// returns the one that is kept.
func (r Ring) Save(ctx context.Context, id string, key []byte) ([]byte, error) {
	if err := checkAccountID(id); err != nil {
		return nil, err
	}
	sealed, err := r.Seal(ctx, sealedAccount, "", id, key)
	if err != nil {
		return nil, err
	}
	var tx store.Tx
	tx.Add(store.NewRow(accountKey(id), "", record{store.Schema, sealed}))
	_, err = r.Store.Commit(ctx, tx)
	if _, taken := errors.AsType[*store.ConflictError](err); taken {
		return r.Load(ctx, id) // another's, or our own first try
	}
	return key, err
}

// Reseal makes the row of a key anew: sealed as keys are today, and of today's
// schema. Nothing is written.
func (r Ring) Reseal(ctx context.Context, row store.Row) (store.Row, error) {
	id := strings.TrimPrefix(row.Key, accountKey(""))
	if err := checkAccountID(id); err != nil {
		return store.Row{}, err
	}
	var stored record
	if err := store.Decode(row, &stored); err != nil {
		return store.Row{}, err
	}
	key, err := r.Open(ctx, sealedAccount, "", id, stored.Sealed)
	if err != nil {
		return store.Row{}, err
	}
	defer clear(key)
	sealed, err := r.Seal(ctx, sealedAccount, "", id, key)
	return store.NewRow(row.Key, row.Label, record{store.Schema, sealed}), err
}

var accountID = regexp.MustCompile(`^[0-9A-Fa-f]{32}$`)

func checkAccountID(id string) error {
	if !accountID.MatchString(id) {
		return fmt.Errorf("account id %q is not 32 hexadecimal digits", id)
	}
	return nil
}
