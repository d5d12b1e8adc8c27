package azstore

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/certwright/certwright/handler/internal/store"
)

// Names of properties. A document's parts are Doc, Doc1, Doc2 and so on.
const (
	partitionKey = "PartitionKey"
	rowKey       = "RowKey"
	labelColumn  = "Label"
	docColumn    = "Doc"
	etagColumn   = "odata.etag" // in an answer

	macColumn        = "Mac"
	summaryColumn    = "Summary"
	summaryMacColumn = "SummaryMac"
)

// maxUnits is how many UTF-16 units one property gets. The service takes
// 32,768 (REST page "Understanding the Table Service data model").
const maxUnits = 32_000

// entity returns a row as the service takes it, in JSON.
func (s *Store) entity(row store.Row) ([]byte, error) {
	properties := s.entityKey(row.Key)
	properties[labelColumn] = row.Label
	for i, part := range split(string(row.Doc)) {
		properties[docPart(i)] = part
	}
	for name, value := range map[string]string{macColumn: row.Mac, summaryColumn: string(row.Summary), summaryMacColumn: row.SummaryMac} {
		if value != "" {
			properties[name] = value
		}
	}
	return json.Marshal(properties)
}

func (s *Store) entityKey(key string) map[string]string {
	return map[string]string{partitionKey: s.vaultID, rowKey: key}
}

func docPart(i int) string {
	if i == 0 {
		return docColumn
	}
	return docColumn + strconv.Itoa(i)
}

// split cuts a document between characters into parts of at most maxUnits.
func split(doc string) []string {
	var parts []string
	start, units := 0, 0
	for i, r := range doc {
		n := utf16.RuneLen(r)
		if units+n > maxUnits {
			parts = append(parts, doc[start:i])
			start, units = i, 0
		}
		units += n
	}
	return append(parts, doc[start:])
}

// rowOf reads an entity as the service returns it. It may have properties that
// are none of ours, and those of release 0.1.0 have neither MACs nor summary. A row
// without a document was written by somebody else: it has an Err.
func rowOf(entity []byte) store.Row {
	var properties map[string]any
	if err := json.Unmarshal(entity, &properties); err != nil {
		return store.Row{Err: fmt.Errorf("reading an entity: %w: %w", store.ErrNotAuthentic, err)}
	}
	text := func(name string) string {
		value, _ := properties[name].(string)
		return value
	}
	var doc strings.Builder
	for i := 0; ; i++ {
		part, ok := properties[docPart(i)].(string)
		if !ok {
			break
		}
		doc.WriteString(part)
	}
	row := store.Row{
		Key:        text(rowKey),
		ETag:       store.ETag(text(etagColumn)),
		Label:      text(labelColumn),
		Doc:        []byte(doc.String()),
		Mac:        text(macColumn),
		SummaryMac: text(summaryMacColumn),
	}
	if summary := text(summaryColumn); summary != "" {
		row.Summary = []byte(summary)
	}
	if doc.Len() == 0 {
		row.Err = fmt.Errorf("row %q has no document: %w", row.Key, store.ErrNotAuthentic)
	}
	return row
}
