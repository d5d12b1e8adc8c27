package funchost_test

// Calls of timers, told apart from requests of clients.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/funchost"
)

const function = "AdvanceIssuance"

// envelope is a timer's request as the host sends it.
const envelope = `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},` +
	`"ScheduleStatus":{"Last":"2026-09-24T13:08:00.0096035+00:00","Next":"2026-09-24T15:09:00+02:00","LastUpdated":"2026-09-24T13:08:00.0096035Z"},` +
	`"IsPastDue":true}},` +
	`"Metadata":{"sys":{"MethodName":"AdvanceIssuance","UtcNow":"2026-09-24T13:09:00.0312Z","RandGuid":"24ad4c06-24ad-4e5b-8294-3da9714877e9"}}}`

// request reads a request as a server at 127.0.0.1:7001 does. Lines are more
// header lines.
func request(method, target, contentType string, lines ...string) (*http.Request, error) {
	text := method + " " + target + " HTTP/1.1\r\nContent-Type: " + contentType + "\r\n"
	if len(lines) == 0 {
		lines = []string{"Host: 127.0.0.1:7001"}
	}
	for _, line := range lines {
		text += line + "\r\n"
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n")))
	if err != nil {
		return nil, err
	}
	own := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7001}
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, own)), nil
}

func TestIsTimer(t *testing.T) {
	t.Parallel()
	const jsonType = "application/json; charset=utf-8"
	for _, tt := range []struct {
		method, target, contentType string
		want                        bool
	}{
		{"POST", "/AdvanceIssuance", jsonType, true},
		{"POST", "/AdvanceIssuance", "application/json", true},
		{"GET", "/AdvanceIssuance", jsonType, false},
		{"PUT", "/AdvanceIssuance", jsonType, false},
		{"post", "/AdvanceIssuance", jsonType, false},
		{"POST", "/AdvanceIssuance", "", false},
		{"POST", "/AdvanceIssuance", "text/plain", false},
		{"POST", "/AdvanceIssuance", "application/jsonp", false},
		{"POST", "/AdvanceIssuance", "application/json; charset", false},
		{"POST", "/AdvanceIssuance/", jsonType, false},
		{"POST", "//AdvanceIssuance", jsonType, false},
		{"POST", "/./AdvanceIssuance", jsonType, false},
		{"POST", "/x/../AdvanceIssuance", jsonType, false},
		{"POST", "/certificates/..%2FAdvanceIssuance", jsonType, false},
		{"POST", "/certificates/%2e%2e/AdvanceIssuance", jsonType, false},
		{"POST", "/certificates/..%252FAdvanceIssuance", jsonType, false},
		{"POST", "/%41dvanceIssuance", jsonType, false},
		{"POST", "/%2FAdvanceIssuance", jsonType, false},
		{"POST", "/advanceissuance", jsonType, false},
		{"POST", "/AdvanceIssuance?x=1", jsonType, false},
		{"POST", "/AdvanceIssuance?", jsonType, false},
		{"POST", "/AdvanceIssuance%20", jsonType, false},
		{"POST", "/AdvanceIssuance;x", jsonType, false},
		{"POST", "/AdvanceIssuance#x", jsonType, false},
		{"POST", "/api/AdvanceIssuance", jsonType, false},
		{"POST", "http://127.0.0.1:7001/AdvanceIssuance", jsonType, false},
		{"POST", "//127.0.0.1/AdvanceIssuance", jsonType, false},
		{"POST", "/", jsonType, false},
		{"OPTIONS", "*", jsonType, false},
	} {
		r, err := request(tt.method, tt.target, tt.contentType)
		if err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.target, err)
			continue
		}
		if got := funchost.IsTimer(r, function); got != tt.want {
			t.Errorf("IsTimer(%s %s, %q) = %v", tt.method, tt.target, tt.contentType, got)
		}
	}
}

