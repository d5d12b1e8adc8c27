package vault

// A tick reads an issuer object once.

import (
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// TestIssuerCache: a round of a tick reads an issuer once. An operation that is
// created meanwhile is not held to what the issuer was before.
func TestIssuerCache(t *testing.T) {
	t.Parallel()
	reads := 0
	read := func() (IssuerState, string, error) {
		reads++
		return IssuerState{Issuer: provider.Issuer{Name: "ca"}}, "id", nil
	}
	cache := newIssuerCache()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		created, now time.Duration // since the start
		reads        int
	}{
		{-time.Hour, 0, 1},
		{-time.Second, 5 * time.Second, 1},
		{0, 5 * time.Second, 1}, // read at the time of the create
		{6 * time.Second, 7 * time.Second, 2},
		{-time.Hour, 8 * time.Second, 2},
	} {
		object, id, err := cache.get("CA", start.Add(test.created), start.Add(test.now), read)
		if object.Name != "ca" || id != "id" || err != nil {
			t.Fatalf("got %v, %q, %v", object, id, err)
		}
		if reads != test.reads {
			t.Errorf("for an operation of %v at %v: %d reads, want %d", test.created, test.now, reads, test.reads)
		}
	}
}
