package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/certwright/certwright/handler/internal/store/memory"
)

// schedule is one run of a scenario. Its own goroutine and those of the workers
// take turns: at any time all of them wait but one.
type schedule struct {
	events  chan event
	workers []*worker
}

// event is what a worker's turn ended with: a call that it wants to make, or its
// end.
type event struct {
	call  *Call
	panic error // at the end, if it panicked
}

// worker is a Worker in a schedule.
type worker struct {
	Intercepted
	name    string
	events  chan<- event
	verdict chan Stop
	waiting *Call // nil: it has ended. Only the schedule uses it
	err     error // of the last call; written in the worker's turn, read after it

	busy       atomic.Bool // a call waits or runs
	overlapped atomic.Bool // another came meanwhile
	stopped    atomic.Bool
}

// run plays one schedule to its end. It reports false when another schedule is
// equal: a worker that was to stop before its next call had none.
func (search Search) run(ctx context.Context, scenario Scenario, c chooser) (trace []Step, counts bool, err error) {
	s := &schedule{events: make(chan event)}
	defer s.stopAll()
	crashes, preemptions := search.Crashes, search.Preemptions
	for _, w := range scenario.Workers {
		if err := s.start(ctx, scenario.Store, w); err != nil {
			return nil, false, err
		}
	}
	var last *worker
	for waiting := s.waiting(); len(waiting) > 0; waiting = s.waiting() {
		goesOn := last != nil && last.waiting != nil
		if goesOn && search.Preemptions > 0 && preemptions == 0 {
			waiting = []*worker{last}
		}
		w, stop, err := c.choose(waiting, crashes > 0)
		if err != nil {
			return trace, false, err
		}
		if goesOn && w != last {
			preemptions--
		}
		last = w
		step := Step{Worker: w.name, Call: *w.waiting, Stop: stop}
		step.Call.Number = len(trace) + 1
		err = s.turn(w, stop)
		step.Err = w.err
		trace = append(trace, step)
		if err == nil && stop == Answered {
			if w.waiting == nil {
				return trace, false, nil
			}
			err = s.turn(w, kill)
		}
		if err != nil {
			return trace, false, err
		}
		if stop != Goes {
			crashes--
		}
	}
	if scenario.Check != nil {
		err = scenario.Check(scenario.Store)
	}
	return trace, true, err
}

// kill is the verdict on a call that is not made: its worker ends.
const kill = Answered + 1

// start runs a worker up to its first call.
func (s *schedule) start(ctx context.Context, store *memory.Store, w Worker) error {
	worker := &worker{name: w.Name, events: s.events, verdict: make(chan Stop)}
	worker.Intercepted = Intercepted{Store: store, Around: worker.call}
	s.workers = append(s.workers, worker)
	go func() {
		var end event
		defer func() {
			if p := recover(); p != nil {
				end.panic = fmt.Errorf("worker %s panicked: %v\n%s", w.Name, p, debug.Stack())
			}
			worker.stopped.Store(true)
			s.events <- end
		}()
		w.Run(ctx, worker)
	}()
	return s.receive(worker)
}

// turn gives a worker its turn.
func (s *schedule) turn(w *worker, verdict Stop) error {
	w.verdict <- verdict
	return s.receive(w)
}

// receive waits for the end of a worker's turn.
func (s *schedule) receive(w *worker) error {
	e := <-s.events
	w.waiting = e.call
	if w.overlapped.Load() {
		return fmt.Errorf("worker %s made two storage calls at once", w.name)
	}
	return e.panic
}

// waiting are the workers that wait with a call.
func (s *schedule) waiting() []*worker {
	var all []*worker
	for _, w := range s.workers {
		if w.waiting != nil {
			all = append(all, w)
		}
	}
	return all
}

// stopAll ends the workers of a schedule that is given up.
func (s *schedule) stopAll() {
	for _, w := range s.waiting() {
		_ = s.turn(w, kill)
	}
}

// call makes a worker's storage call when it is the call's turn. A stopped
// worker goes no further: its goroutine ends here, and wherever a deferred
// function calls the store again.
func (w *worker) call(ctx context.Context, call Call, do func(context.Context) error) error {
	if w.stopped.Load() {
		runtime.Goexit()
	}
	if !w.busy.CompareAndSwap(false, true) {
		w.overlapped.Store(true)
		return errors.New("another call of this worker waits")
	}
	defer w.busy.Store(false)
	w.events <- event{call: &call}
	verdict := <-w.verdict
	if verdict != kill {
		w.err = do(ctx)
	}
	if verdict == kill || verdict == Unanswered {
		w.stopped.Store(true)
		runtime.Goexit()
	}
	return w.err
}
