package vaulttest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/certwright/certwright/handler/internal/vault"
)

// Call is one call of a store's method.
type Call struct {
	Number  int // from 1, in the order in which the calls began
	Kind    Kind
	Key     string         // of the row or blob; where a Scan begins; the first row of a Commit
	To      string         // of a Scan
	Actions []vault.Action // of a Commit
}

// String names the call as traces show it.
func (c Call) String() string {
	if c.Kind == Commit {
		return fmt.Sprintf("%s: %s", c.Kind, describe(c.Actions))
	}
	return fmt.Sprintf("%s %s", c.Kind, c.Key)
}

// intercepted is a vault.Store whose calls all go through around. around may
// run do, the call itself, at once, later, or never; where it returns an error
// the caller sees nothing else.
type intercepted struct {
	store  vault.Store
	around func(ctx context.Context, call Call, do func(context.Context) error) error
}

func intercept[T any](ctx context.Context, i *intercepted, call Call, do func(context.Context) (T, error)) (T, error) {
	var result T
	err := i.around(ctx, call, func(ctx context.Context) (err error) {
		result, err = do(ctx)
		return err
	})
	if err != nil {
		var none T // result may yet be written by a late call
		return none, err
	}
	return result, nil
}

// Get implements vault.Store.
func (i *intercepted) Get(ctx context.Context, key string) (vault.Row, error) {
	return intercept(ctx, i, Call{Kind: Get, Key: key}, func(ctx context.Context) (vault.Row, error) {
		return i.store.Get(ctx, key)
	})
}

// Scan implements vault.Store.
func (i *intercepted) Scan(ctx context.Context, r vault.Range) ([]vault.Row, error) {
	return intercept(ctx, i, Call{Kind: Scan, Key: r.From, To: r.To}, func(ctx context.Context) ([]vault.Row, error) {
		return i.store.Scan(ctx, r)
	})
}

// Commit implements vault.Store.
func (i *intercepted) Commit(ctx context.Context, tx vault.Tx) (vault.ETag, error) {
	call := Call{Kind: Commit, Actions: make([]vault.Action, len(tx.Actions))}
	for n, a := range tx.Actions { // a late call finds what was asked for then
		call.Actions[n] = vault.Action{Verb: a.Verb, Row: clone(a.Row)}
	}
	if len(call.Actions) > 0 {
		call.Key = call.Actions[0].Row.Key
	}
	return intercept(ctx, i, call, func(ctx context.Context) (vault.ETag, error) {
		return i.store.Commit(ctx, vault.Tx{Actions: call.Actions})
	})
}

// PutBlob implements vault.Store.
func (i *intercepted) PutBlob(ctx context.Context, name string, data []byte) error {
	data = bytes.Clone(data)
	return i.around(ctx, Call{Kind: PutBlob, Key: name}, func(ctx context.Context) error {
		return i.store.PutBlob(ctx, name, data)
	})
}

// GetBlob implements vault.Store.
func (i *intercepted) GetBlob(ctx context.Context, name string) ([]byte, error) {
	return intercept(ctx, i, Call{Kind: GetBlob, Key: name}, func(ctx context.Context) ([]byte, error) {
		return i.store.GetBlob(ctx, name)
	})
}

// DeleteBlob implements vault.Store.
func (i *intercepted) DeleteBlob(ctx context.Context, name string) error {
	return i.around(ctx, Call{Kind: DeleteBlob, Key: name}, func(ctx context.Context) error {
		return i.store.DeleteBlob(ctx, name)
	})
}
