package storetest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

// Call is one call of a store's method.
type Call struct {
	Number  int // from 1, in the order in which the calls began
	Kind    memory.Kind
	Key     string         // of the row or blob; where a Scan begins; the first row of a Commit
	To      string         // of a Scan
	Actions []store.Action // of a Commit
}

// String names the call as traces show it.
func (c Call) String() string {
	if c.Kind == memory.Commit {
		return fmt.Sprintf("%s: %s", c.Kind, describe(c.Actions))
	}
	return fmt.Sprintf("%s %s", c.Kind, c.Key)
}

// Intercepted is a store.Store whose calls all go through around. around may
// run do, the call itself, at once, later, or never; where it returns an error
// the caller sees nothing else.
type Intercepted struct {
	Store  store.Store
	Around func(ctx context.Context, call Call, do func(context.Context) error) error
}

func intercept[T any](ctx context.Context, i *Intercepted, call Call, do func(context.Context) (T, error)) (T, error) {
	var result T
	err := i.Around(ctx, call, func(ctx context.Context) (err error) {
		result, err = do(ctx)
		return err
	})
	if err != nil {
		var none T // result may yet be written by a late call
		return none, err
	}
	return result, nil
}

// Get implements store.Store.
func (i *Intercepted) Get(ctx context.Context, key string) (store.Row, error) {
	return intercept(ctx, i, Call{Kind: memory.Get, Key: key}, func(ctx context.Context) (store.Row, error) {
		return i.Store.Get(ctx, key)
	})
}

// Scan implements store.Store.
func (i *Intercepted) Scan(ctx context.Context, r store.Range) ([]store.Row, error) {
	return intercept(ctx, i, Call{Kind: memory.Scan, Key: r.From, To: r.To}, func(ctx context.Context) ([]store.Row, error) {
		return i.Store.Scan(ctx, r)
	})
}

// Commit implements store.Store.
func (i *Intercepted) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	call := Call{Kind: memory.Commit, Actions: make([]store.Action, len(tx.Actions))}
	for n, a := range tx.Actions { // a late call finds what was asked for then
		call.Actions[n] = store.Action{Verb: a.Verb, Row: memory.CloneRow(a.Row)}
	}
	if len(call.Actions) > 0 {
		call.Key = call.Actions[0].Row.Key
	}
	return intercept(ctx, i, call, func(ctx context.Context) (store.ETag, error) {
		return i.Store.Commit(ctx, store.Tx{Actions: call.Actions})
	})
}

// PutBlob implements store.Store.
func (i *Intercepted) PutBlob(ctx context.Context, name string, data []byte) error {
	data = bytes.Clone(data)
	return i.Around(ctx, Call{Kind: memory.PutBlob, Key: name}, func(ctx context.Context) error {
		return i.Store.PutBlob(ctx, name, data)
	})
}

// GetBlob implements store.Store.
func (i *Intercepted) GetBlob(ctx context.Context, name string) ([]byte, error) {
	return intercept(ctx, i, Call{Kind: memory.GetBlob, Key: name}, func(ctx context.Context) ([]byte, error) {
		return i.Store.GetBlob(ctx, name)
	})
}

// DeleteBlob implements store.Store.
func (i *Intercepted) DeleteBlob(ctx context.Context, name string) error {
	return i.Around(ctx, Call{Kind: memory.DeleteBlob, Key: name}, func(ctx context.Context) error {
		return i.Store.DeleteBlob(ctx, name)
	})
}
