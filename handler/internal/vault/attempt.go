package vault

import (
	"context"
	"time"
)

// claimable is the document of work that has a row of its own.
type claimable[T any] interface {
	*T
	worker
	// claim takes the work for one attempt by making it due at until.
	claim(until time.Time)
	// claimed reports whether the work is still as that claim left it.
	claimed(until time.Time) bool
}

// attempt makes one try of the work in a row: it claims the work, runs it, and
// settles what that led to. The claim moves the due time beyond the end of the try,
// so that no other worker takes the work and a crash gives it back. Work that was
// taken over or changed after the claim is not settled: errLost.
//
// mayClaim gets the row, or nil, and returns errLost for what is not to be tried
// now, or nil for a row that is to be removed without a try. settle gets the row as
// it then is and what run returned, and returns what stays of it; nil: nothing.
// attempt returns the row as it was claimed, and what stayed; nil when it is gone.
func attempt[T any, W claimable[T]](ctx context.Context, v *Vault, key string,
	mayClaim func(W) (W, error), run func(W) error, settle func(W, error) W) (claimed, left W, err error) {
	var until time.Time
	claimed, err = changeRow(ctx, v, key, func(doc *T) (*T, error) {
		w, err := mayClaim(doc)
		if w != nil {
			until = v.now().Add(lease)
			w.claim(until)
		}
		return w, err
	})
	if claimed == nil || err != nil {
		return nil, nil, err
	}
	failure := run(claimed)
	left, err = changeRow(ctx, v, key, func(doc *T) (*T, error) {
		if doc == nil || !W(doc).claimed(until) {
			return nil, errLost
		}
		return settle(doc, failure), nil
	})
	return claimed, left, err
}
