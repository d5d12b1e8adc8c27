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

// Group is a set of members of which each needs all the others. The zero value
// is an empty group. Its methods are safe for concurrent use.
type Group struct {
	mu      sync.Mutex
	members []named
	stopped bool
	ended   chan error
}

type named struct {
	name string
	Member
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
	ended := g.firstEnd()
	go func() {
		<-m.Done()
		err := fmt.Errorf("%s ended by itself", name)
		if cause := m.Err(); cause != nil {
			err = fmt.Errorf("%s ended by itself: %w", name, cause)
		}
		select {
		case ended <- err:
		default: // only the first matters
		}
	}()
	return nil
}

// firstEnd returns the channel for the first member that ends. g.mu is held.
func (g *Group) firstEnd() chan error {
	if g.ended == nil {
		g.ended = make(chan error, 1)
	}
	return g.ended
}

// Wait returns nil when ctx ends, or an error that names the first member that
// ended by itself.
func (g *Group) Wait(ctx context.Context) error {
	g.mu.Lock()
	ended := g.firstEnd()
	g.mu.Unlock()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

// Stop stops all members, the last that was added first.
func (g *Group) Stop() error {
	g.mu.Lock()
	defer g.mu.Unlock()
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
