package store

import (
	"errors"
	"fmt"
)

// What a Store says of itself; its errors wrap one of these.
var (
	ErrNotFound    = errors.New("not found")                       // there is no such row or blob
	ErrThrottled   = errors.New("storage asks for fewer requests") // of this account, or of the vault's partition
	ErrUnavailable = errors.New("storage cannot be reached")
	ErrTooLarge    = errors.New("too large to be stored") // a row, a transaction or a blob: it never will be
)

// ConflictError is what Store.Commit returns when the row Key was not as the
// transaction relied on. The transaction had no effect.
type ConflictError struct {
	Key string // the row, when the service named it
}

func (e *ConflictError) Error() string { return fmt.Sprintf("conflict on row %q", e.Key) }
