package functionshost_test

// Requests to functions, by both ways of forwarding.

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

func TestProxying(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{}).ready(t)
	handler := "127.0.0.1:" + strconv.Itoa(host.HandlerPort())

	got := host.echo(t, "PUT", "/echo/a%20b/%2F/%C3%BC/?x=1&x=2&=&y", strings.NewReader("hello"),
		"Host: myvault.example", "User-Agent: test/1", "Content-Type: text/x", "Content-Encoding: zz",
		"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Prefix: /p", "Forwarded: for=x",
		"X-Azure-Functions-InvocationId: mine", "x-ms-invocation-id: mine", "X-Twice: 1", "X-Twice: 2",
		"Upgrade-Insecure-Requests: 1", "Te: trailers", "Cookie: a=1", "Authorization: Bearer t", "X-Functions-Key: k")
	id := got.Header.Get("X-Azure-Functions-InvocationId")
	if id == "" || id == "mine" {
		t.Errorf("invocation id = %q", id)
	}
	want := received{
		Method: "PUT", RequestURI: "/echo/a%20b/%252F/%C3%BC/?x=1&x=2&=&y", Host: handler, Length: 5, Body: "hello", PID: host.HandlerPID(),
		Header: http.Header{
			"User-Agent": {"test/1"}, "Content-Type": {"text/x"}, "Content-Encoding": {"zz"}, "Content-Length": {"5"},
			"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"myvault.example"},
			"X-Azure-Functions-Invocationid": {id}, "X-Ms-Invocation-Id": {id}, "Traceparent": got.Header["Traceparent"],
			"X-Azure-Functions-Hostversion": {"4.1052.200"}, "X-Twice": {"1, 2"}, "Cookie": {"a=1"},
			"Authorization": {"Bearer t"}, "X-Functions-Key": {"k"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the handler got (-want +got):\n%s", diff)
	}

	t.Run("chunked", func(t *testing.T) {
		t.Parallel()
		got := host.echo(t, "POST", "/echo/", io.MultiReader(strings.NewReader("hello")))
		if got.Body != "hello" || got.Length != -1 || len(got.Encoding) != 1 {
			t.Errorf("the handler got %+v", got)
		}
	})
	t.Run("no user agent is added", func(t *testing.T) {
		t.Parallel()
		if got := host.echo(t, "GET", "/echo", nil, "User-Agent: "); got.Header.Get("User-Agent") != "" {
			t.Errorf("User-Agent = %q", got.Header.Get("User-Agent"))
		}
	})
	t.Run("streams", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", host.URL()+"/echo?do=stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		first := make([]byte, 6)
		if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "first\n" {
			t.Fatalf("read %q, %v before the response ended", first, err)
		}
	})
	t.Run("client's disconnect reaches the handler", func(t *testing.T) {
		t.Parallel()
		host := start(t, functionshost.Config{}).ready(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", host.URL()+"/echo?do=hang", nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
			}
		}()
		host.lines.await(t, 0, "hanging")
		cancel()
		host.lines.await(t, 0, "abandoned")
	})
}

