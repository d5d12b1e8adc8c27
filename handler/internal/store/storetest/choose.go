package storetest

import (
	"errors"
	"math/rand/v2"
	"slices"
)

// chooser makes the choices of a schedule: one of the workers that wait with a
// call, and, where stops is true, one of the three ways to go on.
type chooser interface {
	choose(waiting []*worker, stops bool) (*worker, Stop, error)
}

// depthFirst enumerates all choices in lexical order.
//
// Where independent calls may be swapped it keeps sleep sets (Godefroid,
// "Partial-Order Methods for the Verification of Concurrent Systems", chapter
// 5): a choice that was explored stays asleep in the branches of its later
// siblings until a call is made that depends on its call, because up to then it
// would only lead to what it has led to.
type depthFirst struct {
	independent func(a, b Call) bool
	at          int // depth of the next choice
	choices     []choice
}

// choice is a point of a schedule: its options, all of them awake, the one that
// is taken, and what sleeps.
type choice struct {
	options []option
	taken   int
	asleep  []option
}

// option is one way to go on.
type option struct {
	worker string
	call   Call
	stop   Stop
}

// errExplored ends a schedule of which all continuations were explored in
// another order.
var errExplored = errors.New("explored in another order")

func (d *depthFirst) choose(waiting []*worker, stops bool) (*worker, Stop, error) {
	all := options(waiting, stops)
	if d.at == len(d.choices) {
		next := choice{asleep: d.asleep()}
		for _, o := range all {
			if !slices.ContainsFunc(next.asleep, o.equals) {
				next.options = append(next.options, o)
			}
		}
		if len(next.options) == 0 {
			return nil, 0, errExplored
		}
		d.choices = append(d.choices, next)
	}
	c := &d.choices[d.at]
	if len(all) != len(c.options)+len(c.asleep) {
		return nil, 0, errDiverged
	}
	taken := c.options[c.taken]
	i := slices.IndexFunc(waiting, func(w *worker) bool { return w.name == taken.worker })
	if i < 0 || waiting[i].waiting.Kind != taken.call.Kind || waiting[i].waiting.Key != taken.call.Key {
		return nil, 0, errDiverged
	}
	d.at++
	return waiting[i], taken.stop, nil
}

func options(waiting []*worker, stops bool) []option {
	var all []option
	for _, w := range waiting {
		all = append(all, option{w.name, *w.waiting, Goes})
		if stops {
			all = append(all, option{w.name, *w.waiting, Unanswered}, option{w.name, *w.waiting, Answered})
		}
	}
	return all
}

func (o option) equals(other option) bool { return o.worker == other.worker && o.stop == other.stop }

// asleep is what sleeps at the next choice.
func (d *depthFirst) asleep() []option {
	if d.at == 0 || d.independent == nil {
		return nil
	}
	last := d.choices[d.at-1]
	taken := last.options[last.taken]
	var asleep []option
	for _, o := range slices.Concat(last.asleep, last.options[:last.taken]) {
		// Two stops use up the same allowance.
		if o.worker != taken.worker && (o.stop == Goes || taken.stop == Goes) && d.independent(o.call, taken.call) {
			asleep = append(asleep, o)
		}
	}
	return asleep
}

// next goes to the next schedule; it reports false after the last.
func (d *depthFirst) next() bool {
	d.at = 0
	for last := len(d.choices) - 1; last >= 0; last-- {
		if d.choices[last].taken++; d.choices[last].taken < len(d.choices[last].options) {
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
