package vaulttest

import (
	"slices"

	"github.com/certwright/certwright/handler/internal/vault"
)

// Independent reports whether two calls of different workers change the store
// and answer the same way in either order. It is for Search.Independent where
// workers share nothing but the store.
func Independent(a, b Call) bool {
	return !(a.writes() || b.writes()) || a.ofBlob() != b.ofBlob() || !a.meets(b)
}

func (c Call) writes() bool { return c.Kind == Commit || c.Kind == PutBlob || c.Kind == DeleteBlob }

func (c Call) ofBlob() bool { return c.Kind == PutBlob || c.Kind == GetBlob || c.Kind == DeleteBlob }

// meets reports whether two calls, both of rows or both of blobs, have one in
// common.
func (c Call) meets(other Call) bool {
	if c.Kind == Scan {
		c, other = other, c
	}
	keys := []string{c.Key}
	if c.Kind == Commit {
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
	case Scan:
		return c.Key <= key && key < c.To
	case Commit:
		return slices.ContainsFunc(c.Actions, func(a vault.Action) bool { return a.Row.Key == key })
	default:
		return c.Key == key
	}
}
