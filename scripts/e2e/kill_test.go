package e2e

// A handler that is killed again and again loses nothing.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// kills is how often the handler is killed; as often in each of the acts.
	kills = 36
	// killLimit bounds one kill with the restart that follows.
	killLimit = time.Minute
	// endWait is how long operations may take to end after the last kill: a claim
	// that a killed handler left lasts 90 s.
	endWait = 4 * time.Minute
	// callers is how many programs use the vault meanwhile, pace how often each
	// begins something.
	callers = 3
	pace    = 100 * time.Millisecond
)

// acts are what the handler is killed in the middle of.
const (
	create  = "create"
	merge   = "merge"
	advance = "advance"
)

// TestKilledHandlerLosesNothing: the handler is killed without notice, at random
// moments in the middle of creates, merges and steps, and started again by the
// host; after each third time the host gives up, as Azure's does, and a new one
// takes its place. Programs use the vault all the while, and repeat what got no
// answer as SDKs do. In the end everything that was acknowledged is there, once and
// whole, and every operation has reached its end.
func TestKilledHandlerLosesNothing(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := &siege{
		backend: need(t, sharedBackend), ca: need(t, certificateAuthority), vaultID: newVaultID(),
		random: rand.New(rand.NewPCG(seed, 0)), begun: map[string]chan struct{}{create: make(chan struct{}), merge: make(chan struct{})},
		took: map[string]time.Duration{}, failed: map[string]int{},
	}
	s.start(t)
	s.api().must(t, http.MethodPut, "/certificates/issuers/ca"+apiVersion, `{"provider":"Test"}`)

	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { s.call(t, i, stop) })
	}
	all.Go(func() { s.watch(t, stop) })
	for i := range kills {
		if !s.kill(t, []string{create, merge, advance}[i%3]) {
			break
		}
	}
	close(stop)
	all.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d certificates; requests that a kill has cut off: %v; ticks: %d", len(s.done), s.failed, s.ticks)
	for _, act := range []string{create, merge} {
		if s.failed[act] == 0 {
			t.Errorf("no kill has cut off a %s", act)
		}
	}
	if s.ticks == 0 {
		t.Error("no kill has cut off a tick")
	}
	open := slices.Clone(s.done)
	eventually(t, endWait, "every operation's end", func() error {
		open = slices.DeleteFunc(open, func(c claim) bool { return s.ended(t, c) })
		if len(open) > 0 {
			return fmt.Errorf("%d of %d are in progress, such as %s", len(open), len(s.done), open[0].name)
		}
		return nil
	})
	for _, c := range s.done {
		if err := s.backend.check(t.Context(), s.api(), c); err != nil {
			t.Errorf("%s (%s): %v", c.name, c.issuer, err)
		}
	}
}

// siege is the vault whose handler is killed again and again.
type siege struct {
	backend *backend
	ca      *authority
	vaultID string
	random  *rand.Rand // of the killer alone

	begun map[string]chan struct{} // an act is begun; read by the killer

	mu     sync.Mutex
	host   *host
	deaths int                      // of the host's handlers
	took   map[string]time.Duration // the last of each act
	failed map[string]int           // requests that got no answer
	ticks  int                      // the same of the timer's
	done   []claim
}

// start starts a host, at the address of the last one.
func (s *siege) start(t *testing.T) {
	cfg := hostConfig{vaultID: s.vaultID, schedule: "* * * * * *"}
	if s.host != nil {
		cfg.address = strings.TrimPrefix(s.host.URL(), "http://")
	}
	h := s.backend.start(t, cfg)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.host, s.deaths = h, 0
}

func (s *siege) api() *api {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.host.api
}

