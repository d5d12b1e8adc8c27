package functionshost

import "time"

const (
	// maxFailures is which failure of the handler stops the host, if each came
	// within failureWindow of the one before.
	maxFailures   = 3
	failureWindow = 30 * time.Minute
)

// A failureCount counts the failures of the handler that follow each other closely.
type failureCount struct {
	n    int
	last time.Time
}

// add counts a failure at now and reports whether that is one too many.
func (c *failureCount) add(now time.Time) bool {
	if c.n > 0 && now.Sub(c.last) > failureWindow {
		c.n = 0
	}
	c.n++
	c.last = now
	return c.n >= maxFailures
}
