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

// when is when the action is due in the life of a version.
func (ver *version) when(a policy.LifetimeAction) time.Time {
	if a.Percentage > 0 {
		return partOfLife(ver, a.Percentage, 100)
	}
	return ver.Expires.AddDate(0, 0, -a.DaysBefore)
}
