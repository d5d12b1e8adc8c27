package acme_test

// Pebble, started once for all tests.

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/pebble"
	"github.com/certwright/certwright/scripts/localcloud/supervise/supervisetest"
)

// The servers that tests share. Both are real; tests keep apart by names.
var (
	challenges *pebble.Challenges

	// difficult rejects good nonces, reuses authorizations, offers two chains
	// and two profiles, and has a blocked domain. quick does nothing of that.
	difficult, quick *pebble.Server
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for servers more than they compute.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), supervisetest.StartLimit)
	defer cancel()
	var err error
	if challenges, err = pebble.StartChallenges(ctx, pebble.ChallengesConfig{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer challenges.Stop()
	difficult, err = pebble.Start(ctx, pebble.Config{
		Challenges:         challenges,
		Blocked:            []string{"blocked.test"},
		NonceReject:        20,
		AuthorizationReuse: 50,
		AlternateRoots:     1,
		Profiles: map[string]pebble.Profile{
			"default":    {Description: "90 days", ValidityPeriod: 90 * 24 * 60 * 60},
			"shortlived": {Description: "6 days", ValidityPeriod: 6 * 24 * 60 * 60},
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer difficult.Stop()
	if quick, err = pebble.Start(ctx, pebble.Config{Challenges: challenges}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer quick.Stop()
	return m.Run()
}

// startPebble runs a server for one test.
func startPebble(t *testing.T, cfg pebble.Config) *pebble.Server {
	t.Helper()
	cfg.Challenges = challenges
	return supervisetest.Run(t, pebble.Start, cfg)
}

// output is what a server printed.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// issued counts the certificates that Pebble made, which says so through a pipe
// and maybe later than to its clients: it waits for at least so many.
func (o *output) issued(t *testing.T, least int) int {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		o.mu.Lock()
		n := bytes.Count(o.text.Bytes(), []byte("Issued certificate serial"))
		o.mu.Unlock()
		if n >= least || time.Now().After(deadline) {
			return n
		}
	}
}
