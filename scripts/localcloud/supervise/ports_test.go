package supervise_test

// Fixed ports, and free ones.

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// TestOnPorts: a start on free ports is tried again, one on a wanted port, or
// after the end of its context, is not.
func TestOnPorts(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	taken := errors.New("taken")
	for name, c := range map[string]struct {
		ctx          context.Context
		wanted       []int
		fail, starts int
		err          error
	}{
		"at once":       {t.Context(), []int{0, 0}, 0, 1, nil},
		"later":         {t.Context(), []int{0, 0}, 3, 4, nil},
		"never":         {t.Context(), []int{0}, 99, 5, taken},
		"wanted":        {t.Context(), []int{80, 0}, 0, 1, nil},
		"wanted, taken": {t.Context(), []int{80, 0}, 1, 1, taken},
		"ended":         {ended, []int{0}, 1, 1, taken},
	} {
		n := 0
		got, err := supervise.OnPorts(c.ctx, c.wanted, func(ports []int) ([]int, error) {
			if n++; n <= c.fail {
				return nil, taken
			}
			return ports, nil
		})
		if n != c.starts || !errors.Is(err, c.err) {
			t.Errorf("%s: %d starts, %v; want %d, %v", name, n, err, c.starts, c.err)
		}
		if err != nil {
			continue
		}
		for i, port := range got {
			if port == 0 || c.wanted[i] != 0 && port != c.wanted[i] || slices.Contains(got[:i], port) {
				t.Errorf("%s: ports %d for %d", name, got, c.wanted)
			}
		}
	}
}
