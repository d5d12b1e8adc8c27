package root

import (
	"context"
	"errors"
	"fmt"

	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/store"
)

// explain makes an error one that says what to do. What may pass by itself stays an
// ErrUnavailable without advice.
func explain(err error) error {
	advice := ""
	switch {
	case errors.Is(err, errUnadopted):
		advice = "This vault's rows have no MACs: release 0.1.0, or somebody else, wrote them. Run handler migrate --accept-unsigned if they are yours."
	case errors.Is(err, seal.ErrUnknownKEK):
		advice = "The configured key-encryption key is not the one under which this vault's root is stored, or that key is gone. Put it back."
	case errors.Is(err, seal.ErrRefused), errors.Is(err, store.ErrNotAuthentic):
		advice = "The root of this vault's keys was not signed by its key-encryption key. Put back the row s:root as it was."
	case errors.Is(err, seal.ErrDenied):
		advice = "The use of this vault's key-encryption key is denied. Enable the key, or give the app its role back."
	case errors.Is(err, seal.ErrUnavailable), errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrThrottled),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("opening the root: %w: %w", store.ErrUnavailable, err)
	default:
		advice = "The root of this vault's keys cannot be opened; the log says why."
	}
	return &store.NotReadyError{Advice: advice, Err: fmt.Errorf("opening the root: %w", err)}
}
