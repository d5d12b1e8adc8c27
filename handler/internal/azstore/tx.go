package azstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/certwright/certwright/handler/internal/store"
)

// Commit implements store.Store. It is the only place that writes rows, because
// the SDK is easy to misuse: an update without If-Match inserts, and a failed
// transaction has the status 202.
//
// A conflict may come from the caller's own write (see Lateness).
func (s *Store) Commit(ctx context.Context, tx store.Tx) (store.ETag, error) {
	if err := tx.Check(); err != nil {
		return "", err
	}
	var etag store.ETag
	err := s.withTable(ctx, func() (err error) {
		if len(tx.Actions) == 1 {
			etag, err = s.writeOne(ctx, tx.Actions[0])
			return err
		}
		return s.writeAll(ctx, tx.Actions)
	})
	if err == nil {
		return etag, nil
	}
	if f := failureOf(err); f.conflict() {
		return "", &store.ConflictError{Key: f.rowOf(tx)}
	}
	return "", explain(ctx, fmt.Sprintf("committing %d actions, the first on row %q", len(tx.Actions), tx.Actions[0].Row.Key), err)
}

// noEcho asks the service not to send an added entity back.
var noEcho = http.Header{"Prefer": {"return-no-content"}}

// writeOne does what a transaction of one action would do, by the request that
// answers with the row's new ETag.
func (s *Store) writeOne(ctx context.Context, a store.Action) (store.ETag, error) {
	switch a.Verb {
	case store.Delete, store.Remove:
		_, err := s.table.DeleteEntity(ctx, s.vaultID, a.Row.Key, &aztables.DeleteEntityOptions{IfMatch: ifMatch(a)})
		return "", err
	}
	entity, err := s.entity(a.Row)
	if err != nil {
		return "", err
	}
	switch a.Verb {
	case store.Add:
		answer, err := s.table.AddEntity(policy.WithHTTPHeader(ctx, noEcho), entity, nil)
		return store.ETag(answer.ETag), err
	case store.Replace:
		answer, err := s.table.UpdateEntity(ctx, entity, &aztables.UpdateEntityOptions{IfMatch: ifMatch(a), UpdateMode: aztables.UpdateModeReplace})
		return store.ETag(answer.ETag), err
	default: // Put
		answer, err := s.table.UpsertEntity(ctx, entity, &aztables.UpsertEntityOptions{UpdateMode: aztables.UpdateModeReplace})
		return store.ETag(answer.ETag), err
	}
}

// writeAll submits the actions as an entity group transaction.
func (s *Store) writeAll(ctx context.Context, actions []store.Action) error {
	batch := make([]aztables.TransactionAction, len(actions))
	for i, a := range actions {
		var err error
		if batch[i], err = s.transactionAction(a); err != nil {
			return err
		}
	}
	_, err := s.table.SubmitTransaction(ctx, batch, nil)
	return err
}

func (s *Store) transactionAction(a store.Action) (aztables.TransactionAction, error) {
	if !a.Verb.Writes() {
		entity, err := json.Marshal(s.entityKey(a.Row.Key))
		return aztables.TransactionAction{ActionType: aztables.TransactionTypeDelete, Entity: entity, IfMatch: ifMatch(a)}, err
	}
	entity, err := s.entity(a.Row)
	return aztables.TransactionAction{ActionType: transactionTypes[a.Verb], Entity: entity, IfMatch: ifMatch(a)}, err
}

var transactionTypes = map[store.Verb]aztables.TransactionType{
	store.Add:     aztables.TransactionTypeAdd,
	store.Replace: aztables.TransactionTypeUpdateReplace,
	store.Put:     aztables.TransactionTypeInsertReplace,
}

// ifMatch is the condition under which an action may be applied.
func ifMatch(a store.Action) *azcore.ETag {
	switch a.Verb {
	case store.Replace, store.Delete:
		return to.Ptr(azcore.ETag(a.Row.ETag))
	case store.Remove:
		return to.Ptr(azcore.ETagAny)
	default:
		return nil
	}
}