// kill kills the handler in the middle of the act and waits until there is
// another.
func (s *siege) kill(t *testing.T, act string) bool {
	ctx, cancel := context.WithTimeout(t.Context(), killLimit)
	defer cancel()
	if err := s.host.Ready(ctx); err != nil {
		t.Error(err)
		return false
	}
	var begun <-chan struct{} = s.begun[act]
	if act == advance {
		begun = s.host.handler.next("step", ctx.Done()) // its result is to be saved now
	}
	select {
	case <-begun:
	case <-ctx.Done():
		t.Errorf("no %s to kill", act)
		return false
	}
	s.mu.Lock()
	duration := max(s.took[act], 5*time.Millisecond)
	s.mu.Unlock()
	moment := time.NewTimer(time.Duration(s.random.Int64N(int64(duration))))
	select {
	case <-moment.C:
	case <-ctx.Done():
	}
	pid := s.host.HandlerPID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("killing the handler: %v", err)
		return false
	}
	s.deaths++
	if s.deaths < 3 {
		err := await(ctx, "another handler", func() error {
			if s.host.HandlerPID() == pid {
				return errors.New("it is the same process")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return err == nil
	}
	if err := s.host.Wait(); err == nil {
		t.Error("the host ended without an error")
		return false
	}
	s.ticks += strings.Count(s.host.log.String(), "a timer run failed")
	s.start(t)
	return true
}

// call is a program that creates certificates, and merges those of the issuer
// Unknown, until stop is closed.
func (s *siege) call(t *testing.T, caller int, stop <-chan struct{}) {
	issuers := []string{"Unknown", "ca", "Self"}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		c := claim{name: fmt.Sprintf("%s-%d-%d", s.vaultID, caller, i), issuer: issuers[i%len(issuers)]}
		err := s.create(t.Context(), &c)
		if err == nil && c.issuer == "Unknown" {
			err = s.merge(t.Context(), &c)
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			return
		}
		s.mu.Lock()
		s.done = append(s.done, c)
		s.mu.Unlock()
	}
}

// repeat sends a request until it is answered, and tells the killer when it does.
// Only what the handler has not answered is sent again.
func (s *siege) repeat(ctx context.Context, act, method, target, body string, edit ...func(*http.Request)) (got answer, again bool, err error) {
	err = await(ctx, act, func() error {
		select {
		case s.begun[act] <- struct{}{}:
		default: // the killer waits for something else
		}
		start := time.Now()
		got, err = s.api().do(ctx, method, target, body, edit...)
		if err == nil && got.status == http.StatusInternalServerError && len(got.body) == 0 {
			err = errors.New("the host has lost its handler")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			again = true
			s.failed[act]++
			return err
		}
		s.took[act] = time.Since(start)
		return nil
	})
	return got, again, err
}

func (s *siege) create(ctx context.Context, c *claim) error {
	got, _, err := s.repeat(ctx, create, http.MethodPost, "/certificates/"+c.name+"/create"+apiVersion, policy(c.issuer),
		func(r *http.Request) { r.Header.Set("x-ms-client-request-id", c.name) })
	if err != nil {
		return err
	}
	var pending operation
	if got.status != http.StatusAccepted {
		return got.refusal()
	}
	if err := got.into(&pending); err != nil {
		return err
	}
	c.requestID, c.csr = pending.RequestID, pending.CSR
	return nil
}

func (s *siege) merge(ctx context.Context, c *claim) error {
	leaf, err := s.ca.sign(c.csr)
	if err != nil {
		return err
	}
	c.leaf = leaf
	got, again, err := s.repeat(ctx, merge, http.MethodPost, "/certificates/"+c.name+"/pending/merge"+apiVersion, mergeBody(leaf))
	if err == nil && got.status != http.StatusCreated && !(again && got.code() == "BadParameter") { // done already
		err = got.refusal()
	}
	return err
}

// watch reads certificates all the while: each is there as a whole or not at all.
func (s *siege) watch(t *testing.T, stop <-chan struct{}) {
	tick := time.NewTicker(pace / 10)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		known := len(s.done)
		var c claim
		if known > 0 {
			c = s.done[i%known]
		}
		s.mu.Unlock()
		if known == 0 {
			continue
		}
		got, err := s.api().do(t.Context(), http.MethodGet, "/certificates/"+c.name+apiVersion, "")
		if err != nil || got.status == http.StatusInternalServerError && len(got.body) == 0 {
			continue // killed
		}
		var seen certificate
		if err := got.into(&seen); err != nil || got.status != http.StatusOK {
			t.Errorf("reading %s: %v, %v", c.name, got.refusal(), err)
			return
		}
		if parts := []bool{seen.KeyID != "", seen.SecretID != "", seen.Thumbprint != "", seen.Leaf != nil, seen.Attributes.Enabled}; slices.Contains(parts, !parts[0]) {
			t.Errorf("%s is half made: %s", c.name, got.body)
			return
		}
	}
}

// ended reports whether the operation has ended.
func (s *siege) ended(t *testing.T, c claim) bool {
	got, err := s.api().do(t.Context(), http.MethodGet, "/certificates/"+c.name+"/pending"+apiVersion, "")
	var pending operation
	return err == nil && got.status == http.StatusOK && got.into(&pending) == nil && pending.Status != "inProgress"
}
