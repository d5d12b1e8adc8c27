package functionshost_test

// The admin endpoint.

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

const asJSON = "Content-Type: application/json"

func TestTrigger(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{}) // not ready yet: the run waits
	for _, test := range []struct {
		name, body, kind string
		want             int
	}{
		{"Tick", `{"input":""}`, asJSON, 202},
		{"tick", `{}`, asJSON, 202},
		{"Tick", "", asJSON, 400},
		{"Tick", "null", asJSON, 400},
		{"Tick", "{", asJSON, 400},
		{"Tick", "{}", "Content-Type: text/plain", 415},
		{"Nothing", `{}`, asJSON, 404},
		{"Echo", `{}`, asJSON, 202},
	} {
		res, text := host.do(t, "POST", "/admin/functions/"+test.name, strings.NewReader(test.body), test.kind)
		if res.StatusCode != test.want || text != "" {
			t.Errorf("POST %s %q = %s %q, want %d", test.name, test.body, res.Status, text, test.want)
		}
	}
	if got := host.invoked(t, 1); !strings.Contains(got.Body, `"IsPastDue":false`) || !strings.Contains(got.Body, `"ScheduleStatus":{`) {
		t.Errorf("invoked with %s", got.Body)
	}
	host.ready(t)
	host.echo(t, "GET", "/echo", nil)
	if n := host.lines.count("invoked"); n > 2 {
		t.Errorf("%d runs, want 2", n)
	}
}

// TestTriggerIsLimited lets one run hang and fills the queue behind it, which
// also shows that none overlaps it.
func TestTriggerIsLimited(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{}, "REPLY=hang").ready(t)
	post := func() int {
		res, _ := host.do(t, "POST", "/admin/functions/Tick", strings.NewReader("{}"), asJSON)
		return res.StatusCode
	}
	if status := post(); status != 202 {
		t.Fatalf("the first = %d", status)
	}
	host.invoked(t, 0)
	for range 16 {
		if status := post(); status != 202 {
			t.Fatalf("a waiting one = %d", status)
		}
	}
	if status := post(); status != http.StatusTooManyRequests {
		t.Errorf("one too many = %d", status)
	}
	if n := host.lines.count("invoked"); n != 1 {
		t.Errorf("%d runs at a time", n)
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	root := stage(t, map[string]string{"All/function.json": httpFunction("{*path}", "")})
	host := start(t, functionshost.Config{Root: root}).ready(t)
	for _, method := range []string{"GET", "POST"} {
		if res, text := host.do(t, method, "/admin/host/ping", nil); res.StatusCode != 200 || text != "" {
			t.Errorf("%s ping = %s %q", method, res.Status, text)
		}
	}
	res, text := host.do(t, "GET", "/Admin/Host/Status/", nil)
	if status := decode[struct{ State, Version string }](t, text); res.StatusCode != 200 || status.State != "Running" || status.Version == "" {
		t.Errorf("status = %s %s", res.Status, text)
	}
	_, text = host.do(t, "GET", "/admin/functions", nil)
	list := decode[[]struct {
		Name     string
		Template string `json:"invoke_url_template"`
		Config   json.RawMessage
	}](t, text)
	if len(list) != 3 || list[0].Name != "All" || list[0].Template != host.URL()+"/{*path}" || len(list[2].Config) == 0 || list[2].Template != "" {
		t.Errorf("functions = %s", text)
	}
	// The functions do not get unknown paths there either.
	for method, path := range map[string]string{"GET": "/admin/functions/Tick", "PUT": "/admin/host/ping", "PATCH": "/admin", "POST": "/admin/host/x/y"} {
		if res, _ := host.do(t, method, path, nil); res.StatusCode != 404 {
			t.Errorf("%s %s = %s, want 404", method, path, res.Status)
		}
	}
	// The root is theirs, with a catch-all that matches it.
	if got := host.echo(t, "GET", "/", nil); got.RequestURI != "/" || got.Header.Get("X-Azure-Functions-InvocationId") == "" {
		t.Errorf("GET / reached the handler as %+v", got)
	}
}

// TestReservedPaths checks that a function for every path gets none of the
// host's own, known or not.
func TestReservedPaths(t *testing.T) {
	t.Parallel()
	root := stage(t, map[string]string{"All/function.json": httpFunction("{*path}", "")})
	host := start(t, functionshost.Config{Root: root}).ready(t)
	for path, want := range map[string]int{
		"/admin": 404, "/admin/": 404, "/admin/nothing": 404, "/Admin/a/b/c/d": 404, "/runtime": 404, "/runtime/webhooks/x": 404,
		"/administrators": 200, "/runtimes/x": 200, "/x/admin": 200,
	} {
		if res, text := host.do(t, "GET", path, nil); res.StatusCode != want || want == 404 && text != "" {
			t.Errorf("GET %s = %s %q, want %d", path, res.Status, text, want)
		}
	}
}
