package functionshost_test

// Invocations as JSON: envelopes and replies.

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

const startupFunction = `{"bindings":[{"type":"timerTrigger","direction":"in","name":"timer","schedule":"0 0 0 1 1 *","runOnStartup":true}]}`

// ids returns a source of known ids.
func ids() func() string {
	var n atomic.Int64
	return func() string { return "id-" + strconv.FormatInt(n.Add(1), 10) }
}

// TestTimerEnvelope is the timer invocation, byte for byte but for order.
func TestTimerEnvelope(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 9, 24, 13, 9, 0, 31_200_000, time.UTC)
	root := stage(t, map[string]string{"Tick/function.json": startupFunction})
	host := start(t, functionshost.Config{Root: root, Now: func() time.Time { return now }, NewID: ids()})
	got := host.invoked(t, 0)
	envelope := decode[any](t, got.Body)
	want := decode[any](t, `{
		"Data":{"timer":{"Schedule":{"AdjustForDST":true},
			"ScheduleStatus":{"Last":"0001-01-01T00:00:00+00:00","Next":"2027-01-01T00:00:00+00:00","LastUpdated":"2026-09-24T13:09:00.0312+00:00"},
			"IsPastDue":false}},
		"Metadata":{"sys":{"MethodName":"Tick","UtcNow":"2026-09-24T13:09:00.0312Z","RandGuid":"id-3"}}}`)
	if diff := cmp.Diff(want, envelope); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
	got.Body, got.PID = "", 0
	if diff := cmp.Diff(received{
		Method: "POST", RequestURI: "/Tick", Host: "127.0.0.1:" + strconv.Itoa(host.HandlerPort()), Encoding: []string{"chunked"}, Length: -1,
		Header: http.Header{
			"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"Azure-Functions-Host/4.1052.200"},
			"X-Azure-Functions-Hostversion": {"4.1052.200"}, "X-Azure-Functions-Invocationid": {"id-2"},
		},
	}, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

// TestUnmonitoredEnvelope checks that there is no status without a monitor,
// and what an interval says of clock changes.
func TestUnmonitoredEnvelope(t *testing.T) {
	t.Parallel()
	for schedule, want := range map[string]string{
		`"*/5 * * * * *"`:                      `{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}`,
		`"0 0 0 1 1 *","useMonitor":false`:     `{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}`,
		`"00:00:30"`:                           `{"Schedule":{"AdjustForDST":false},"ScheduleStatus":null,"IsPastDue":false}`,
		`"%TICK_SCHEDULE%","useMonitor":false`: `{"Schedule":{"AdjustForDST":false},"ScheduleStatus":null,"IsPastDue":false}`,
	} {
		t.Run(schedule, func(t *testing.T) {
			t.Parallel()
			root := stage(t, map[string]string{"Tick/function.json": strings.Replace(startupFunction, `"0 0 0 1 1 *"`, schedule, 1)})
			host := start(t, functionshost.Config{Root: root}, "TICK_SCHEDULE=01:00:00")
			envelope := decode[struct{ Data map[string]json.RawMessage }](t, host.invoked(t, 0).Body)
			if got := string(envelope.Data["timer"]); got != want {
				t.Errorf("timer = %s, want %s", got, want)
			}
		})
	}
}

// TestPastDue checks that a second host sees by the stored status that the
// timer is past due.
func TestPastDue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 9, 24, 13, 9, 0, 0, time.UTC)
	cfg := functionshost.Config{Root: stage(t, nil), StatusDir: t.TempDir(), Now: func() time.Time { return now }}
	first := start(t, cfg).ready(t)
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := first.lines.count("invoked"); n > 0 {
		t.Errorf("the first host ran the timer %d times", n)
	}
	if names, _ := filepath.Glob(cfg.StatusDir + "/*Tick*"); len(names) != 1 {
		t.Errorf("status files: %q", names)
	}
	later := now.AddDate(1, 0, 0)
	cfg.Now = func() time.Time { return later }
	if got := start(t, cfg).invoked(t, 0); !strings.Contains(got.Body, `"IsPastDue":true`) {
		t.Errorf("invoked with %s, want past due", got.Body)
	}
}

