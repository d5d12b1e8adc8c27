package functionshost_test

// An app in a folder, and a host that serves it.

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

const (
	echoFunction = `{"bindings":[
		{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","route":"echo/{*rest}"},
		{"type":"http","direction":"out","name":"res"}]}`
	tickFunction = `{"bindings":[{"type":"timerTrigger","direction":"in","name":"timer","schedule":"0 0 0 1 1 *"}]}`
)

// stage writes an app to a new folder: files by their path in it. host.json and
// the functions Echo and Tick are there unless files has them; an empty text
// leaves a file out.
func stage(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"host.json":          hostJSON(t, exe, `"enableProxyingHttpRequest": true, "enableForwardingHttpRequest": true`),
		"Echo/function.json": echoFunction,
		"Tick/function.json": tickFunction,
	}
	for name, text := range files {
		all[name] = strings.ReplaceAll(text, "%EXE%", exe)
	}
	for name, text := range all {
		path := filepath.Join(root, name)
		if text == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// hostJSON is a host.json with more keys of customHandler.
func hostJSON(t testing.TB, exe, more string) string {
	t.Helper()
	path, err := json.Marshal(exe)
	if err != nil {
		t.Fatal(err)
	}
	if more != "" {
		more = ", " + more
	}
	return `{"version":"2.0","functionTimeout":"00:01:00","extensions":{"http":{"routePrefix":""}},
		"customHandler":{"description":{"defaultExecutablePath":` + string(path) + `}` + more + `}}`
}

// A running host with what it and its handler have said.
type running struct {
	*functionshost.Host
	log   *lines
	lines *lines // of the handler
}

// start runs the app with a test handler in its environment.
func start(t testing.TB, cfg functionshost.Config, environ ...string) running {
	t.Helper()
	r := running{log: newLines(), lines: newLines()}
	if cfg.Root == "" {
		cfg.Root = stage(t, nil)
	}
	cfg.Address = "127.0.0.1:0"
	cfg.Environ = append([]string{
		handlerVariable + "=1", "FUNCTIONS_WORKER_RUNTIME=custom", "AzureWebJobsStorage=UseDevelopmentStorage=true",
	}, environ...)
	if cfg.HandlerOutput == nil {
		cfg.HandlerOutput = r.lines
	}
	cfg.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	host, err := functionshost.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what is still running is killed
		host.Stop(ctx)
		if t.Failed() {
			t.Logf("log of the host:\n%s\noutput of the handler:\n%s", r.log.all(), r.lines.all())
		}
	})
	return r
}

func (r running) ready(t testing.TB) running {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return r
}

// wait waits for the end of the host.
func (r running) wait(t testing.TB) error {
	t.Helper()
	select {
	case <-r.Done():
	case <-time.After(patience):
		t.Fatal("the host does not end")
	}
	return r.Wait()
}

// do sends a request whose path is taken as it is; header is "Name: value".
func (r running) do(t testing.TB, method, target string, body io.Reader, header ...string) (*http.Response, string) {
	t.Helper()
	res, text, err := r.try(t, method, target, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return res, text
}

func (r running) try(t testing.TB, method, target string, body io.Reader, header ...string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL()+target, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Add(name, value)
		}
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res, string(text), err
}

// echo sends a request that the handler echoes.
func (r running) echo(t testing.TB, method, target string, body io.Reader, header ...string) received {
	t.Helper()
	res, text := r.do(t, method, target, body, header...)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s = %s %s", method, target, res.Status, text)
	}
	return decode[received](t, text)
}

// raw sends text as it is, then nothing more if it breaks off, and reads to
// the end.
func (r running) raw(t testing.TB, text string, breaksOff bool) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if breaksOff {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// invoked waits for the next invocation after the handler's first n lines.
func (r running) invoked(t testing.TB, n int) received {
	t.Helper()
	line := r.lines.await(t, n, "invoked ")
	return decode[received](t, strings.TrimPrefix(line, "invoked "))
}

func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("decoding %q: %v", text, err)
	}
	return v
}

// lines collects lines for tests to wait for.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed at the next write
}

func newLines() *lines { return &lines{more: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.text.Write(p)
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// count is the number of lines that contain part.
func (l *lines) count(part string) int {
	return len(l.with(part))
}

func (l *lines) with(part string) []string {
	var found []string
	for line := range strings.Lines(l.all()) {
		if strings.Contains(line, part) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// await waits for line n (from 0) of those that contain part.
func (l *lines) await(t testing.TB, n int, part string) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		more := l.more
		l.mu.Unlock()
		if found := l.with(part); len(found) > n {
			return found[n]
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("no line %d with %q in:\n%s", n, part, l.all())
		}
	}
}

// startLogging is start with the handler's output in the host's log, where its
// level shows.
func startLogging(t testing.TB, environ ...string) running {
	t.Helper()
	log := newLines()
	host, err := functionshost.Start(context.Background(), functionshost.Config{
		Root: stage(t, nil), Address: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(log, nil)),
		Environ: append([]string{handlerVariable + "=1", "FUNCTIONS_WORKER_RUNTIME=custom", "AzureWebJobsStorage=x"}, environ...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Stop(context.Background()) })
	return running{Host: host, log: log}
}

// freePort returns a port that was free, from below those that the system gives
// out for port 0: nobody but another call of this function comes upon it.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(15_000+rand.IntN(15_000))))
		if err == nil {
			defer listener.Close()
			return listener.Addr().(*net.TCPAddr).Port
		}
	}
	t.Fatal("no free port")
	return 0
}
