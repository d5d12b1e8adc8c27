package functionshost_test

// The handler's process: start, end, restart.

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

func starts(t testing.TB, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return len(text)
}

// TestExits is the table of exit codes: when the handler is started again, and
// when the host gives up.
func TestExits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, codes string
		starts      int
		fails       bool
	}{
		{"two failures", "3,1", 3, false},
		{"three failures", "3,1,2", 3, true},
		{"wanted restarts do not count", "200,200,200,200,1,1", 7, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			log := filepath.Join(t.TempDir(), "starts")
			host := start(t, functionshost.Config{}, "START_LOG="+log, "START_EXITS="+test.codes)
			if test.fails {
				err := host.wait(t)
				if err == nil || !strings.Contains(err.Error(), "exit status 2") || !strings.Contains(err.Error(), `"exiting with 2"`) {
					t.Errorf("Wait() = %v, want the exit code and the last lines of stderr", err)
				}
				if _, _, err := host.try(t, "GET", "/echo", nil); err == nil {
					t.Error("the host still listens")
				}
			} else {
				// The request comes before the handler is ready, and waits.
				if got := host.echo(t, "GET", "/echo", nil); got.Header.Get("X-Azure-Functions-InvocationId") == "" {
					t.Errorf("the handler got %+v", got)
				}
			}
			if n := starts(t, log); n != test.starts {
				t.Errorf("%d starts, want %d", n, test.starts)
			}
		})
	}
}

// TestExitZero checks the host's oldest trap: a handler that ends with 0 is
// gone, but its functions are still called.
func TestExitZero(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "starts")
	host := start(t, functionshost.Config{Mode: functionshost.Forwarding}, "START_LOG="+log).ready(t)
	if res, _ := host.do(t, "GET", "/echo?do=exit&code=0", nil); res.StatusCode != 500 {
		t.Errorf("the fatal request got %s", res.Status)
	}
	host.log.await(t, 0, "exit code 0")
	for range 3 {
		if res, text := host.do(t, "GET", "/echo", nil); res.StatusCode != 500 || text != "" {
			t.Errorf("got %s %q, want an empty 500", res.Status, text)
		}
	}
	if n := starts(t, log); n != 1 {
		t.Errorf("%d starts, want 1", n)
	}
}

func TestExitWhileServing(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{Mode: functionshost.Forwarding}).ready(t)
	for i := range 2 {
		pid := host.HandlerPID()
		if res, _ := host.do(t, "GET", "/echo?do=exit&code=7", nil); res.StatusCode != 500 {
			t.Errorf("the fatal request got %s", res.Status)
		}
		host.log.await(t, i, "told to exit")
		if got := host.echo(t, "GET", "/echo", nil); got.PID == pid {
			t.Error("the process was not replaced")
		}
	}
	host.try(t, "GET", "/echo?do=exit&code=7", nil)
	if err := host.wait(t); err == nil {
		t.Error("the host has not failed")
	}
}

func TestInitializationTimeout(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{}, "MUTE=1", "AzureFunctionsJobHost__customHandler__initializationTimeout=00:00:00.1")
	if err := host.wait(t); err == nil || !strings.Contains(err.Error(), "initialization timeout") {
		t.Errorf("Wait() = %v", err)
	}
	if err := host.Ready(t.Context()); err == nil {
		t.Error("Ready() = nil after the end")
	}
}

// TestNeverReady has a handler that asks for a restart again and again: a
// request waits for it four times its initialization timeout, then the host stops.
func TestNeverReady(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{}, "START_LOG="+filepath.Join(t.TempDir(), "starts"), "START_EXITS="+strings.Repeat("200,", 10_000),
		"AzureFunctionsJobHost__customHandler__initializationTimeout=00:00:00.05")
	host.try(t, "GET", "/echo", nil) // answered with 500 or not at all
	if err := host.wait(t); err == nil || !strings.Contains(err.Error(), "did not become ready") {
		t.Errorf("Wait() = %v", err)
	}
}

// TestAnythingIsReady checks that a handler which answers nothing, but
// listens, counts as ready.
func TestAnythingIsReady(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{Mode: functionshost.Forwarding}, "SLAM=1").ready(t)
	if res, _ := host.do(t, "GET", "/echo", nil); res.StatusCode != 500 {
		t.Errorf("got %s, want 500", res.Status)
	}
}

