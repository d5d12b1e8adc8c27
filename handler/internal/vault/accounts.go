package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/certwright/certwright/handler/internal/store"
)

// Accounts keep the keys of accounts at CAs, sealed, for providers whose
// accounts outlive their operations. They are of no certificate, so they are
// rows of their own.
type Accounts struct {
	Store      store.Store
	Seal, Open func(ctx context.Context, kind, name, id string, data []byte) ([]byte, error)
}

// accountRecord is the document of an account's row.
type accountRecord struct {
	Schema int    `json:"schema"`
	Sealed []byte `json:"sealed"`
}

// sealedAccount is the kind under which account keys are sealed.
const sealedAccount = "account"

func accountKey(id string) string { return "a:" + id }

// Load returns the key that is kept under an id, nil when there is none.
func (a Accounts) Load(ctx context.Context, id string) ([]byte, error) {
	if err := checkAccountID(id); err != nil {
		return nil, err
	}
	r, err := a.Store.Get(ctx, accountKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var record accountRecord
	if err := store.Decode(r, &record); err != nil {
		return nil, err
	}
	return a.Open(ctx, sealedAccount, "", id, record.Sealed)
}

// Save keeps a key under an id for good, unless there is one already, and
// returns the one that is kept.
func (a Accounts) Save(ctx context.Context, id string, key []byte) ([]byte, error) {
	if err := checkAccountID(id); err != nil {
		return nil, err
	}
	sealed, err := a.Seal(ctx, sealedAccount, "", id, key)
	if err != nil {
		return nil, err
	}
	var tx store.Tx
	tx.Add(store.NewRow(accountKey(id), "", accountRecord{store.Schema, sealed}))
	_, err = a.Store.Commit(ctx, tx)
	if _, taken := errors.AsType[*store.ConflictError](err); taken {
		return a.Load(ctx, id) // another's, or our own first try
	}
	return key, err
}

func checkAccountID(id string) error {
	if _, ok := ParseVersion(id); !ok {
		return fmt.Errorf("account id %q is not 32 hexadecimal digits", id)
	}
	return nil
}
