package kvhttp

import (
	"context"
	"errors"
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

// certificateOf is the certificate of the first event of a list.
func certificateOf(t *testing.T, a answer) any {
	t.Helper()
	return a.field(t, "value").([]any)[0].(map[string]any)["certificate"]
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
	got := a.field(t, "value").([]any)[0].(map[string]any)
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
	if second := s.must("GET", next[len(testURL):], ""); certificateOf(t, second) != "two" {
		t.Errorf("the second page is %s", second.body)
	}
	siem.back = true
	if a := s.must("POST", "/events/"+id+"/siem/retry"+v74, ""); a.field(t, "due") == nil {
		t.Errorf("retried: %s", a.body)
	}
	s.tick()
	if a := s.must("GET", "/events"+v74, ""); certificateOf(t, a) != "two" {
		t.Errorf("after the retry: %s", a.body)
	}
	for path, status := range map[string]int{
		"/events/" + id + "/siem/retry":  404, // it was delivered
		"/events/" + id + "/other/retry": 404,
		"/events/x/siem/retry":           404,
	} {
		if a := s.do("POST", path+v74, ""); a.status != status {
			t.Errorf("POST %s: %d, want %d", path, a.status, status)
		}
	}
	if a := s.do("GET", "/events"+v74+"&$skiptoken=YQ", ""); a.status != 400 {
		t.Errorf("a bad token: %d %s", a.status, a.body)
	}
}