// TestReplies is how strict the host is about the reply to an invocation.
func TestReplies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ reply, want string }{
		{"", ""},
		{`{"Outputs":null,"Logs":["a line"],"ReturnValue":null}`, ""},
		{`{"outputs":{},"logs":[],"returnvalue":1}`, ""},
		{"empty", "the real host would hang"},
		{"no content", "the real host would hang"},
		{"null", "the real host would hang"},
		{"text", "content type"},
		{"untyped", "content type"},
		{"problem", "content type"},
		{"array", "not an object"},
		{"broken", "not an object"},
		{"failure", "500"},
		{"redirect", "307"},
	} {
		t.Run(test.reply, func(t *testing.T) {
			t.Parallel()
			root := stage(t, map[string]string{"Tick/function.json": startupFunction})
			host := start(t, functionshost.Config{Root: root}, "REPLY="+test.reply)
			if test.want == "" {
				host.log.await(t, 0, "executed a function")
				if strings.Contains(test.reply, "a line") {
					host.log.await(t, 0, `level=INFO msg="a line"`)
				}
				return
			}
			if line := host.log.await(t, 0, "a timer run failed"); !strings.Contains(line, test.want) {
				t.Errorf("log: %s, want %q", line, test.want)
			}
		})
	}
}

// TestRedirectIsFollowed checks the client of invocations when forwarding is off.
func TestRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	root := stage(t, map[string]string{
		"Tick/function.json": startupFunction,
		"host.json":          hostJSON(t, "%EXE%", `"enableProxyingHttpRequest":true`),
	})
	start(t, functionshost.Config{Root: root}, "REPLY=redirect").log.await(t, 0, "executed a function")
}

// TestTimerTimeout checks that a run that hangs costs the handler its life, and
// the timer nothing but that run.
func TestTimerTimeout(t *testing.T) {
	t.Parallel()
	root := stage(t, map[string]string{"Tick/function.json": strings.Replace(startupFunction, "0 0 0 1 1 *", "* * * * * *", 1)})
	host := start(t, functionshost.Config{Root: root}, "REPLY=hang", "AzureFunctionsJobHost__functionTimeout=00:00:00.2")
	first, second := host.invoked(t, 0), host.invoked(t, 1)
	if first.PID == second.PID {
		t.Error("the handler was not replaced")
	}
}

const jsonFunction = `{"bindings":[
	{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","route":"json/{id}"},
	{"type":"http","direction":"out","name":"res"}]}`

// TestRequestEnvelope is the invocation that a request becomes when host.json
// asks for neither proxying nor forwarding.
func TestRequestEnvelope(t *testing.T) {
	t.Parallel()
	root := stage(t, map[string]string{"Json/function.json": jsonFunction, "host.json": hostJSON(t, "%EXE%", "")})
	now := time.Date(2026, 9, 24, 13, 9, 0, 0, time.UTC)
	host := start(t, functionshost.Config{Root: root, Now: func() time.Time { return now }, NewID: ids()}, `REPLY={"Outputs":{}}`)
	res, text := host.do(t, "PUT", "/json/a%20b?q=1&q=2&triggerTrigger=x", strings.NewReader(`{"n":2,"s":"x","o":{"p":1},"l":[1],"z":null}`),
		"Host: myvault.example", "Content-Type: application/json", "User-Agent: test/1", "X-Two: a", "X-Two: b")
	if res.StatusCode != 200 || text != "{}" {
		t.Errorf("got %s %q, want 200 {}", res.Status, text)
	}
	got := host.invoked(t, 0)
	if got.Method != "POST" || got.RequestURI != "/Json" {
		t.Errorf("%s %s", got.Method, got.RequestURI)
	}
	want := decode[any](t, `{
		"Data":{"req":{
			"Url":"http://myvault.example/json/a%20b?q=1&q=2&triggerTrigger=x","Method":"PUT","Query":{"q":"1,2","triggerTrigger":"x"},
			"Headers":{"Host":["myvault.example"],"Content-Type":["application/json"],"Content-Length":["44"],"User-Agent":["test/1"],"Connection":["close"],"X-Two":["a","b"]},
			"Params":{"id":"a b"},"Identities":[],"Body":"{\"n\":2,\"s\":\"x\",\"o\":{\"p\":1},\"l\":[1],\"z\":null}"}},
		"Metadata":{
			"n":"2","s":"\"x\"","o":{"p":1},"q":"\"1,2\"","id":"\"a b\"","Query":{"q":"1,2","triggerTrigger":"x"},
			"Headers":{"Host":"myvault.example","Content-Type":"application/json","Content-Length":"44","User-Agent":"test/1","Connection":"close","X-Two":"a,b"},
			"sys":{"MethodName":"Json","UtcNow":"2026-09-24T13:09:00Z","RandGuid":"id-3"}}}`)
	if diff := cmp.Diff(want, decode[any](t, got.Body)); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}

	host.do(t, "POST", "/json/x", strings.NewReader("\x00\xff"), "Content-Type: application/octet-stream")
	if got := host.invoked(t, 1); !strings.Contains(got.Body, `"Body":"AP8="`) {
		t.Errorf("a binary body became %s", got.Body)
	}
}

