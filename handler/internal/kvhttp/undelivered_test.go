package kvhttp

// Undelivered events by HTTP.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/vault"
)

// away is a destination that takes nothing until it is back.
type away struct{ back bool }

func (a *away) Wants(vault.Event) bool { return true }

func (a *away) Deliver(context.Context, vault.Event) error {
	if a.back {
		return nil
	}
	return &vault.DeliveryError{Refused: true, Err: errors.New("413 Content Too Large")}
}

// first is the first object of a list.
func (a answer) first(t testing.TB) map[string]any {
	t.Helper()
	list, _ := a.field(t, "value").([]any)
	if len(list) == 0 {
		t.Fatalf("%s has no object", a.body)
	}
	return list[0].(map[string]any)
}

// firstUndelivered is the oldest event that is not delivered.
func (s *service) firstUndelivered() map[string]any {
	s.t.Helper()
	return s.must("GET", "/events"+v74, "").first(s.t)
}

// TestUndeliveredEvents: what a destination would not take is listed, page by
// page, and delivered when somebody says so.
func TestUndeliveredEvents(t *testing.T) {
	t.Parallel()
	siem := new(away)
	s := newService(t, options{destinations: map[string]vault.Destination{"siem": siem}})
	s.complete("one")
	s.complete("two")
	s.clock.Advance(time.Minute)
	s.tick()
	a := s.must("GET", "/events"+v74+"&maxresults=1", "")
	got := a.first(t)
	id := got["event_id"].(string)
	want := map[string]any{
		"id": testURL + "/events/" + id + "/siem", "event_id": id, "type": "Microsoft.KeyVault.CertificateNewVersionCreated",
		"time": got["time"], "certificate": "one", "version": got["version"], "destination": "siem",
		"attempts": 1.0, "answer": "413 Content Too Large", "given_up": got["given_up"], "reason": "Refused",
	}
	if diff := cmp.Diff(want, got); diff != "" || got["given_up"] == nil {
		t.Errorf("a dead letter (-want +got):\n%s", diff)
	}
	next := a.field(t, "nextLink").(string)
	if second := s.must("GET", next[len(testURL):], ""); second.first(t)["certificate"] != "two" {
		t.Errorf("the second page is %s", second.body)
	}
	siem.back = true
	if a := s.must("POST", "/events/"+id+"/siem/retry"+v74, ""); a.field(t, "due") == nil {
		t.Errorf("retried: %s", a.body)
	}
	s.tick()
	if left := s.firstUndelivered(); left["certificate"] != "two" {
		t.Errorf("after the retry: %v", left)
	}
	for request, want := range map[string]string{
		"POST /events/" + id + "/siem/retry":      "404 EventNotFound", // it was delivered
		"POST /events/" + id + "/other/retry":     "404 EventNotFound",
		"POST /events/" + id + "/Si_em/retry":     "404 EventNotFound",
		"POST /events/" + id + ":siem/siem/retry": "404 EventNotFound",
		"POST /events/" + id + "/..%2Fsiem/retry": "400 BadParameter",
		"POST /events/x/siem/retry":               "404 EventNotFound",
		"POST /events/" + id + "/siem":            "404 NotFound",
		"GET /events/" + id + "/siem/retry":       "405 MethodNotAllowed",
		"GET /events?$skiptoken=YQ":               "400 BadParameter",
		"GET /events?$skiptoken=*":                "400 BadParameter",
		"GET /events?maxresults=0":                "400 BadParameter",
		"GET /events?maxresults=26":               "400 BadParameter",
		"GET /events?maxresults=1&maxresults=2":   "400 BadParameter",
		"DELETE /events":                          "405 MethodNotAllowed",
	} {
		method, path, _ := strings.Cut(request, " ")
		path, query, _ := strings.Cut(path, "?")
		a := s.do(method, path+v74+"&"+query, "")
		if got := fmt.Sprint(a.status, " ", a.field(t, "error.code")); got != want {
			t.Errorf("%s: got %s %s, want %s", request, got, a.body, want)
		}
	}
}

// TestNamesOfTheBoard: what stands beside the names of certificates in paths is
// nobody's name, or takes nothing from a certificate that has it.
func TestNamesOfTheBoard(t *testing.T) {
	t.Parallel()
	s := newService(t, options{})
	for _, name := range []string{"events", "operations", "retry", "siem"} {
		s.create(name, "Unknown")
		for _, request := range []string{"GET /operations/" + name, "POST /operations/" + name + "/give-up", "POST /operations/" + name + "/retry"} {
			method, path, _ := strings.Cut(request, " ")
			if a := s.must(method, path+v74, ""); a.field(t, "certificate") != name {
				t.Errorf("%s: %s", request, a.body)
			}
		}
	}
	if a := s.must("GET", "/events"+v74, ""); len(a.field(t, "value").([]any)) != 0 {
		t.Errorf("events: %s", a.body)
	}
	for request, want := range map[string]int{
		"POST /certificates/issuers/create":  405, // an issuer called create
		"POST /certificates/contacts/create": 404,
		"POST /operations/issuers/retry":     404,
		"POST /operations/Issuers/advance":   404,
		"DELETE /operations/issuers":         405,
		"GET /operations/contacts":           404,
	} {
		method, path, _ := strings.Cut(request, " ")
		if a := s.do(method, path+v74, policyOf("Unknown")); a.status != want {
			t.Errorf("%s: got %d %s, want %d", request, a.status, a.body, want)
		}
	}
}
