package acme_test

// Lost replies, killed processes, two workers.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/scripts/localcloud/pebble"
)

// family is three names with two record sets, one of them with two values.
func family(label string) []string {
	apex := label + ".example.test"
	return []string{apex, "*." + apex, "www." + apex}
}

// TestLostRepliesWithoutDeath loses each reply in turn while the process lives
// and takes what it gets for an error.
func TestLostRepliesWithoutDeath(t *testing.T) {
	t.Parallel()
	printed := new(output)
	server := startPebble(t, pebble.Config{Output: printed})
	between := new(faults)
	directory := between.front(t, server)
	lost := 0
	between.reset(func(n int, r *http.Request) fault {
		if n%4 == 0 && r.Method == http.MethodPost {
			lost++
			return lostReply
		}
		return none
	})
	s := newSetup(t, server)
	s.cfg.Directory.URL = directory
	s.hook.around = between.around
	s.request("lossy.example.test").issue()
	s.noneLeft()
	if n := printed.issued(t, 1); n != 1 || lost < 5 {
		t.Errorf("the CA issued %d certificates while %d replies were lost", n, lost)
	}
}

// TestTwoWorkers has two processes take the steps of one operation at once. As
// in the vault, the first result that is saved counts.
func TestTwoWorkers(t *testing.T) {
	t.Parallel()
	printed := new(output)
	server := startPebble(t, pebble.Config{Output: printed, AuthorizationReuse: 50})
	between := new(faults) // one exchange at a time, as a CA's database has it
	directory := between.front(t, server)
	for round := range 5 {
		s := newSetup(t, server)
		s.cfg.Directory.URL = directory
		o := s.request(family("two-workers")...)
		var mu sync.Mutex
		var state json.RawMessage
		version, chains := 0, [][][]byte{}
		work := func() {
			ca := s.provider()
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
				mu.Lock()
				mine, read := state, version
				mu.Unlock()
				next, out := ca.Step(t.Context(), o.req, mine)
				s.clock.to(out.Until)
				mu.Lock()
				switch {
				case out.Kind == provider.OutcomeIssued:
					chains = append(chains, out.Chain)
					mu.Unlock()
					return
				case out.Kind == provider.OutcomeFailed:
					t.Errorf("round %d: %s", round, out.Message)
					mu.Unlock()
					return
				case read == version:
					state, version = next, version+1
				}
				mu.Unlock()
			}
			t.Errorf("round %d: no end", round)
		}
		var workers sync.WaitGroup
		for range 2 {
			workers.Go(work)
		}
		workers.Wait()
		if len(chains) != 2 || !bytes.Equal(chains[0][0], chains[1][0]) {
			t.Fatalf("round %d: the workers got %d certificates, or different ones", round, len(chains))
		}
		if n := printed.issued(t, round+1); n != round+1 {
			t.Fatalf("the CA issued %d certificates for %d operations", n, round+1)
		}
	}
}

// TestServerForgets restarts the server, which keeps nothing, before each step
// in turn.
func TestServerForgets(t *testing.T) {
	t.Parallel()
	for restarted := 1; ; restarted++ {
		server := startPebble(t, pebble.Config{})
		s, between := newSetup(t, server), new(faults)
		s.cfg.Directory.URL = between.front(t, server)
		o := s.request("forgotten.example.test")
		ended := false
		for o.steps < restarted && !ended {
			ended = o.step().Kind == provider.OutcomeIssued
		}
		if ended {
			break
		}
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		between.behind(startPebble(t, pebble.Config{TLS: server.TLS()}))
		o.issue()
		s.noneLeft()
	}
}

