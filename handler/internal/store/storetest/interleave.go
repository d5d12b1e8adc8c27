package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

// Search describes a search over the schedules of several workers on one store:
// the orders in which their storage calls can be applied.
type Search struct {
	// Setup makes the scenario of one schedule. It is called for each, so all
	// that workers change (store, clock, CA, record of answers) must be new,
	// and the same each time: a schedule is found again by its choices.
	Setup func() Scenario
	// Crashes is how many workers may stop for ever within one schedule, as a
	// killed process does: between two calls, or after a call was applied but
	// before its answer came.
	Crashes int
	// Preemptions bounds how often a schedule takes the turn from a worker that
	// could go on; 0: no bound. Most bugs need one or two of them, and schedules
	// with so few are few enough to be enumerated where all would be too many.
	Preemptions int
	// Independent tells calls of two workers whose order makes no difference:
	// neither to the store nor through what the workers do between calls. Of
	// schedules that differ only in the order of such calls one is enumerated.
	// nil: every order counts. It must be nil where Preemptions is not 0.
	Independent func(a, b Call) bool
	// Limit bounds the schedules that are enumerated, depth first.
	Limit int
	// Samples is how many random schedules follow when Limit was too low.
	Samples int
	// Seed makes the random schedules, the same ones each time.
	Seed uint64
}

// Scenario is some workers on a store, and what must hold in the end.
type Scenario struct {
	Store   *memory.Store
	Workers []Worker
	// Check is called after each schedule, when every worker has ended or
	// stopped.
	Check func(*memory.Store) error
}

// Worker makes storage calls, one after the other: never two at once. It runs in
// its own goroutine, but never while another worker runs. It must not hold a
// lock over a call that another worker waits for, nor take its time or its
// random numbers from outside the scenario.
type Worker struct {
	Name string
	Run  func(ctx context.Context, store store.Store)
}

// Report says how much a search has seen.
type Report struct {
	Enumerated int  // schedules in depth-first order
	Exhaustive bool // these were all, within the bound of preemptions
	Sampled    int  // random schedules after them
	MaxCalls   int  // in the longest schedule
}

// String is one line for a test's log.
func (r Report) String() string {
	if r.Exhaustive {
		return fmt.Sprintf("all %d schedules, of at most %d calls", r.Enumerated, r.MaxCalls)
	}
	return fmt.Sprintf("the first %d schedules and %d random ones, of at most %d calls", r.Enumerated, r.Sampled, r.MaxCalls)
}

// Counterexample is the schedule after which a check failed.
type Counterexample struct {
	Trace []Step
	Err   error // Check's, or what a worker did wrong
}

// Step is one storage call of a schedule.
type Step struct {
	Worker string
	Call   Call
	Err    error // what the call returned
	Stop   Stop
}

// Stop says whether a step was its worker's last because it was killed.
type Stop uint8

// When a worker stops.
const (
	Goes       Stop = iota // it does not
	Unanswered             // after the call was applied, before it returned
	Answered               // with the answer, before its next call
)

func (c *Counterexample) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v, after this schedule:", c.Err)
	for i, step := range c.Trace {
		fmt.Fprintf(&b, "\n%3d  %s: %s", i+1, step.Worker, step.Call)
		if step.Err != nil {
			fmt.Fprintf(&b, ": %v", step.Err)
		}
		switch step.Stop {
		case Unanswered:
			b.WriteString("  (it stops before it learns this)")
		case Answered:
			b.WriteString("  (it stops before its next call)")
		}
	}
	return b.String()
}

func (c *Counterexample) Unwrap() error { return c.Err }

// errDiverged says that a schedule could not be repeated.
var errDiverged = errors.New("the same choices led to different calls: a worker depends on something outside its scenario")

// Interleave runs the search until a schedule fails, which it returns as a
// Counterexample, or until it is done or ctx has ended.
func Interleave(ctx context.Context, s Search) (Report, error) {
	var report Report
	paths := &depthFirst{independent: s.Independent}
	for report.Enumerated < s.Limit && !report.Exhaustive {
		counts, err := s.try(ctx, paths, &report)
		if err != nil {
			return report, err
		}
		if counts {
			report.Enumerated++
		}
		report.Exhaustive = !paths.next()
	}
	if report.Exhaustive {
		return report, nil
	}
	random := &atRandom{rand.New(rand.NewPCG(s.Seed, 0))}
	for report.Sampled < s.Samples {
		counts, err := s.try(ctx, random, &report)
		if err != nil {
			return report, err
		}
		if counts {
			report.Sampled++
		}
	}
	return report, nil
}

// try runs one schedule. One that another schedule equals does not count.
func (s Search) try(ctx context.Context, c chooser, report *Report) (counts bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	trace, counts, err := s.run(ctx, s.Setup(), c)
	if errors.Is(err, errExplored) {
		return false, nil
	}
	if errors.Is(err, errDiverged) {
		return false, err
	}
	if err != nil {
		return false, &Counterexample{Trace: trace, Err: err}
	}
	report.MaxCalls = max(report.MaxCalls, len(trace))
	return counts, nil
}
