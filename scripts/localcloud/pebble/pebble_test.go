package pebble_test

// Pebble as a process.

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/scripts/localcloud/pebble"
	"github.com/certwright/certwright/scripts/localcloud/supervise/supervisetest"
)

func startChallenges(t *testing.T) *pebble.Challenges {
	t.Helper()
	return supervisetest.Run(t, pebble.StartChallenges, pebble.ChallengesConfig{})
}

// directory is what the tests look at of an ACME directory (RFC 8555 section
// 7.1.1).
type directory struct {
	Meta struct {
		ExternalAccountRequired bool
		Profiles                map[string]string
	}
}

func getDirectory(t *testing.T, s *pebble.Server) (d directory) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: s.Roots()},
		DisableKeepAlives: true,
	}}
	response, err := client.Get(s.DirectoryURL())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestServesADirectory(t *testing.T) {
	t.Parallel()
	challenges := startChallenges(t)
	server := supervisetest.Run(t, pebble.Start, pebble.Config{
		Challenges: challenges,
		MACKeys:    map[string]string{"kid-1": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I"},
		Profiles:   map[string]pebble.Profile{"short": {Description: "six days", ValidityPeriod: 6 * 24 * 60 * 60}},
	})
	d := getDirectory(t, server)
	if !d.Meta.ExternalAccountRequired {
		t.Error("a server with MAC keys does not require an external account")
	}
	if diff := cmp.Diff(map[string]string{"short": "six days"}, d.Meta.Profiles); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
}

func TestStartsAgainAtTheSamePlace(t *testing.T) {
	t.Parallel()
	challenges := startChallenges(t)
	first := supervisetest.Run(t, pebble.Start, pebble.Config{Challenges: challenges})
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := supervisetest.Run(t, pebble.Start, pebble.Config{Challenges: challenges, Port: first.Port(), TLS: first.TLS()})
	if second.DirectoryURL() != first.DirectoryURL() {
		t.Errorf("the directory moved from %s to %s", first.DirectoryURL(), second.DirectoryURL())
	}
	getDirectory(t, second)
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	challenges := startChallenges(t)
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ctx, cancel := context.WithTimeout(t.Context(), supervisetest.StartLimit)
	defer cancel()
	_, err = pebble.Start(ctx, pebble.Config{Challenges: challenges, Port: taken.Addr().(*net.TCPAddr).Port})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("starting on a taken port: %v, want an error that says so", err)
	}
}

func TestStopEndsTheProcesses(t *testing.T) {
	t.Parallel()
	challenges := startChallenges(t)
	server := supervisetest.Run(t, pebble.Start, pebble.Config{Challenges: challenges})
	supervisetest.StopEnds(t, server)
	supervisetest.StopEnds(t, challenges)
}

func TestAnswersChallenges(t *testing.T) {
	t.Parallel()
	ctx, challenges := t.Context(), startChallenges(t)
	for _, step := range []error{
		challenges.AddTXT(ctx, "_acme-challenge.a.test", "one"),
		challenges.AddTXT(ctx, "_acme-challenge.a.test", "two"),
		challenges.SetCNAME(ctx, "_acme-challenge.b.test", "_acme-challenge.a.test"),
		challenges.SetServFail(ctx, "broken.test"),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	resolver := challenges.Resolver()
	texts, err := resolver.LookupTXT(ctx, "_acme-challenge.b.test.")
	if diff := cmp.Diff([]string{"one", "two"}, texts); diff != "" || err != nil {
		t.Errorf("TXT through the alias: %v (-want +got):\n%s", err, diff)
	}
	if _, err := resolver.LookupTXT(ctx, "broken.test."); err == nil {
		t.Error("a name whose server fails has an answer")
	}
	if err := challenges.ClearTXT(ctx, "_acme-challenge.a.test"); err != nil {
		t.Fatal(err)
	}
	if texts, _ := resolver.LookupTXT(ctx, "_acme-challenge.a.test."); len(texts) != 0 {
		t.Errorf("cleared TXT records are there: %q", texts)
	}
}
