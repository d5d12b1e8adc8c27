package providertest

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// twoWorkers has a worker stall at each moment, before or after it, until its
// claim is over and another worker has ended the operation, or stalls as well.
func (u *undisturbed) twoWorkers() []trial {
	trials := u.each(func(m moment) trial {
		return trial{name: "late call", acts: 1, frozen: true, run: func(w *world) error {
			return w.stall(m.number, 0, func(s *stalled) act { return act{before: s.wait} }, true)
		}}
	})
	trials = append(trials, u.each(func(m moment) trial {
		return trial{name: "late answer", acts: 1, run: func(w *world) error {
			return w.stall(m.number, 0, func(s *stalled) act { return act{after: s.wait} }, true)
		}}
	})...)
	type pair struct{ first, second int }
	var pairs []pair
	for _, m := range u.moments {
		for second := range len(u.moments) {
			pairs = append(pairs, pair{m.number, second})
		}
	}
	for _, p := range spread(pairs, u.points) {
		name := fmt.Sprintf("frozen at %d and after %d more", p.first, p.second)
		trials = append(trials, trial{name: name, acts: 1, frozen: true, run: func(w *world) error {
			return w.stall(p.first, p.second, func(s *stalled) act { return act{before: s.wait} }, false)
		}})
	}
	return trials
}

// stalled is a worker that waits.
type stalled struct {
	there, on chan struct{}
	once      sync.Once
}

func newStalled() *stalled {
	return &stalled{there: make(chan struct{}), on: make(chan struct{})}
}

// wait stalls until the worker may go on.
func (s *stalled) wait() {
	s.once.Do(func() { close(s.there) })
	<-s.on
}

// stall has one worker stall at a moment, and another one run until it has
// ended the operation or has had so many moments more (0: no limit), when it
// waits for the first. late says that the first one's step has no time left
// when it goes on.
func (w *world) stall(first, second int, at func(*stalled) act, late bool) error {
	a, b := newStalled(), newStalled()
	w.planned(func(m moment) act {
		switch {
		case m.number == first:
			return at(a)
		case second > 0 && m.number == first+second:
			return act{before: b.wait}
		}
		return act{}
	})
	one, err := w.start()
	if err != nil {
		return err
	}
	oneDone := background(func() error { return one.rounds(w) })
	select {
	case <-a.there:
	case <-oneDone.done:
		return errors.Join(oneDone.err, w.settle(nil))
	}
	two, err := w.startBeside()
	if err != nil {
		return err
	}
	if err := w.keepsOff(two); err != nil {
		close(a.on)
		return errors.Join(err, oneDone.wait())
	}
	w.clock.add(lease)
	twoDone := background(func() error { return two.rounds(w) })
	if !w.await(twoDone, b) {
		w.planned(nil) // or the first one would stall there
	}
	if late {
		one.deadline()
	}
	close(a.on)
	w.await(oneDone, nil)
	close(b.on)
	return errors.Join(oneDone.wait(), twoDone.wait(), w.settle(nil))
}

// keepsOff has a worker tick while another one's claim lasts: it must leave the
// operation alone.
func (w *world) keepsOff(p *Process) error {
	op, err := w.operation()
	if err != nil || op == nil || !op.ClaimedUntil.After(w.clock.now()) {
		return err
	}
	before := len(w.past())
	if err := p.tick(); err != nil {
		return err
	}
	if more := w.past()[before:]; len(more) > 0 {
		return fmt.Errorf("a worker touched an operation that another one had claimed: %v", more)
	}
	return nil
}

// maxStalledRounds bounds what a worker does beside one that stalls: there is
// an end to it only when the other goes on.
const maxStalledRounds = 200

// rounds has one process go on until the operation ends.
func (p *Process) rounds(w *world) error {
	for range maxStalledRounds {
		if err := p.tick(); err != nil {
			return err
		}
		if over, err := w.over(); err != nil || over {
			return err
		}
		w.clock.add(interval)
	}
	return nil
}

// result is what a goroutine will have returned.
type result struct {
	done chan struct{}
	err  error // when done
}

func background(f func() error) *result {
	r := &result{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = f()
	}()
	return r
}

func (r *result) wait() error {
	<-r.done
	return r.err
}

// patience is how long, in real time, a worker may do nothing before it is taken
// to wait for the other one: two processes share nothing in reality, but here a
// library that both use may have a lock.
const patience = time.Second

// await waits until a worker has ended, stalls, or seems to wait for the other
// one. It reports whether it stalls.
func (w *world) await(r *result, s *stalled) bool {
	var there chan struct{} // nil: it cannot
	if s != nil {
		there = s.there
	}
	idle := time.NewTicker(patience)
	defer idle.Stop()
	for before := -1; ; {
		select {
		case <-there:
			return true
		case <-r.done:
			return false
		case <-idle.C:
			now := len(w.past())
			if now == before {
				return false
			}
			before = now
		}
	}
}