// TestAccountsAreMadeOnce has many processes want the first account of a CA.
func TestAccountsAreMadeOnce(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	states := make([]json.RawMessage, 8)
	var workers sync.WaitGroup
	for i := range states {
		o := s.request(fmt.Sprintf("first-%d.example.test", i))
		workers.Go(func() {
			for range 3 {
				states[i], _ = o.provider.Step(t.Context(), o.req, states[i])
			}
		})
	}
	workers.Wait()
	urls := make(map[string]bool)
	for _, state := range states {
		var s struct{ Account string }
		if err := json.Unmarshal(state, &s); err != nil {
			t.Fatal(err)
		}
		urls[s.Account] = true
	}
	if len(urls) != 1 || urls[""] {
		t.Errorf("the accounts are %v, want one", urls)
	}
}

// TestAccountKeyIsFound has another process come later.
func TestAccountKeyIsFound(t *testing.T) {
	t.Parallel()
	s := newSetup(t, quick)
	s.request("earlier.example.test").issue()
	s.cfg.SaveAccount = func(context.Context, string, []byte) ([]byte, error) {
		t.Error("another key was made")
		return nil, errors.New("there is one")
	}
	s.request("later.example.test").issue()
}

// TestValidationIsAskedForOnce runs the step that asks again with the state from
// before it.
func TestValidationIsAskedForOnce(t *testing.T) {
	t.Parallel()
	s, asked := newSetup(t, quick), 0
	slow := replace(`"ready"`, `"pending"`, 3) // or the order leaves nothing to be asked
	between := &faults{
		next: func(_ int, r *http.Request) fault {
			if strings.HasPrefix(r.URL.Path, "/chalZ/") {
				asked++
			}
			return none
		},
		rewrite: func(path, body string) string {
			if strings.HasPrefix(path, orderPath) {
				return slow(body)
			}
			return body
		},
	}
	s.cfg.Directory.URL = between.front(t, quick)
	o := s.request("once.example.test")
	o.until(seen)
	for range 3 {
		if _, out := s.provider().Step(t.Context(), o.req, o.state); out.Kind != provider.OutcomePending {
			t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
		}
	}
	o.issue()
	if asked != 1 {
		t.Errorf("the CA was asked %d times", asked)
	}
}

// TestAccountKeyIsSavedFirst fails the storage of the account key, with and
// without effect.
func TestAccountKeyIsSavedFirst(t *testing.T) {
	t.Parallel()
	for name, applied := range map[string]bool{"applied": true, "not applied": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, quick)
			broken := true
			save := s.cfg.SaveAccount
			s.cfg.SaveAccount = func(ctx context.Context, id string, key []byte) ([]byte, error) {
				if !broken {
					return save(ctx, id, key)
				}
				broken = false
				if applied {
					if _, err := save(ctx, id, key); err != nil {
						return nil, err
					}
				}
				return nil, errors.New("storage is away")
			}
			o := s.request(label(name) + ".saved.example.test")
			if out := o.step(); out.Kind != provider.OutcomeRetry {
				t.Errorf("%s: %s; want another try", out.Kind, out.Detail+out.Message)
			}
			o.issue()
			if n := len(s.accounts.keys); n != 1 {
				t.Errorf("%d keys are stored", n)
			}
		})
	}
}

// TestStateOfAnotherRelease is left alone.
func TestStateOfAnotherRelease(t *testing.T) {
	t.Parallel()
	o := newSetup(t, quick).request("newer.example.test")
	newer := json.RawMessage(`{"version":2,"order":"https://ca.test/1","more":"x"}`)
	state, out := o.provider.Step(t.Context(), o.req, newer)
	if diff := cmp.Diff(string(newer), string(state)); diff != "" || out.Kind != provider.OutcomeRetry {
		t.Errorf("outcome %s; state (-want +got):\n%s", out.Kind, diff)
	}
	if err := o.provider.Release(t.Context(), o.req, newer); err == nil {
		t.Error("a state that cannot be read was released")
	}
	if id := o.provider.OrderID(newer); id != "" {
		t.Errorf("a state that cannot be read names the order %s", id)
	}
	if id := o.provider.OrderID(json.RawMessage(`{"version":1,"order":"https://ca.test/1"}`)); id != "https://ca.test/1" {
		t.Errorf("the order is %q", id)
	}
}
