package vault

import (
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
)

// life is for how long the version is valid.
func (ver *version) life() time.Duration { return ver.Expires.Sub(ver.NotBefore) }

// partOfLife is when part/whole of a version's life is over, in whole seconds as
// certificates have them.
func partOfLife(ver *version, part, whole int) time.Time {
	seconds := ver.Expires.Unix() - ver.NotBefore.Unix()
	return time.Unix(ver.NotBefore.Unix()+seconds*int64(part)/int64(whole), 0).UTC()
}

// when is when the action is due in the life of a version. Days that a CA's shorter
// lives leave no room for become two thirds of the life: else it would be due as
// soon as the version is there, and again with the next.
func (ver *version) when(a policy.LifetimeAction) time.Time {
	if a.Percentage > 0 {
		return partOfLife(ver, a.Percentage, 100)
	}
	at := ver.Expires.AddDate(0, 0, -a.DaysBefore)
	if earliest := partOfLife(ver, 1, 10); at.Before(earliest) {
		return partOfLife(ver, 2, 3)
	}
	return at
}

// patience bounds a pause before a renewal is tried again: where little of a
// version's life remains it must not be slept away.
func (ver *version) patience(now time.Time) time.Duration {
	part := time.Duration(4)
	if ver.life() < 24*time.Hour {
		part = 10
	}
	return max(leastPatience, ver.Expires.Sub(now)/part)
}

// leastPatience is short for people, and long for a CA.
const leastPatience = 5 * time.Minute
