package azstore_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/store"
)

// Where Azurite differs from Azure, a green test on Azurite proves nothing. Each
// test shows that Azurite accepts what Azure refuses, and that the store refuses
// it before it is sent, or cannot be made to send it.

func entity(t *testing.T, partition, row string, properties map[string]any) []byte {
	t.Helper()
	all := map[string]any{"PartitionKey": partition, "RowKey": row}
	for name, value := range properties {
		all[name] = value
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// openBoth returns a store whose table exists, and that table.
func openBoth(t *testing.T) (*azstore.Store, *aztables.Client) {
	t.Helper()
	table := newName()
	store := open(t, func(cfg *azstore.Config) { cfg.Table, cfg.VaultID = table, "v1" })
	if _, err := store.Commit(t.Context(), adds("c:", 1)); err != nil {
		t.Fatal(err)
	}
	return store, rawTable(t, table)
}

// Azure answers CommandsInBatchActOnDifferentPartitions. A row of the store
// cannot name its partition.
func TestAzuriteAcceptsTwoPartitionsInATransaction(t *testing.T) {
	t.Parallel()
	store, table := openBoth(t)
	if _, err := table.SubmitTransaction(t.Context(), []aztables.TransactionAction{
		{ActionType: aztables.TransactionTypeAdd, Entity: entity(t, "v1", "c:x", nil)},
		{ActionType: aztables.TransactionTypeAdd, Entity: entity(t, "v2", "c:x", nil)},
	}, nil); err != nil {
		t.Errorf("Azurite has learnt to refuse it: %v", err)
	}
	if _, err := store.Commit(t.Context(), adds("d:", 2)); err != nil {
		t.Fatal(err)
	}
	for page := table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: to.Ptr("PartitionKey ne 'v1' and RowKey ne 'c:x'")}); page.More(); {
		if got, err := page.NextPage(t.Context()); err != nil || len(got.Entities) > 0 {
			t.Errorf("the store wrote %d rows outside its partition (%v)", len(got.Entities), err)
		}
	}
}

// Azure answers EntityTooLarge above 1 MiB.
func TestAzuriteAcceptsLargeEntities(t *testing.T) {
	t.Parallel()
	st, table := openBoth(t)
	properties := map[string]any{}
	for i := range 20 {
		properties[fmt.Sprint("Doc", i)] = strings.Repeat("x", 32_000) // two bytes each
	}
	if _, err := table.AddEntity(t.Context(), entity(t, "v1", "c:x", properties), nil); err != nil {
		t.Errorf("Azurite has learnt to refuse it: %v", err)
	}
	large := store.Tx{Actions: []store.Action{action(store.Add, "c:y", `"`+strings.Repeat("x", 20*32_000)+`"`)}}
	if _, err := st.Commit(t.Context(), large); err == nil {
		t.Error("the store wrote an entity of more than 1 MiB")
	}
}

// Azure allows 15 comparisons in a filter.
func TestAzuriteAcceptsLongFilters(t *testing.T) {
	t.Parallel()
	st, table := openBoth(t)
	filter := "PartitionKey eq 'v1'" + strings.Repeat(" and Label ne 'x'", 20)
	if _, err := table.NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter}).NextPage(t.Context()); err != nil {
		t.Errorf("Azurite has learnt to refuse it: %v", err)
	}
	if _, err := st.Scan(t.Context(), store.Range{From: "c:", To: "c;", Labels: make([]string, 13), Limit: 1}); err == nil {
		t.Error("the store sent a filter of 16 comparisons")
	}
}

// Both services insert by an update without If-Match, which would bring purged
// rows back. The store asks for the ETag.
func TestUpdateWithoutIfMatchInserts(t *testing.T) {
	t.Parallel()
	st, table := openBoth(t)
	if _, err := table.SubmitTransaction(t.Context(), []aztables.TransactionAction{
		{ActionType: aztables.TransactionTypeUpdateReplace, Entity: entity(t, "v1", "c:x", nil)},
		{ActionType: aztables.TransactionTypeUpdateReplace, Entity: entity(t, "v1", "c:y", nil)},
	}, nil); err != nil {
		t.Errorf("the SDK has learnt to refuse it: %v", err)
	}
	tx := store.Tx{Actions: []store.Action{action(store.Replace, "c:z", `1`), action(store.Put, "c:p", `1`)}}
	if _, err := st.Commit(t.Context(), tx); err == nil {
		t.Error("the store replaced a row without an ETag")
	}
}
