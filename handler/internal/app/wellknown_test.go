package app

// The files below /.well-known/.

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

// TestChallengeIsServed: a CA that validates by HTTP-01 gets the file from
// whatever instance it asks.
func TestChallengeIsServed(t *testing.T) {
	t.Parallel()
	challenges := acme.Challenges{Store: new(memory.Store)}
	server := httptest.NewServer(&App{challenges: acme.NewLookup(challenges), log: slog.New(slog.DiscardHandler)})
	defer server.Close()
	if err := challenges.Put(context.Background(), "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "authorization"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/.well-known/acme-challenge/LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0": 200,
		"/.well-known/acme-challenge/loqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0": 404,
		"/.well-known/acme-challenge/":                                            404,
		"/.well-known/acme-challenge/..%2Fc:web":                                  404,
	} {
		resp, body := fetch(t, http.MethodGet, server.URL+path)
		if resp.StatusCode != want || want == 200 && string(body) != "authorization" {
			t.Errorf("GET %s: %d %q, want %d", path, resp.StatusCode, body, want)
		}
	}
}

// TestChallengesOfNobody: where no provider proves names by HTTP-01, storage is not
// asked for files.
func TestChallengesOfNobody(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&App{log: slog.New(slog.DiscardHandler)}) // without a store at all
	defer server.Close()
	if resp, _ := fetch(t, http.MethodGet, server.URL+"/.well-known/acme-challenge/LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("%d", resp.StatusCode)
	}
}
