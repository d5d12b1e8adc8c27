package store

import (
	"errors"
	"fmt"
)

// A Store's errors wrap these. A refused row, transaction or blob wraps none.
var (
	ErrNotFound    = errors.New("not found")                       // there is no such row or blob
	ErrThrottled   = errors.New("storage asks for fewer requests") // of this account, or of the vault's partition
	ErrUnavailable = errors.New("storage cannot be reached")
	ErrTooLarge    = errors.New("too large to be stored") // a row, a transaction or a blob: it never will be

	// ErrNotAuthentic says that what is stored is not what this installation
	// wrote there: a row that cannot be read, or that is not signed as it must be.
	ErrNotAuthentic = errors.New("not as this installation wrote it")
)

// ConflictError is what Store.Commit returns when the row Key was not as the
// transaction relied on. The transaction had no effect.
type ConflictError struct {
	Key string // the row, when the service named it
}

func (e *ConflictError) Error() string { return fmt.Sprintf("conflict on row %q", e.Key) }

// NotReadyError says that nothing can be read or written before somebody acts. It is
// an ErrUnavailable.
type NotReadyError struct {
	Advice string // whole sentences, for whoever asks; it tells no secret
	Err    error  // the cause, for the log
}

func (e *NotReadyError) Error() string { return fmt.Sprintf("%s: %v", e.Advice, e.Err) }

func (e *NotReadyError) Unwrap() []error { return []error{ErrUnavailable, e.Err} }