func TestForwarding(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{Mode: functionshost.Forwarding}).ready(t)

	got := host.echo(t, "PATCH", `/ECHO/a%20b/%2F/%5C../%2541/%C3%BC/?x=1&X=%2F&=&y+z&plus=%2B`, strings.NewReader("hello"),
		"Host: myvault.example", "User-Agent: test/1", "Content-Type: text/x",
		"Content-Encoding: zz", "Content-Language: en", "Content-Disposition: inline", "Content-Md5: m", "Expires: 0", "Last-Modified: 0", "Allow: GET",
		"X-Forwarded-For: 1.2.3.4", "X-Azure-Functions-InvocationId: mine", "x-ms-invocation-id: mine", "X-Twice: 1", "X-Twice: 2",
		"Cookie: a=1", "Cookie: b=2", "Authorization: Bearer t", "X-Functions-Key: k")
	claimed, id, _ := strings.Cut(got.Header.Get("X-Azure-Functions-InvocationId"), ", ")
	if claimed != "mine" || id == "" {
		t.Errorf("invocation id = %q", got.Header.Get("X-Azure-Functions-InvocationId"))
	}
	want := received{
		Method: "PATCH", RequestURI: "/ECHO/a%20b/%2F/A/%C3%BC/?X=1,%2F&=&y%20z=&plus=%2B",
		Host: "myvault.example", Length: 5, Body: "hello", PID: host.HandlerPID(),
		Header: http.Header{
			"User-Agent": {"test/1 Azure-Functions-Host/4.1052.200"}, "Content-Type": {"text/x"}, "Content-Length": {"5"},
			"X-Forwarded-For": {"1.2.3.4"}, "X-Azure-Functions-Invocationid": {"mine, " + id}, "X-Ms-Invocation-Id": {"mine"},
			"Traceparent":                   got.Header["Traceparent"],
			"X-Azure-Functions-Hostversion": {"4.1052.200"}, "X-Twice": {"1, 2"}, "Cookie": {"a=1; b=2"},
			"Authorization": {"Bearer t"}, "X-Functions-Key": {"k"}, "Connection": {"close"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the handler got (-want +got):\n%s", diff)
	}

	t.Run("no body", func(t *testing.T) {
		t.Parallel()
		got := host.echo(t, "GET", "/echo", nil, "Content-Type: text/x", "User-Agent: ")
		if got.Length != 0 || got.Header.Get("Content-Type") != "" || got.Header.Get("User-Agent") != "Azure-Functions-Host/4.1052.200" {
			t.Errorf("the handler got %+v", got)
		}
	})
	t.Run("an escaped question mark cuts the path", func(t *testing.T) {
		t.Parallel()
		if got := host.echo(t, "GET", "/echo/a%3Fb/c?q", nil); got.RequestURI != "/echo/a?q=" {
			t.Errorf("RequestURI = %q", got.RequestURI)
		}
	})
	t.Run("an escaped backslash climbs out of the route", func(t *testing.T) {
		t.Parallel()
		if got := host.echo(t, "GET", "/echo/..%5Cother", nil); got.RequestURI != "/other" {
			t.Errorf("RequestURI = %q", got.RequestURI)
		}
	})
	t.Run("chunked", func(t *testing.T) {
		t.Parallel()
		if res, text := host.do(t, "POST", "/echo", io.MultiReader(strings.NewReader("hello"))); res.StatusCode != 500 || text != "" {
			t.Errorf("got %s %q, want an empty 500", res.Status, text)
		}
	})
	t.Run("head", func(t *testing.T) {
		t.Parallel()
		if res, text := host.do(t, "HEAD", "/echo", nil); res.StatusCode != 200 || text != "" || res.ContentLength <= 0 {
			t.Errorf("got %s, %d bytes, %q", res.Status, res.ContentLength, text)
		}
	})
	t.Run("client's disconnect does not reach the handler", func(t *testing.T) {
		t.Parallel()
		host := start(t, functionshost.Config{Mode: functionshost.Forwarding}).ready(t)
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", host.URL()+"/echo?do=hang", nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
			}
		}()
		host.lines.await(t, 0, "hanging")
		cancel()
		<-done
		host.echo(t, "GET", "/echo", nil) // by when the host has noticed
		if host.lines.count("abandoned") > 0 {
			t.Error("the handler's request was abandoned")
		}
	})
}

// TestResponse checks what comes back in both modes: everything but the
// headers of the connection, and no redirect is followed.
func TestResponse(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]functionshost.Mode{"proxying": functionshost.Proxying, "forwarding": functionshost.Forwarding} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := start(t, functionshost.Config{Mode: mode}).ready(t)
			res, text := host.do(t, "GET", "/echo?do=headers", nil)
			if res.StatusCode != 302 || text != "not gzip at all" {
				t.Errorf("got %s %q", res.Status, text)
			}
			want := http.Header{
				"Set-Cookie": {"a=1", "b=2"}, "Location": {"/elsewhere"}, "Content-Encoding": {"gzip"},
				"Www-Authenticate": {`Bearer authorization="x", resource="y"`}, "Content-Length": {"15"}, "Alt-Svc": {"clear"},
			}
			if mode == functionshost.Proxying {
				want.Del("Alt-Svc")
			}
			for _, name := range []string{"Date", "Content-Type", "Connection"} {
				res.Header.Del(name)
			}
			if diff := cmp.Diff(want, res.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

// TestModeFromHostJSON checks which way a request goes by what only one of
// them does to it.
func TestModeFromHostJSON(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		flags              string
		proxied, forwarded bool
	}{
		"both":       {`"enableProxyingHttpRequest":true,"enableForwardingHttpRequest":true`, true, false},
		"proxying":   {`"enableProxyingHttpRequest":"true"`, true, false},
		"forwarding": {`"enableForwardingHttpRequest":true`, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := stage(t, map[string]string{"host.json": hostJSON(t, "%EXE%", test.flags)})
			got := start(t, functionshost.Config{Root: root}, "AzureFunctionsJobHost__functionTimeout=-1").echo(t, "GET", "/echo", nil)
			proxied := got.Header.Get("X-Ms-Invocation-Id") != ""
			forwarded := strings.Contains(got.Header.Get("User-Agent"), "Azure-Functions-Host/")
			if proxied != test.proxied || forwarded != test.forwarded {
				t.Errorf("proxied %v, forwarded %v", proxied, forwarded)
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{}, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=10").ready(t)
	for _, test := range []struct {
		name string
		body io.Reader
		want int
	}{
		{"at the limit", strings.NewReader("0123456789"), 200},
		{"over", strings.NewReader("0123456789+"), 500},
		{"chunked at the limit", io.MultiReader(strings.NewReader("0123456789")), 200},
		{"chunked over", io.MultiReader(strings.NewReader("0123456789+")), 500},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if res, _ := host.do(t, "POST", "/echo", test.body); res.StatusCode != test.want {
				t.Errorf("got %s, want %d", res.Status, test.want)
			}
		})
	}
}

// TestTruncatedBody checks that an upload that breaks off never reaches the
// handler, because the host reads a body of known length first, and that the
// host then ends the connection without an answer.
func TestTruncatedBody(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{}).ready(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(host.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /echo?do=hang HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); len(answer) > 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %q, %v, want a reset", answer, err)
	}
	if host.lines.count("hanging") > 0 {
		t.Error("the handler was called")
	}
}

