package vaulttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/certwright/certwright/handler/internal/vault"
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
	// Limit bounds the schedules that are enumerated, depth first.
	Limit int
	// Samples is how many random schedules follow when Limit was too low.
	Samples int
	// Seed makes the random schedules, the same ones each time.
	Seed uint64
}

// Scenario is some workers on a store, and what must hold in the end.
type Scenario struct {
	Store   *Memory
	Workers []Worker
	// Check is called after each schedule, when every worker has ended or
	// stopped.
	Check func(*Memory) error
}

// Worker makes storage calls, one after the other: never two at once. It runs in
// its own goroutine, but never while another worker runs. It must not hold a
// lock over a call that another worker waits for, nor take its time or its
// random numbers from outside the scenario.
type Worker struct {
	Name string
	Run  func(ctx context.Context, store vault.Store)
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
	paths := &depthFirst{}
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
	if errors.Is(err, errDiverged) {
		return false, err
	}
	if err != nil {
		return false, &Counterexample{Trace: trace, Err: err}
	}
	report.MaxCalls = max(report.MaxCalls, len(trace))
	return counts, nil
}

// chooser makes the choices of a schedule: one of the workers that wait with a
// call, and, where stops is true, one of the three ways to go on.
type chooser interface {
	choose(waiting []*worker, stops bool) (*worker, Stop, error)
}

// depthFirst enumerates all choices in lexical order.
type depthFirst struct {
	at      int // depth of the next choice
	choices []choice
}

type choice struct {
	taken, of int
	kind      Kind // of the call that was taken
	key       string
}

func (d *depthFirst) choose(waiting []*worker, stops bool) (*worker, Stop, error) {
	ways := 1
	if stops {
		ways = int(Answered) + 1
	}
	if d.at == len(d.choices) {
		d.choices = append(d.choices, choice{of: len(waiting) * ways})
	}
	c := &d.choices[d.at]
	if c.of != len(waiting)*ways {
		return nil, 0, errDiverged
	}
	w := waiting[c.taken/ways]
	if last := d.at == len(d.choices)-1; last {
		c.kind, c.key = w.waiting.Kind, w.waiting.Key
	}
	if c.kind != w.waiting.Kind || c.key != w.waiting.Key {
		return nil, 0, errDiverged
	}
	d.at++
	return w, Stop(c.taken % ways), nil
}

// next goes to the next schedule; it reports false after the last.
func (d *depthFirst) next() bool {
	d.at = 0
	for last := len(d.choices) - 1; last >= 0; last-- {
		if d.choices[last].taken++; d.choices[last].taken < d.choices[last].of {
			return true
		}
		d.choices = d.choices[:last]
	}
	return false
}

// atRandom takes each worker with equal chance and lets it stop rarely, so that
// most schedules come far.
type atRandom struct{ rng *rand.Rand }

func (r *atRandom) choose(waiting []*worker, stops bool) (*worker, Stop, error) {
	w := waiting[r.rng.IntN(len(waiting))]
	if stops && r.rng.IntN(16) == 0 {
		return w, Unanswered + Stop(r.rng.IntN(2)), nil
	}
	return w, Goes, nil
}
