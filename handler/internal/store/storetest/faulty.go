package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/certwright/certwright/handler/internal/store"
)

// Fault is what goes wrong with a call.
type Fault struct {
	effect effect
	after  int
}

type effect uint8

const (
	none effect = iota
	lost
	appliedButFailed
	late
)

var (
	// None lets the call pass.
	None = Fault{}
	// Lost fails the call, which is not applied.
	Lost = Fault{effect: lost}
	// AppliedButFailed applies the call and fails it.
	AppliedButFailed = Fault{effect: appliedButFailed}
)

// Late fails the call, which is applied later: just before the after-th call
// that follows it, or when the test releases it. Where after is 0, only the test
// does.
func Late(after int) Fault { return Fault{effect: late, after: after} }

// String names the fault for tests' names.
func (f Fault) String() string {
	switch f.effect {
	case lost:
		return "lost"
	case appliedButFailed:
		return "applied but failed"
	case late:
		return fmt.Sprintf("late by %d", f.after)
	default:
		return "none"
	}
}

// Nth decides for one fault, at the call with that number.
func Nth(number int, fault Fault) func(Call) Fault {
	return func(call Call) Fault {
		if call.Number == number {
			return fault
		}
		return None
	}
}

// Faulty is a store.Store with faults. A call that it fails returns a
// vault.Error with the reason Unavailable, whatever became of it.
type Faulty struct {
	Intercepted
	decide func(Call) Fault

	mu    sync.Mutex // guards what follows
	calls int
	late  []lateCall // in the order of the calls
}

type lateCall struct {
	due   int // number of the call before which it is applied; 0: none
	apply func()
}

// NewFaulty returns a store above another. decide is asked once for each call,
// in their order, never by two goroutines at once.
func NewFaulty(store store.Store, decide func(Call) Fault) *Faulty {
	f := &Faulty{decide: decide}
	f.Intercepted = Intercepted{Store: store, Around: f.inject}
	return f
}

// Calls is the number of calls so far, those that failed included.
func (f *Faulty) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Release applies all late calls that are still outstanding, in their order.
func (f *Faulty) Release() {
	f.mu.Lock()
	calls := f.late
	f.late = nil
	f.mu.Unlock()
	for _, call := range calls {
		call.apply()
	}
}

func (f *Faulty) inject(ctx context.Context, call Call, do func(context.Context) error) error {
	fault, due := f.begin(&call)
	for _, call := range due {
		call.apply()
	}
	switch fault.effect {
	case none:
		return do(ctx)
	case appliedButFailed:
		_ = do(ctx)
	case late:
		f.postpone(call, fault, func() { _ = do(context.WithoutCancel(ctx)) })
	}
	return fmt.Errorf("call %d, %s: %w: injected fault: %s", call.Number, call, store.ErrUnavailable, fault)
}

// begin numbers a call and takes the late calls that come before it.
func (f *Faulty) begin(call *Call) (Fault, []lateCall) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	call.Number = f.calls
	var due []lateCall
	f.late = slices.DeleteFunc(f.late, func(l lateCall) bool {
		ripe := l.due > 0 && l.due <= call.Number
		if ripe {
			due = append(due, l)
		}
		return ripe
	})
	return f.decide(*call), due
}

func (f *Faulty) postpone(call Call, fault Fault, apply func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := lateCall{apply: apply}
	if fault.after > 0 {
		l.due = call.Number + fault.after
	}
	f.late = append(f.late, l)
}
