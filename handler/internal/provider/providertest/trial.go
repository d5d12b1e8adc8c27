package providertest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/vault"
)

// opener opens a rig.
type opener = func(testing.TB, *Network) Rig

// trial is one run with its own trouble.
type trial struct {
	name string
	run  func(*world) error
	want ending

	// acts are how many the plan must come to.
	acts int

	// frozen: a worker's call may arrive after its claim was lost.
	frozen bool
}

// group is the trials of one kind.
type group struct {
	name   string
	trials []trial
}

// in runs the trial in a world of its own and checks how it ended.
func (tr trial) in(t testing.TB, open opener) error {
	w, err := newWorld(t, open)
	if err != nil {
		return err
	}
	if err = tr.run(w); err == nil {
		err = errors.Join(w.missed(tr.acts), w.check(tr))
	}
	if err == nil {
		return nil
	}
	var trace strings.Builder
	for _, m := range w.past() {
		fmt.Fprintf(&trace, "\n  %s", m)
	}
	return fmt.Errorf("%w\nafter these calls and writes:%s", err, trace.String())
}

// missed demands that a run came to the moment of its trouble. One whose moments
// are only a sample may differ from the undisturbed one.
func (w *world) missed(acts int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.acts < acts && w.rig.Points == 0 {
		return errors.New("the run never came to the moment that it was about")
	}
	return nil
}

// undisturbed is a run that nothing happened to.
type undisturbed struct {
	moments []moment
	calls   int
	points  int // Rig.Points

	// open is the first call before which the CA holds most, the last call if it
	// never holds anything; and what follows when the operation is given up
	// then.
	open                   int
	deletion, cancellation release
}

// measure makes an undisturbed run, and two that are given up.
func measure(t testing.TB, open opener) (*undisturbed, error) {
	u := &undisturbed{
		deletion:     release{name: "deleted", give: (*world).deletes},
		cancellation: release{name: "cancelled", give: (*world).cancels},
	}
	most := 0
	err := trial{run: func(w *world) error {
		u.points = w.rig.Points
		w.planned(func(m moment) act {
			if held := w.held(); m.call && (held > most || most == 0) {
				u.open, most = m.number, held
			}
			return act{}
		})
		err := w.settle(nil)
		u.moments = w.past()
		return err
	}}.in(t, open)
	if err != nil {
		return nil, err
	}
	for _, m := range u.moments {
		u.calls = m.calls
	}
	if u.calls == 0 {
		return u, nil
	}
	return u, errors.Join(u.deletion.measure(t, open, u.open), u.cancellation.measure(t, open, u.open))
}

// held is how much the CA holds now.
func (w *world) held() int {
	if w.rig.Made == nil {
		return 0
	}
	return len(w.rig.Made().Held)
}

// once plans one act, at the moment with a number.
func once(number int, a act) func(moment) act {
	return func(m moment) act {
		if m.number == number {
			return a
		}
		return act{}
	}
}

// onceAtCall plans one act, at the call with a number.
func onceAtCall(number int, a act) func(moment) act {
	return func(m moment) act {
		if m.call && m.calls == number {
			return a
		}
		return act{}
	}
}

// deletes is the user's deletion of the operation.
func (w *world) deletes() {
	if _, err := w.user.vault.DeleteOperation(w.t.Context(), w.name, w.request.RequestID); err != nil {
		w.t.Errorf("deleting the operation: %v", err)
	}
}

// cancels is the user's cancellation, which may come too late.
func (w *world) cancels() {
	_, err := w.user.vault.Cancel(w.t.Context(), w.name, w.request.RequestID, true)
	if e, ok := errors.AsType[*vault.Error](err); ok && e.Reason == vault.OperationNotInProgress {
		return
	}
	if err != nil {
		w.t.Errorf("cancelling the operation: %v", err)
	}
}

// groups are all trials.
func (u *undisturbed) groups() []group {
	all := []group{
		{"killed", u.killed()},
		{"each step twice", []trial{
			{name: "to the end", run: func(w *world) error {
				w.twice = true
				return w.settle(nil)
			}},
			{name: "deleted", want: givenUp, run: func(w *world) error {
				w.twice = true
				w.planned(once(max(u.open, 2), act{before: w.deletes}))
				return w.settle(nil)
			}},
			{name: "cancelled", want: givenUp, run: func(w *world) error {
				w.twice = true
				w.planned(once(max(u.open, 2), act{before: w.cancels}))
				return w.settle(nil)
			}},
		}},
		{"given up", u.givenUp()},
		{"two workers", u.twoWorkers()},
	}
	if u.calls > 0 {
		all = append(all, group{"faults", u.faulty()}, group{"release", u.releasing()})
	}
	return all
}

// each makes a trial for each moment, or for as many as the rig allows.
func (u *undisturbed) each(build func(moment) trial) []trial {
	var trials []trial
	for _, m := range spread(u.moments, u.points) {
		tr := build(m)
		tr.name += " " + m.name()
		trials = append(trials, tr)
	}
	return trials
}

// spread takes n elements from all over s; n = 0 takes all.
func spread[T any](s []T, n int) []T {
	if n == 0 || n >= len(s) {
		return s
	}
	taken := make([]T, n)
	for i := range taken {
		taken[i] = s[(2*i+1)*len(s)/(2*n)]
	}
	return taken
}

// killed kills the process around each moment.
func (u *undisturbed) killed() []trial {
	var trials []trial
	for _, death := range deaths {
		for _, m := range u.moments {
			trials = append(trials, trial{name: death.name + " " + m.name(), acts: 1, run: func(w *world) error {
				w.planned(once(m.number, death.at(w)))
				return w.settle(nil)
			}})
		}
	}
	return trials
}

// trouble is something to happen at a moment.
type trouble struct {
	name string
	at   func(*world) act
}

var deaths = []trouble{
	{"before", func(w *world) act { return act{before: w.kill} }},
	{"after", func(w *world) act { return act{after: w.kill} }},
}

// givenUp cancels and deletes before each moment, with the worker going on and
// with the worker killed.
func (u *undisturbed) givenUp() []trial {
	var trials []trial
	for _, how := range []struct {
		name string
		do   []func(*world)
	}{
		{"cancelled", []func(*world){(*world).cancels}},
		{"cancelled and killed", []func(*world){(*world).cancels, (*world).kill}},
		{"deleted", []func(*world){(*world).deletes}},
		{"deleted and killed", []func(*world){(*world).deletes, (*world).kill}},
	} {
		trials = append(trials, u.each(func(m moment) trial {
			return trial{name: how.name, want: givenUp, acts: 1, run: func(w *world) error {
				w.planned(once(m.number, act{before: func() {
					for _, do := range how.do {
						do(w)
					}
				}}))
				return w.settle(nil)
			}}
		})...)
	}
	return trials
}

// faulty has each fault at each call.
func (u *undisturbed) faulty() []trial {
	var trials []trial
	for _, f := range faults {
		for _, m := range u.moments {
			if !m.call {
				continue
			}
			trials = append(trials, trial{name: f.name + " " + m.name(), acts: 1, run: func(w *world) error {
				w.planned(onceAtCall(m.calls, f.act(w)))
				return w.settle(nil)
			}})
		}
	}
	return spread(trials, u.points*faultsFactor)
}

// faultsFactor makes a sample of faults larger than one of moments: there are
// many kinds of them.
const faultsFactor = 3

// act is the fault at the call of the process that runs.
func (f fault) act(w *world) act {
	a := act{lost: f.lost, answer: f.answer}
	if f.slow {
		a.after = func() { w.process.Load().deadline() }
	}
	return a
}