// TestKillMidRequest kills the handler under a request, in each mode, and sees
// the next one served by a new process on the same port.
func TestKillMidRequest(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]functionshost.Mode{"proxying": functionshost.Proxying, "forwarding": functionshost.Forwarding} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := start(t, functionshost.Config{Mode: mode}).ready(t)
			pid, port := host.HandlerPID(), host.HandlerPort()
			answer := make(chan int, 1)
			go func() {
				res, _, err := host.try(t, "POST", "/echo?do=hang", strings.NewReader("x"))
				if err != nil {
					answer <- 0
					return
				}
				answer <- res.StatusCode
			}()
			host.lines.await(t, 0, "hanging")
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if status := <-answer; status != 500 {
				t.Errorf("the request under way got %d, want 500", status)
			}
			host.log.await(t, 0, "restarting the handler")
			if got := host.echo(t, "GET", "/echo", nil); got.PID == pid || got.PID != host.HandlerPID() || host.HandlerPort() != port {
				t.Errorf("served by process %d on port %d; killed: %d on %d", got.PID, host.HandlerPort(), pid, port)
			}
		})
	}
}

// TestProxyReplays checks that a request without a body outlives its handler,
// as it does in newer hosts: it is sent again to the next process.
func TestProxyReplays(t *testing.T) {
	t.Parallel()
	starts := t.TempDir() + "/starts"
	host := start(t, functionshost.Config{}, "START_LOG="+starts).ready(t)
	pid := host.HandlerPID()
	answer := make(chan *received, 1)
	go func() {
		if res, text, err := host.try(t, "GET", "/echo?do=once", nil); err == nil && res.StatusCode == 200 {
			got := decode[received](t, text)
			answer <- &got
		} else {
			answer <- nil
		}
	}()
	host.lines.await(t, 0, "hanging")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; got == nil || got.PID == pid {
		t.Errorf("answer = %+v, want one of a process other than %d", got, pid)
	}
	if text, err := os.ReadFile(starts); err != nil || len(text) != 2 {
		t.Errorf("starts = %q, %v, want two", text, err)
	}
}

func TestFunctionTimeout(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]functionshost.Mode{"proxying": functionshost.Proxying, "forwarding": functionshost.Forwarding} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := start(t, functionshost.Config{Mode: mode}, "AzureFunctionsJobHost__functionTimeout=00:00:00.3").ready(t)
			pid := host.HandlerPID()
			for i := range 4 { // more often than failures may come: these do not count
				begin := time.Now()
				if res, text := host.do(t, "POST", "/echo?do=hang", strings.NewReader("x")); res.StatusCode != 500 || text != "" {
					t.Fatalf("got %s %q after %v, want an empty 500", res.Status, text, time.Since(begin))
				}
				host.log.await(t, i, "restarting the handler")
			}
			if got := host.echo(t, "GET", "/echo", nil); got.PID == pid {
				t.Error("the handler was not killed")
			}
		})
	}
}

// TestExpect checks a large body that the handler refuses before it has come,
// while the host asks whether it wants it: the refusal arrives, and the body is
// not sent.
func TestExpect(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]functionshost.Mode{"proxying": functionshost.Proxying, "forwarding": functionshost.Forwarding} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := start(t, functionshost.Config{Mode: mode}).ready(t)
			body := strings.NewReader(strings.Repeat("x", 8<<20))
			if res, _ := host.do(t, "POST", "/echo?do=refuse", body, "Expect: 100-continue"); res.StatusCode != 401 {
				t.Errorf("got %s, want the handler's 401", res.Status)
			}
		})
	}
}
