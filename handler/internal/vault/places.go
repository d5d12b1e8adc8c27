package vault

import (
	"strings"

	"github.com/certwright/certwright/handler/internal/store"
)

// places are kinds of rows, by the prefixes of their keys, in the order in which
// something walks through all of them. Where a walk is, is the key of the last row
// that it has seen, or the prefix of the kind that it is about to begin; empty: it
// is over.
type places []string

// next is the range of rows at a place.
func (p places) next(at string, limit int) store.Range {
	prefix := at[:len("c:")]
	r := store.Within(prefix, limit)
	if at != prefix {
		r.From = at + "!"
	}
	return r
}

// after is the place behind rows that the range r had.
func (p places) after(r store.Range, rows []store.Row) string {
	if len(rows) == r.Limit {
		return rows[len(rows)-1].Key
	}
	for i, prefix := range p[:len(p)-1] {
		if strings.HasPrefix(r.From, prefix) {
			return p[i+1]
		}
	}
	return ""
}