func TestNoFunctions(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{Root: stage(t, map[string]string{"Echo/function.json": "", "Tick/function.json": ""})})
	if res, _ := host.do(t, "GET", "/echo", nil); res.StatusCode != 404 {
		t.Errorf("got %s, want 404", res.Status)
	}
	if pid := host.HandlerPID(); pid != 0 {
		t.Errorf("handler process %d runs without functions", pid)
	}
}

func TestNoExecutable(t *testing.T) {
	t.Parallel()
	root := stage(t, map[string]string{"host.json": hostJSON(t, "no-such-handler", "")})
	if err := start(t, functionshost.Config{Root: root}).Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-handler") {
		t.Errorf("Ready() = %v", err)
	}
}

func TestStopKills(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{}).ready(t)
	pid := host.HandlerPID()
	served := make(chan bool, 1)
	go func() {
		res, _, err := host.try(t, "GET", "/echo?do=hang", nil)
		served <- err == nil && res.StatusCode != 500
	}()
	host.lines.await(t, 0, "hanging")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := host.Stop(ctx); err == nil {
		t.Error("Stop() = nil with a request under way")
	}
	if err := host.Wait(); err != nil {
		t.Errorf("Wait() = %v", err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d is still there", pid)
	}
	if <-served {
		t.Error("the request under way was served")
	}
}

func TestStopWhenIdle(t *testing.T) {
	t.Parallel()
	host := start(t, functionshost.Config{}).ready(t)
	host.echo(t, "GET", "/echo", nil)
	if err := host.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v", err)
	}
	if err := host.Stop(t.Context()); err != nil {
		t.Errorf("second Stop() = %v", err)
	}
}

func TestContextEndsHost(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	host, err := functionshost.Start(ctx, functionshost.Config{
		Root: stage(t, nil), Address: "127.0.0.1:0", HandlerOutput: newLines(), Log: slog.New(slog.DiscardHandler),
		Environ: []string{handlerVariable + "=1", "FUNCTIONS_WORKER_RUNTIME=Custom", "AzureWebJobsStorage__accountName=x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := (running{Host: host}).wait(t); err != nil {
		t.Errorf("Wait() = %v", err)
	}
}

// TestEnvironment reads what the handler is given.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	root := stage(t, map[string]string{
		"host.json": `{"version":"2.0","customHandler":{"description":{
			"defaultExecutablePath":"bin/show","workerDirectory":"tools","workingDirectory":"work",
			"arguments":["a b","%VALUE%x%MISSING%"],"defaultWorkerPath":"my file","workerArguments":"[\"z\"]"}}}`,
		"tools/bin/show": "#!/bin/sh\nfor a in \"$@\"; do echo \"arg=$a\"; done\npwd\nenv\necho end\nexec sleep 60\n",
		"work/here":      "x",
		"local.settings.json": `{"IsEncrypted":false,"Host":{"LocalHttpPort":1},"ConnectionStrings":{"Db":"c"},"Values":{
			"VALUE":"from file","TAKEN":"from file","EMPTY":"","NULL":null,"AZURE_FUNCTIONS_ENVIRONMENT":"Production"}}`,
	})
	if err := os.Chmod(filepath.Join(root, "tools/bin/show"), 0o700); err != nil {
		t.Fatal(err)
	}
	host := start(t, functionshost.Config{Root: root}, "TAKEN=from outside", "PATH="+os.Getenv("PATH"), "FUNCTIONS_HTTPWORKER_PORT=1")
	host.lines.await(t, 0, "end")
	got := strings.Split(host.lines.all(), "\n")
	port := strconv.Itoa(host.HandlerPort())
	_, hostPort, _ := strings.Cut(strings.TrimPrefix(host.URL(), "http://"), ":")
	for _, want := range []string{
		"arg=a", "arg=b", "arg=from", "arg=filex", "arg=my file", "arg=z", filepath.Join(root, "work"),
		"FUNCTIONS_CUSTOMHANDLER_PORT=" + port, "FUNCTIONS_HTTPWORKER_PORT=" + port, "FUNCTIONS_APP_ROOT_PATH=" + root,
		"AzureWebJobsScriptRoot=" + root, "WEBSITE_HOSTNAME=localhost:" + hostPort, "AZURE_FUNCTIONS_ENVIRONMENT=Development",
		"VALUE=from file", "TAKEN=from outside", "EMPTY=", "FUNCTIONS_WORKER_RUNTIME=custom",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("the handler was not given %q", want)
		}
	}
	id := host.lines.await(t, 0, "FUNCTIONS_CUSTOMHANDLER_WORKER_ID=")
	if _, id, _ = strings.Cut(id, "="); len(id) != 36 || !slices.Contains(got, "FUNCTIONS_HTTPWORKER_ID="+id) {
		t.Errorf("worker id = %q", id)
	}
	if host.lines.count("NULL=") > 0 {
		t.Error("a null setting was passed on")
	}
	if t.Failed() {
		t.Log(host.lines.all())
	}
}