// TestHTTPOutput is the response that the reply to such an invocation becomes.
func TestHTTPOutput(t *testing.T) {
	t.Parallel()
	type answer struct {
		Status     int
		Body, Type string
		Custom     string
	}
	failed := answer{Status: 500}
	const (
		// A second output disqualifies a function from proxying.
		twoOutputs = `"name":"res"},{"type":"queue","direction":"out","name":"q"}`
		returned   = `"name":"$return"},{"type":"queue","direction":"out","name":"q"}`
	)
	for _, test := range []struct {
		name, reply string
		want        answer
	}{
		{"returned", `{"ReturnValue":{"statusCode":202}}`, answer{Status: 202}},
		{"text", `{"Outputs":{"res":{"statusCode":"201","body":"not base64!","headers":{"X-Custom":"v"}}}}`, answer{201, "not base64!", "text/plain; charset=utf-8", "v"}},
		{"object", `{"Outputs":{"res":{"statusCode":418,"body":{"a":[1]}}}}`, answer{418, `{"a":[1]}`, "application/json; charset=utf-8", ""}},
		{"own type", `{"Outputs":{"res":{"body":{"a":1},"headers":{"content-type":"application/x"}}}}`, answer{200, `{"a":1}`, "application/x", ""}},
		{"base64 is decoded", `{"Outputs":{"res":{"body":"aGVsbG8="}}}`, answer{200, "hello", "application/octet-stream", ""}},
		{"no body", `{"Outputs":{"res":{"statusCode":"204"}}}`, answer{Status: 204}},
		{"status has no effect", `{"Outputs":{"res":{"status":"404","body":"x y"}}}`, answer{200, "x y", "text/plain; charset=utf-8", ""}},
		{"a list in a header becomes text", `{"Outputs":{"res":{"headers":{"X-Custom":["a","b"]}}}}`, answer{200, "", "", `["a","b"]`}},
		{"other output", `{"Outputs":{"other":{}}}`, answer{200, "{}", "application/json; charset=utf-8", ""}},
		{"not an object", `{"Outputs":{"res":"hello"}}`, failed},
		{"bad status", `{"Outputs":{"res":{"statusCode":"ok"}}}`, failed},
		{"bad headers", `{"Outputs":{"res":{"headers":[]}}}`, failed},
		{"empty reply", "empty", failed},
		{"failed", "failure", failed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			outputs := twoOutputs
			if test.name == "returned" {
				outputs = returned
			}
			function := strings.Replace(jsonFunction, `"name":"res"}`, outputs, 1)
			host := start(t, functionshost.Config{Root: stage(t, map[string]string{"Json/function.json": function})}, "REPLY="+test.reply)
			res, text := host.do(t, "GET", "/json/1", nil)
			got := answer{res.StatusCode, text, res.Header.Get("Content-Type"), res.Header.Get("X-Custom")}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNoHTTPOutput checks that a function without an HTTP output is answered for.
func TestNoHTTPOutput(t *testing.T) {
	t.Parallel()
	function := `{"bindings":[{"type":"httpTrigger","name":"req","authLevel":"anonymous","route":"json"}]}`
	host := start(t, functionshost.Config{Root: stage(t, map[string]string{"Json/function.json": function})})
	if res, text := host.do(t, "POST", "/json", nil); res.StatusCode != 204 || text != "" {
		t.Errorf("got %s %q, want 204", res.Status, text)
	}
}
