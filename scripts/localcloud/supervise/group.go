package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Member is a part of a Group: a process, or a server within this one.
type Member interface {
	// Done is closed when the member has ended.
	Done() <-chan struct{}
	// Err returns, after Done, why the member ended; nil: without an error.
	Err() error
	// Stop ends the member within a bounded time and waits for that.
	Stop() error
}

// Group is a set of members of which each needs all the others. Its methods are
// safe for concurrent use.
type Group struct {
	cancel  context.CancelCauseFunc
	mu      sync.Mutex
	members []named
	stopped bool
}

type named struct {
	name string
	Member
}

// NewGroup returns an empty group, and a context that ends with ctx, or when a
// member ends by itself: its cause then names the first that did.
func NewGroup(ctx context.Context) (*Group, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Group{cancel: cancel}, ctx
}

// Add puts a running member into the group. In a group that was stopped
// meanwhile, the member is stopped at once.
func (g *Group) Add(name string, m Member) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return errors.Join(fmt.Errorf("%s is not needed any more", name), m.Stop())
	}
	g.members = append(g.members, named{name, m})
	go func() {
		<-m.Done()
		if err := m.Err(); err != nil {
			g.cancel(fmt.Errorf("%s ended by itself: %w", name, err))
			return
		}
		g.cancel(fmt.Errorf("%s ended by itself", name))
	}()
	return nil
}

// Stop ends the context and stops all members, the last that was added first.
func (g *Group) Stop() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancel(nil)
	g.stopped = true
	var errs []error
	for _, m := range slices.Backward(g.members) {
		if err := m.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", m.name, err))
		}
	}
	g.members = nil
	return errors.Join(errs...)
}
