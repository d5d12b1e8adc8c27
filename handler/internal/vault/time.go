package vault

import "time"

// later is now, or a second after old when the clock has not moved on: on the
// wire times are whole seconds, and "updated" must grow.
func later(now, old time.Time) time.Time {
	if next := old.Add(time.Second); now.Before(next) {
		return next
	}
	return now
}

func latestOf(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// sensible keeps the next step between a second and a day from now, whatever a
// CA asks for: a tick must neither spin nor be sent away for good.
func sensible(t, now time.Time) time.Time {
	switch soonest, latest := now.Add(time.Second), now.Add(24*time.Hour); {
	case t.Before(soonest):
		return soonest
	case t.After(latest):
		return latest
	default:
		return t.UTC().Truncate(time.Millisecond)
	}
}

// backoff is the pause after the given number of failures in a row: 5 s doubling
// to 1 h, with jitter.
func (v *Vault) backoff(failures int) time.Duration {
	d := time.Hour
	if failures < 11 {
		d = min(d, 5*time.Second<<(failures-1))
	}
	return v.jitter(d)
}

// jitter takes up to a quarter off a pause at random, so that what failed
// together does not come back together.
func (v *Vault) jitter(d time.Duration) time.Duration {
	var b [1]byte
	v.fill(b[:])
	return d - d/4*time.Duration(b[0])/256
}
