package acme

import (
	"context"
	"sync"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
)

// Lookup finds key authorizations for whoever asks, which anybody may. It reads
// storage once in lookupInterval at most, whatever is asked for: all the tokens that
// there are, of which those of orders under way are few. A question waits for a
// reading that began after it, so that a token that was just published, maybe by
// another instance, is found.
type Lookup struct {
	challenges Challenges

	mu   sync.Mutex
	next *reading  // that has not begun
	last time.Time // when the last one began
}

// reading is one look at storage.
type reading struct {
	done  chan struct{}
	found map[string]string // key authorizations by token
	whole bool              // found has all there are
	err   error
}

const (
	lookupInterval = time.Second
	lookupTimeout  = 10 * time.Second
	maxLookup      = 1000 // tokens read at once
)

// NewLookup finds what others publish in challenges.
func NewLookup(challenges Challenges) *Lookup { return &Lookup{challenges: challenges} }

// Get returns the key authorization of a token; store.ErrNotFound when there is
// none, also when the token is not of a token's form.
func (l *Lookup) Get(ctx context.Context, token string) (string, error) {
	if _, err := challengeKey(token); err != nil {
		return "", store.ErrNotFound
	}
	r := l.reading(ctx)
	select {
	case <-r.done:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	found, ok := r.found[token]
	switch {
	case r.err != nil:
		return "", r.err
	case ok:
		return found, nil
	case !r.whole:
		return l.challenges.Get(ctx, token)
	default:
		return "", store.ErrNotFound
	}
}

// reading is the next look at storage, for everybody who asks before it begins.
func (l *Lookup) reading(ctx context.Context) *reading {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == nil {
		l.next = &reading{done: make(chan struct{})}
		go l.read(context.WithoutCancel(ctx), l.next, time.Until(l.last.Add(lookupInterval)))
	}
	return l.next
}

func (l *Lookup) read(ctx context.Context, r *reading, pause time.Duration) {
	defer close(r.done)
	time.Sleep(pause)
	l.mu.Lock()
	l.next, l.last = nil, time.Now()
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var rows []store.Row
	if rows, r.err = l.challenges.Store.Scan(ctx, store.Within(challengeRow, maxLookup)); r.err != nil {
		return
	}
	r.found, r.whole = make(map[string]string, len(rows)), len(rows) < maxLookup
	for _, row := range rows {
		var record challengeRecord
		if r.err = store.Decode(row, &record); r.err != nil {
			return
		}
		r.found[row.Key[len(challengeRow):]] = record.KeyAuthorization
	}
}