// TestIsTimerKnowsClients: a client's request whose path became the timer's on
// its way still shows who sent it.
func TestIsTimerKnowsClients(t *testing.T) {
	t.Parallel()
	const own, userAgent = "Host: 127.0.0.1:7001", "User-Agent: Azure-Functions-Host/4.1037.0.0"
	for _, tt := range []struct {
		why   string
		lines []string
		want  bool
	}{
		{"the host", []string{own, userAgent}, true},
		{"a client's Host", []string{"Host: vault.example.com", userAgent}, false},
		{"another port", []string{"Host: 127.0.0.1:7071", userAgent}, false},
		{"a client's User-Agent", []string{own, "User-Agent: curl/8.0 Azure-Functions-Host/4.1037.0.0"}, false},
		{"a front end's header", []string{own, userAgent, "X-Forwarded-For: 192.0.2.1:1234"}, false},
	} {
		r, err := request("POST", "/AdvanceIssuance", "application/json", tt.lines...)
		if err != nil {
			t.Fatal(err)
		}
		if got := funchost.IsTimer(r, function); got != tt.want {
			t.Errorf("%s: IsTimer = %v", tt.why, got)
		}
	}
}

func FuzzIsTimer(f *testing.F) {
	for _, target := range []string{
		"/AdvanceIssuance", "/certificates/..%2FAdvanceIssuance", "//AdvanceIssuance", "/AdvanceIssuance?x=1",
		"/AdvanceIssuance/", "http://h/AdvanceIssuance", "/a/../AdvanceIssuance", "*", "/%41dvanceIssuance",
	} {
		f.Add("POST", target, "application/json")
	}
	f.Fuzz(func(t *testing.T, method, target, contentType string) {
		if strings.ContainsAny(method+target, " \r\n") || strings.ContainsAny(contentType, "\r\n") {
			t.Skip() // another request
		}
		r, err := request(method, target, contentType)
		if err != nil {
			t.Skip() // the server refuses it
		}
		if funchost.IsTimer(r, function) && (method != "POST" || target != "/AdvanceIssuance" || !strings.Contains(strings.ToLower(contentType), "application/json")) {
			t.Errorf("%q %q with %q is taken for the timer", method, target, contentType)
		}
	})
}

func TestDecodeTimer(t *testing.T) {
	t.Parallel()
	last := time.Date(2026, 9, 24, 13, 8, 0, 9603500, time.UTC)
	for _, tt := range []struct {
		why, body string
		want      funchost.Timer
	}{
		{"all", envelope, funchost.Timer{PastDue: true, ScheduleLast: last, ScheduleNext: time.Date(2026, 9, 24, 13, 9, 0, 0, time.UTC), ScheduleUpdated: last}},
		{"before the first run", `{"Data":{"timer":{"ScheduleStatus":{"Last":"0001-01-01T00:00:00+00:00","Next":"2026-09-24T13:09:00"},"IsPastDue":false}}}`,
			funchost.Timer{ScheduleNext: time.Date(2026, 9, 24, 13, 9, 0, 0, time.UTC)}},
		{"not monitored", `{"Data":{"timer":{"Schedule":{},"ScheduleStatus":null,"IsPastDue":true}}}`, funchost.Timer{PastDue: true}},
		{"times null", `{"Data":{"timer":{"ScheduleStatus":{"Last":null}}}}`, funchost.Timer{}},
		{"camel case", `{"data":{"timer":{"isPastDue":true,"scheduleStatus":{"last":"2026-09-24T13:08:00.0096035Z"}}}}`,
			funchost.Timer{PastDue: true, ScheduleLast: last}},
		{"spaces", ` { "Data" : { "timer" : { "IsPastDue" : true } } } `, funchost.Timer{PastDue: true}},
		{"beside another", `{"Data":{"other":1,"timer":{"IsPastDue":true}}}`, funchost.Timer{PastDue: true}},
	} {
		got, err := funchost.DecodeTimer(strings.NewReader(tt.body), "timer")
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: DecodeTimer: %v\n%s", tt.why, err, diff)
		}
	}
}