func TestConsole(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		extra string
		want  []string
	}{
		"default":         {"", []string{`level=INFO msg="to stdout"`, `level=ERROR msg="to stderr"`, `level=WARN msg="a warning"`}},
		"stderr is equal": {"AzureFunctionsJobHost__customHandler__description__useStdErrorStreamForErrorsOnly=false", []string{`level=INFO msg="to stderr"`, `level=WARN msg="a warning"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := startLogging(t, test.extra)
			host.echo(t, "GET", "/echo?do=write", nil)
			for _, want := range test.want {
				host.log.await(t, 0, want)
			}
		})
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	ok := []string{"FUNCTIONS_WORKER_RUNTIME=custom", "AzureWebJobsStorage=x"}
	for name, test := range map[string]struct {
		files   map[string]string
		address string
		environ []string
		want    string
	}{
		"no host.json":          {map[string]string{"host.json": ""}, "", ok, "host.json"},
		"bad host.json":         {map[string]string{"host.json": "{"}, "", ok, "host.json"},
		"old host.json":         {map[string]string{"host.json": `{}`}, "", ok, "version"},
		"no handler":            {map[string]string{"host.json": `{"version":"2.0"}`}, "", ok, "customHandler"},
		"no description":        {map[string]string{"host.json": `{"version":"2.0","customHandler":{}}`}, "", ok, "description"},
		"no executable":         {map[string]string{"host.json": `{"version":"2.0","customHandler":{"description":{}}}`}, "", ok, "defaultExecutablePath"},
		"encrypted settings":    {map[string]string{"local.settings.json": `{"Values":{"A":"b"}}`}, "", ok, "IsEncrypted"},
		"open address":          {nil, "0.0.0.0:0", ok, "loopback"},
		"bad address":           {nil, "localhost", ok, "address"},
		"no runtime":            {nil, "", ok[1:], "FUNCTIONS_WORKER_RUNTIME"},
		"timer without storage": {nil, "", ok[:1], "AzureWebJobsStorage"},
		"port zero":             {map[string]string{"host.json": hostJSON(t, "x", `"port": 0`)}, "", ok, "port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.address == "" {
				test.address = "127.0.0.1:0"
			}
			host, err := functionshost.Start(t.Context(), functionshost.Config{
				Root: stage(t, test.files), Address: test.address, Environ: test.environ, HandlerOutput: newLines(),
			})
			if err == nil {
				host.Stop(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Start() = %v, want an error about %q", err, test.want)
			}
		})
	}
	if _, err := functionshost.Start(t.Context(), functionshost.Config{Environ: ok}); err == nil {
		t.Error("Start without a root succeeded")
	}
}

func TestFixedPort(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	free := strconv.Itoa(freePort(t))
	host := start(t, functionshost.Config{Root: stage(t, map[string]string{"host.json": hostJSON(t, exe, `"enableProxyingHttpRequest":true,"port":`+free)})})
	if got := host.echo(t, "GET", "/echo", nil); got.Host != "127.0.0.1:"+free {
		t.Errorf("the handler is at %q, want port %s", got.Host, free)
	}
}

// TestCannotStart checks that a handler that is not executable stops nothing
// until a request has waited for it in vain.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	root := stage(t, map[string]string{
		"host.json": strings.Replace(hostJSON(t, "handler", ""), `"customHandler":{`, `"customHandler":{"initializationTimeout":"00:00:00.1",`, 1),
		"handler":   "no program",
	})
	host := start(t, functionshost.Config{Root: root})
	host.log.await(t, 0, "Failed to start Worker Channel")
	if res, _ := host.do(t, "GET", "/nothing", nil); res.StatusCode != 404 {
		t.Errorf("a request that needs no handler got %s", res.Status)
	}
	begin := time.Now()
	host.try(t, "GET", "/echo", nil) // the host may end before it has answered
	if waited := time.Since(begin); waited < 400*time.Millisecond {
		t.Errorf("the request waited only %v", waited)
	}
	if err := host.wait(t); err == nil {
		t.Error("the host has not stopped itself")
	}
	if n := host.log.count("Failed to start"); n != 1 {
		t.Errorf("the handler was started %d times", n)
	}
}
