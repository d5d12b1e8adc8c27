package providertest

import "testing"

// releasing has the trouble during a release.
func (u *undisturbed) releasing() []trial {
	var trials []trial
	for _, how := range []*release{&u.deletion, &u.cancellation} {
		for _, m := range how.moments {
			for _, death := range deaths {
				trials = append(trials, how.disturbed(u.open, "killed "+death.name, m, death.at))
			}
			if m.call {
				for _, f := range faults {
					trials = append(trials, how.disturbed(u.open, f.name, m, f.act))
				}
			}
		}
	}
	return spread(trials, u.points*faultsFactor)
}

// release is what follows when the user gives the operation up.
type release struct {
	name    string
	give    func(*world)
	moments []moment // after that
}

// measure makes an undisturbed run in which the user gives up before the moment
// with a number.
func (r *release) measure(t testing.TB, open opener, at int) error {
	return trial{want: givenUp, acts: 1, run: func(w *world) error {
		w.planned(once(at, act{before: func() { r.give(w) }}))
		err := w.settle(nil)
		r.moments = w.past()[min(at, len(w.past())):]
		return err
	}}.in(t, open)
}

// disturbed is such a run with trouble at another moment.
func (r *release) disturbed(open int, name string, m moment, at func(*world) act) trial {
	return trial{name: r.name + " " + name + " " + m.name(), want: givenUp, acts: 2, run: func(w *world) error {
		gives, trouble := once(open, act{before: func() { r.give(w) }}), once(m.number, at(w))
		w.planned(func(m moment) act {
			if m.number == open {
				return gives(m)
			}
			return trouble(m)
		})
		return w.settle(nil)
	}}
}
