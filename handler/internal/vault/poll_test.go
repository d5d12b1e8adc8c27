package vault_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/vault"
)

// slowSelf is Self, whose step says that it has begun and waits to be let go on.
type slowSelf struct {
	*selfsigned.Provider
	begun chan<- struct{}
	goOn  <-chan struct{}
}

func (s slowSelf) Step(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
	s.begun <- struct{}{}
	<-s.goOn
	return s.Provider.Step(ctx, req, state)
}

// TestPollWaitsForATick: a poll at the moment when a tick has the claim sees what the
// tick comes to, if that takes a second at the most.
func TestPollWaitsForATick(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what  string
		ready int // the tick goes on at this pause of the poll; 0: not before the poll is over
		want  vault.Status
		waits time.Duration
	}{
		{"done at the first look", 1, vault.StatusCompleted, 250 * time.Millisecond},
		{"done at the last look", 4, vault.StatusCompleted, time.Second},
		{"not done", 0, vault.StatusInProgress, time.Second},
	} {
		begun, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		clock := newClock()
		self := slowSelf{selfsigned.New(selfsigned.Config{Now: clock.Now}), begun, goOn}
		h := newHarnessWith(t, clock, map[string]provider.Provider{"self": self})
		h.mustCreate("web", "Self")
		clock.Advance(2 * time.Second)
		go func() {
			defer close(done)
			h.mustTick()
		}()
		<-begun
		pauses, waited := 0, time.Duration(0)
		other := open(t, h.store, clock, nil, func(cfg *vault.Config) {
			cfg.Sleep = func(_ context.Context, d time.Duration) error {
				pauses++
				waited += d
				if pauses == c.ready {
					close(goOn)
					<-done
				}
				return nil
			}
		})
		op, err := other.Operation(t.Context(), name(t, "web"), "")
		if err != nil || op.Status != c.want || waited != c.waits {
			t.Errorf("%s: %s after %s, %v; want %s after %s", c.what, op.Status, waited, err, c.want, c.waits)
		}
		if c.ready == 0 {
			close(goOn)
			<-done
		}
	}
}
