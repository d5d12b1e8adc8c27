package storetest

import (
	"slices"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

// Independent reports whether two calls of different workers change the store
// and answer the same way in either order. It is for Search.Independent where
// workers share nothing but the store.
func Independent(a, b Call) bool {
	return !(a.Writes() || b.Writes()) || a.ofBlob() != b.ofBlob() || !a.meets(b)
}

// Writes reports whether the call changes the store.
func (c Call) Writes() bool {
	return c.Kind == memory.Commit || c.Kind == memory.PutBlob || c.Kind == memory.DeleteBlob
}

func (c Call) ofBlob() bool {
	return c.Kind == memory.PutBlob || c.Kind == memory.GetBlob || c.Kind == memory.DeleteBlob
}

// meets reports whether two calls, both of rows or both of blobs, have one in
// common.
func (c Call) meets(other Call) bool {
	if c.Kind == memory.Scan {
		c, other = other, c
	}
	keys := []string{c.Key}
	if c.Kind == memory.Commit {
		keys = nil
		for _, a := range c.Actions {
			keys = append(keys, a.Row.Key)
		}
	}
	return slices.ContainsFunc(keys, other.touches)
}

// touches reports whether the call reads or writes a row or blob.
func (c Call) touches(key string) bool {
	switch c.Kind {
	case memory.Scan:
		return c.Key <= key && key < c.To
	case memory.Commit:
		return slices.ContainsFunc(c.Actions, func(a store.Action) bool { return a.Row.Key == key })
	default:
		return c.Key == key
	}
}