func TestDecodeTimerRefuses(t *testing.T) {
	t.Parallel()
	padding := func(n int) string { return `{"Data":{"timer":{}},"Metadata":"` + strings.Repeat("x", n) + `"}` }
	overhead := len(padding(0))
	if _, err := funchost.DecodeTimer(strings.NewReader(padding(64<<10-overhead)), "timer"); err != nil {
		t.Errorf("64 KiB: %v", err)
	}
	for why, body := range map[string]string{
		"more than 64 KiB":       padding(64<<10 - overhead + 1),
		"empty":                  ``,
		"null":                   `null`,
		"no object":              `[]`,
		"empty object":           `{}`,
		"no Data":                `{"Metadata":{}}`,
		"Data null":              `{"Data":null}`,
		"Data of another type":   `{"Data":"timer"}`,
		"binding missing":        `{"Data":{"Timer":{},"tim":{}}}`,
		"binding null":           `{"Data":{"timer":null}}`,
		"binding a string":       `{"Data":{"timer":"{}"}}`,
		"binding a list":         `{"Data":{"timer":[{}]}}`,
		"flag of another type":   `{"Data":{"timer":{"IsPastDue":"yes"}}}`,
		"time of another type":   `{"Data":{"timer":{"ScheduleStatus":{"Last":1}}}}`,
		"time of another form":   `{"Data":{"timer":{"ScheduleStatus":{"Last":"yesterday"}}}}`,
		"cut off":                envelope[:len(envelope)-1],
		"followed by more":       envelope + `{}`,
		"a certificate's create": `{"policy":{"issuer":{"name":"Self"}}}`,
	} {
		if got, err := funchost.DecodeTimer(strings.NewReader(body), "timer"); err == nil {
			t.Errorf("%s: DecodeTimer = %+v, want an error", why, got)
		}
	}
	broken := io.MultiReader(strings.NewReader(envelope[:20]), errorReader{})
	if _, err := funchost.DecodeTimer(broken, "timer"); err == nil {
		t.Error("DecodeTimer succeeded on a body that breaks off")
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzDecodeTimer(f *testing.F) {
	f.Add([]byte(envelope))
	f.Add([]byte(`{"Data":{"timer":{"ScheduleStatus":{"Last":"0001-01-01T00:00:00"}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := funchost.DecodeTimer(bytes.NewReader(body), "timer")
		if err != nil && got != (funchost.Timer{}) {
			t.Errorf("DecodeTimer(%q) = %+v with error %v", body, got, err)
		}
		if err == nil && !(json.Valid(body) && bytes.Contains(bytes.ToLower(body), []byte(`"data"`))) {
			t.Errorf("DecodeTimer took %q", body)
		}
	})
}

// TestTimerOverHTTP sends a timer's request both ways that hosts send it, and
// reads the answers as the host does.
func TestTimerOverHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !funchost.IsTimer(r, function) {
			http.NotFound(w, r)
			return
		}
		timer, err := funchost.DecodeTimer(r.Body, "timer")
		if err != nil {
			funchost.ReplyError(w, []string{"bad"})
			return
		}
		if timer.PastDue {
			funchost.Reply(w, []string{"late", "<advanced> 2"})
		} else {
			funchost.Reply(w, nil)
		}
	}))
	defer server.Close()
	withLength := func(body string) string {
		return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	chunked := func(body string) string {
		return fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", body[:5], len(body)-5, body[5:])
	}
	for _, tt := range []struct {
		why, rest string
		status    int
		want      string
	}{
		{"with length", withLength(envelope), 200, `{"Outputs":{},"Logs":["late","\u003cadvanced\u003e 2"],"ReturnValue":null}`},
		{"chunked", chunked(envelope), 200, `{"Outputs":{},"Logs":["late","\u003cadvanced\u003e 2"],"ReturnValue":null}`},
		{"on time", withLength(`{"Data":{"timer":{}}}`), 200, `{"Outputs":{},"Logs":[],"ReturnValue":null}`},
		{"bad", chunked(`{"Data":{}}`), 500, `{"Outputs":{},"Logs":["bad"],"ReturnValue":null}`},
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /AdvanceIssuance HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json; charset=utf-8\r\n%s", server.Listener.Addr(), tt.rest)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.why, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%s: %v", tt.why, err)
		}
		if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != "application/json" || string(body) != tt.want {
			t.Errorf("%s: answer is %d %q %s, want %d %s", tt.why, resp.StatusCode, resp.Header.Get("Content-Type"), body, tt.status, tt.want)
		}
	}
}
