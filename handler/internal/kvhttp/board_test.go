package kvhttp

// The operators' board by HTTP: lists, actions, pauses, revocation.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/scripted"
)

// keeper is the provider Test at a CA that keeps what it was asked for, until it
// is open.
type keeper struct {
	*scripted.Provider
	open bool
}

func (k *keeper) Release(context.Context, provider.Request, json.RawMessage) error {
	if !k.open {
		return errors.New("the CA is closed")
	}
	return nil
}

// newBoard is a service with the provider Keeper beside Test.
func newBoard(t *testing.T) (*service, *keeper) {
	t.Helper()
	k := new(keeper)
	s := newService(t, options{issuers: map[string]provider.Provider{"keeper": k}})
	k.Provider = scripted.New(scripted.Config{Now: s.clock.Now})
	return s, k
}

func TestBoard(t *testing.T) {
	t.Parallel()
	s, _ := newBoard(t)
	s.script("stuck", "hold")
	s.script("refuser", "reject=Names of others are not for you.")
	created := s.clock.Now().Unix()
	held := s.create("Held", "stuck").field(t, "request_id")
	refused := s.create("refused", "refuser").field(t, "request_id")
	s.create("merge", "Unknown")
	s.complete("done")
	s.tick()
	a := s.must("GET", "/operations"+v74, "")
	for i, want := range []map[string]any{
		{
			"id": testURL + "/operations/Held", "work": "operation", "certificate": "Held", "request_id": held,
			"issuer": "stuck", "provider": "test", "order_id": "test-" + held.(string)[:8], "status": "inProgress",
			"answer": "The script holds the request.", "failures": 0.0, "created": float64(created),
			"due": a.field(t, "value").([]any)[0].(map[string]any)["due"],
		},
		{"id": testURL + "/operations/merge", "certificate": "merge", "issuer": "Unknown", "status": "inProgress", "waits_for_merge": true, "provider": nil, "due": nil},
		{
			"certificate": "refused", "request_id": refused, "issuer": "refuser", "status": "failed", "due": nil,
			"order_id": "test-" + refused.(string)[:8],
			"error":    map[string]any{"code": "Request rejected", "message": "Names of others are not for you."},
		},
	} {
		got := a.field(t, "value").([]any)[i].(map[string]any)
		for field, value := range want {
			if diff := cmp.Diff(value, got[field]); diff != "" {
				t.Errorf("entry %d, %s (-want +got):\n%s", i, field, diff)
			}
		}
	}
	s.clock.Advance(time.Hour)
	for query, want := range map[string][]string{
		"":                                {"Held", "merge", "refused"},
		"&status=failed":                  {"refused"},
		"&status=inProgress&issuer=STUCK": {"Held"},
		"&stuckFor=PT1H":                  {"Held", "merge", "refused"},
		"&stuckFor=P1DT1S":                nil,
		"&maxresults=1&issuer=refuser&stuckFor=" + url.QueryEscape("PT60M"): {"refused"},
		"&maxresults=1": {"Held", "merge", "refused"},
	} {
		ids, _ := s.walk("/operations"+v74+query, nil)
		var names []string
		for _, id := range ids {
			names = append(names, strings.TrimPrefix(id, testURL+"/operations/"))
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	for _, query := range []string{"&status=completed", "&stuckFor=1h", "&stuckFor=P", "&stuckFor=PT", "&stuckFor=P1M", "&stuckFor=P999999999W", "&maxresults=26", "&$skiptoken=eHg"} {
		if a := s.do("GET", "/operations"+v74+query, ""); a.status != 400 {
			t.Errorf("%q: got %d %s, want 400", query, a.status, a.body)
		}
	}
}

// TestRenewalOnTheBoard: what the vault itself began says so, and what a person
// began says who.
func TestRenewalOnTheBoard(t *testing.T) {
	t.Parallel()
	s, _ := newBoard(t)
	s.script("ca", "issue")
	s.must("POST", "/certificates/web/create"+v74, `{"policy":{"x509_props":{"subject":"CN=example.com","validity_months":12},"issuer":{"name":"ca"},
		"lifetime_actions":[{"trigger":{"days_before_expiry":30},"action":{"action_type":"AutoRenew"}}]}}`)
	s.clock.Advance(2 * time.Second)
	s.tick()
	s.script("ca", "hold")
	s.clock.Advance(350 * 24 * time.Hour)
	s.tick()
	s.token = s.sign(jwt.MapClaims{"roles": []string{"Key Vault Administrator"}})
	s.must("POST", "/certificates/theirs/create"+v74, policyOf("ca"), func(r *http.Request) { r.Header.Set("x-ms-client-request-id", "theirs") })
	var board struct{ Value []boardEntry }
	if err := json.Unmarshal([]byte(s.must("GET", "/operations"+v74, "").body), &board); err != nil {
		t.Fatal(err)
	}
	if len(board.Value) != 2 || board.Value[0].ClientRequestID != "theirs" || board.Value[0].Renewal || !board.Value[1].Renewal {
		t.Errorf("the board is %+v", board.Value)
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	s, k := newBoard(t)
	s.must("PUT", "/certificates/issuers/ca"+v74, `{"provider":"Keeper","org_details":{"id":"hold"}}`)
	first := s.create("web", "ca").field(t, "request_id").(string)
	s.clock.Advance(2 * time.Second)
	at := func(action, query string) string { return "/operations/web" + action + v74 + query }
	release := "&work=release&request_id=" + first
	for i, step := range []struct {
		before         func()
		method, target string
		status         int
		field          string
		want           any
	}{
		{nil, "GET", at("", ""), 200, "attempts", 0.0},
		{nil, "POST", at("/advance", "&request_id="+first), 200, "attempts", 1.0},
		{nil, "POST", at("/advance", ""), 200, "attempts", 2.0},
		{nil, "POST", at("/advance", "&request_id="+strings.Repeat("0", 32)), 404, "error.code", "PendingCertificateNotFound"},
		{nil, "POST", at("/retry", ""), 409, "error.code", "Forbidden"},
		{nil, "POST", at("/give-up", ""), 200, "error.code", "Request given up"},
		{nil, "POST", at("/give-up", ""), 409, "error.message", "The request has ended as failed."},
		{nil, "GET", at("", release), 200, "status", "inProgress"},
		{nil, "POST", at("/advance", release), 200, "answer", "the CA is closed"},
		{nil, "DELETE", at("", release), 409, "error.message", "The release has not been given up."},
		{nil, "POST", at("/give-up", release), 200, "status", "failed"},
		{nil, "POST", at("/retry", release), 200, "status", "inProgress"},
		{func() { k.open = true }, "POST", at("/advance", release), 200, "status", "completed"},
		{nil, "GET", at("", release), 404, "error.code", "PendingCertificateNotFound"},
		{nil, "POST", at("/retry", "&request_id="+first), 200, "status", "inProgress"},
		{nil, "POST", at("/retry", "&request_id="+first), 404, "error.code", "PendingCertificateNotFound"},
		{nil, "DELETE", at("", ""), 400, "error.code", "BadParameter"},
		{nil, "POST", at("/advance", "&work=release"), 400, "error.code", "BadParameter"},
		{nil, "POST", at("/advance", "&work=revocation"), 400, "error.code", "BadParameter"},
	} {
		if step.before != nil {
			step.before()
		}
		a := s.do(step.method, step.target, "")
		if got := a.field(t, step.field); a.status != step.status || got != step.want {
			t.Errorf("step %d, %s %s: got %d %s, want %d with %s %v", i+1, step.method, step.target, a.status, a.body, step.status, step.field, step.want)
		}
	}
	// Given up and forgotten, it leaves the board.
	k.open = false
	s.clock.Advance(2 * time.Second)
	s.must("POST", at("/advance", ""), "")
	second := s.must("POST", at("/give-up", ""), "").field(t, "request_id").(string)
	release = "&work=release&request_id=" + second
	s.must("POST", at("/give-up", release), "")
	if ids, _ := s.walk("/operations"+v74+"&status=failed", nil); len(ids) != 2 || ids[1] != testURL+"/operations/web?work=release&request_id="+second {
		t.Errorf("the board has %v, want the release given up", ids)
	}
	s.must("DELETE", at("", release), "")
	if ids, _ := s.walk("/operations"+v74, nil); len(ids) != 1 {
		t.Errorf("the board has %v", ids)
	}
}

func TestIssuerStates(t *testing.T) {
	t.Parallel()
	s, _ := newBoard(t)
	s.script("one", "hold")
	s.script("two", "hold")
	now := s.clock.Now().Unix()
	until := now + 3600
	a := s.must("POST", "/operations/issuers/one/pause"+v74, fmt.Sprintf(`{"until":%d,"reason":"maintenance"}`, until))
	want := map[string]any{"since": float64(now), "until": float64(until), "by": "operator", "reason": "maintenance"}
	if diff := cmp.Diff(any(want), a.field(t, "pause")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.must("POST", "/operations/issuers/two/pause"+v74, "")
	a = s.must("GET", "/operations/issuers"+v74, "")
	two := map[string]any{"id": testURL + "/certificates/issuers/two", "provider": "Test", "enabled": true, "pause": map[string]any{"since": float64(now), "by": "operator"}}
	if diff := cmp.Diff(any(two), a.field(t, "value").([]any)[1]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if a := s.must("POST", "/operations/issuers/one/resume"+v74, ""); a.field(t, "pause") != nil {
		t.Errorf("resumed: %s", a.body)
	}
	// Key Vault's own view of an issuer has no word of it.
	if a := s.must("GET", "/certificates/issuers/two"+v74, ""); strings.Contains(a.body, "pause") {
		t.Errorf("got %s", a.body)
	}
	for target, status := range map[string]int{
		"/operations/issuers/three/pause":  404,
		"/operations/issuers/three/resume": 404,
		"/operations/issuers/Self/pause":   400,
	} {
		if a := s.do("POST", target+v74, ""); a.status != status {
			t.Errorf("%s: got %d %s, want %d", target, a.status, a.body, status)
		}
	}
	for _, body := range []string{`{"until":1}`, `{"until":-1}`, `{"until":"tomorrow"}`, `{"reason":"` + strings.Repeat("x", 1025) + `"}`, `[]`, `x`} {
		if a := s.do("POST", "/operations/issuers/one/pause"+v74, body); a.status != 400 {
			t.Errorf("%s: got %d %s, want 400", body, a.status, a.body)
		}
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	s, _ := newBoard(t)
	s.script("ca", "issue")
	s.create("web", "ca")
	s.clock.Advance(2 * time.Second)
	s.tick()
	id, _ := strings.CutPrefix(s.must("GET", "/certificates/web"+v74, "").field(t, "id").(string), testURL)
	target := id + "/revoke" + v74
	if a := s.do("GET", target, ""); a.status != 404 || a.field(t, "error.code") != "RevocationNotFound" {
		t.Errorf("before: got %d %s", a.status, a.body)
	}
	for _, body := range []string{`{"reason":"certificateHold"}`, `{"reason":"removeFromCRL"}`, `{"reason":""}`, `{"reason":1}`} {
		if a := s.do("POST", target, body); a.status != 400 {
			t.Errorf("%s: got %d %s, want 400", body, a.status, a.body)
		}
	}
	s.script("ca", "error=The CA is away.")
	requested := float64(s.clock.Now().Unix())
	a := s.must("POST", target, `{"reason":"keyCompromise"}`)
	if got := a.header.Get("Location"); a.status != 202 || got != testURL+target {
		t.Errorf("got %d, Location %q", a.status, got)
	}
	want := map[string]any{
		"id": testURL + id + "/revoke", "reason": "keyCompromise", "status": "inProgress", "issuer": "ca", "provider": "test",
		"requested": requested, "attempts": 0.0, "failures": 0.0, "due": requested,
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.tick()
	if a := s.must("GET", target, ""); a.field(t, "answer") != "The CA is away." || a.field(t, "status") != "inProgress" {
		t.Errorf("while the CA is away: %s", a.body)
	}
	if ids, _ := s.walk("/operations"+v74+"&status=inProgress", nil); len(ids) != 1 || ids[0] != testURL+id+"/revoke" {
		t.Errorf("the board has %v", ids)
	}
	s.script("ca", "issue")
	s.clock.Advance(time.Hour)
	s.tick()
	if a := s.must("GET", target, ""); a.field(t, "status") != "completed" || a.field(t, "completed") == nil || a.field(t, "due") != nil {
		t.Errorf("after a tick: %s", a.body)
	}
	// The version stays as it is.
	if a := s.must("GET", id+v74, ""); a.field(t, "attributes.enabled") != true {
		t.Errorf("the version: %s", a.body)
	}
	if a := s.must("POST", target, ""); a.field(t, "reason") != "keyCompromise" || a.field(t, "status") != "completed" {
		t.Errorf("asked for again: %s", a.body)
	}
	for _, other := range []string{"/certificates/web/x/revoke", "/certificates/web/" + strings.Repeat("0", 32) + "/revoke"} {
		if a := s.do("POST", other+v74, ""); a.status != 404 || a.field(t, "error.code") != "CertificateNotFound" {
			t.Errorf("%s: got %d %s", other, a.status, a.body)
		}
	}
}

// TestOperatorPermissions: the board is not for those who may read certificates
// alone, nor is what one can do there.
func TestOperatorPermissions(t *testing.T) {
	t.Parallel()
	s, _ := newBoard(t)
	s.token = s.sign(jwt.MapClaims{"roles": []string{"Key Vault Reader"}})
	for request, want := range map[string]int{
		"GET /operations":              403,
		"GET /operations/issuers":      200,
		"GET /operations/web":          403,
		"POST /operations/web/advance": 403,
		"POST /operations/web/retry":   403,
		"GET /events":                  403,
		"POST /events/" + strings.Repeat("0", 32) + "/siem/retry":       403,
		"POST /operations/web/give-up":                                  403,
		"DELETE /operations/web":                                        403,
		"POST /operations/issuers/ca/pause":                             403,
		"POST /operations/issuers/ca/resume":                            403,
		"POST /operations/issuers/ca/replace-account":                   403,
		"POST /certificates/web/" + strings.Repeat("0", 32) + "/revoke": 403,
		"GET /certificates/web/" + strings.Repeat("0", 32) + "/revoke":  404,
	} {
		method, path, _ := strings.Cut(request, " ")
		if a := s.do(method, path+v74, ""); a.status != want {
			t.Errorf("%s: got %d %s, want %d", request, a.status, a.body, want)
		}
	}
}
