package azstore

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/certwright/certwright/handler/internal/store"
)

// pageSize is how many entities the service returns at most for one query.
const pageSize = 1000

// Get implements store.Store. Nothing is found in a table that is missing.
func (s *Store) Get(ctx context.Context, key string) (store.Row, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Row{}, err
	}
	answer, err := s.table.GetEntity(ctx, s.vaultID, key, nil)
	if failureOf(err).status == http.StatusNotFound {
		return store.Row{}, fmt.Errorf("row %q: %w", key, store.ErrNotFound)
	}
	if err != nil {
		return store.Row{}, explain(ctx, fmt.Sprintf("getting row %q", key), err)
	}
	row := rowOf(answer.Value)
	if row.Err != nil {
		return store.Row{}, row.Err
	}
	row.ETag = store.ETag(answer.ETag)
	return row, nil
}

// Scan implements store.Store. The service ends a page at 1,000 entities, but
// also wherever it likes, even before the first entity; only the missing
// continuation says that the range has ended (REST page "Query timeout and
// pagination").
func (s *Store) Scan(ctx context.Context, r store.Range) ([]store.Row, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	pages := s.table.NewListEntitiesPager(&aztables.ListEntitiesOptions{
		Filter: to.Ptr(s.filter(r)),
		Top:    to.Ptr(int32(min(r.Limit, pageSize))), //nolint:gosec // at most pageSize
		// Full metadata is what promises the ETags.
		Format: to.Ptr(aztables.MetadataFormatFull),
	})
	var rows []store.Row
	for pages.More() && len(rows) < r.Limit {
		page, err := pages.NextPage(ctx)
		if failureOf(err).code == string(aztables.TableNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, explain(ctx, fmt.Sprintf("scanning rows from %q to %q", r.From, r.To), err)
		}
		for _, entity := range page.Entities[:min(len(page.Entities), r.Limit-len(rows))] {
			rows = append(rows, rowOf(entity))
		}
	}
	return rows, nil
}

// filter is the range as an OData filter, in at most 15 comparisons.
func (s *Store) filter(r store.Range) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s eq %s and %s ge %s and %s lt %s",
		partitionKey, quote(s.vaultID), rowKey, quote(r.From), rowKey, quote(r.To))
	for i, label := range r.Labels {
		b.WriteString([]string{" and (", " or "}[min(i, 1)])
		fmt.Fprintf(&b, "%s eq %s", labelColumn, quote(label))
	}
	if len(r.Labels) > 0 {
		b.WriteByte(')')
	}
	return b.String()
}

// quote returns an OData string literal.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
