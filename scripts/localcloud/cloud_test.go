package main

// A local cloud as a process, with the processes below it.

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// limit bounds everything that a test waits for; it covers an installation of
// Azurite.
const limit = 5 * time.Minute

// runningCloud is a local cloud under test.
type runningCloud struct {
	cmd    *exec.Cmd
	state  checkout.Checkout
	ready  chan struct{} // closed when it says so
	output *transcript
	ended  chan struct{} // closed when the process has ended
	// environment is what a shell that sources the settings exports.
	environment map[string]string
}

// transcript is the output of a process.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// child returns a command that runs localcloud for the state.
func child(t *testing.T, state checkout.Checkout, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	// The working copy is found from here; `func`, if there is one, is not used.
	cmd.Env = append(os.Environ(), childVariable+"=1", "PATH="+withoutFunc(os.Getenv("PATH")))
	if state.Root != "" {
		cmd.Args = append(cmd.Args, "-in", state.Root)
	}
	return cmd
}

func withoutFunc(path string) string {
	var kept []string
	for _, dir := range filepath.SplitList(path) {
		if _, err := os.Stat(filepath.Join(dir, "func")); err != nil {
			kept = append(kept, dir)
		}
	}
	return strings.Join(kept, string(filepath.ListSeparator))
}

// app stages a function app whose handler is the test binary.
func app(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	host := map[string]any{
		"version":    "2.0",
		"extensions": map[string]any{"http": map[string]any{"routePrefix": ""}},
		"customHandler": map[string]any{
			"description":                 map[string]any{"defaultExecutablePath": os.Args[0], "arguments": []string{testHandler}},
			"enableProxyingHttpRequest":   true,
			"enableForwardingHttpRequest": true,
		},
	}
	trigger := func(route string) any {
		return map[string]any{"bindings": []any{
			map[string]any{"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous", "route": route},
			map[string]any{"type": "http", "direction": "out", "name": "res"},
		}}
	}
	timer := map[string]any{"bindings": []any{ // on New Year's Day
		map[string]any{"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 0 0 1 1 *"},
	}}
	for name, content := range map[string]any{
		"host.json":                       host,
		"AdvanceIssuance/function.json":   timer,
		"Health/function.json":            trigger("health"),
		"VaultCertificates/function.json": trigger("certificates/{*rest}"),
	} {
		encoded, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, encoded, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// start starts a local cloud with the app of the tests and with more in its
// environment, and waits until it is ready.
func start(t *testing.T, environ ...string) *runningCloud {
	t.Helper()
	return startUp(t, []string{"-app", app(t)}, environ...)
}

// startUp is start with arguments.
func startUp(t *testing.T, args []string, environ ...string) *runningCloud {
	t.Helper()
	state := checkout.Checkout{Root: t.TempDir()}
	r := &runningCloud{
		cmd: child(t, state, append([]string{"up", "-free-ports"}, args...)...), state: state,
		ready: make(chan struct{}), output: &transcript{}, ended: make(chan struct{}),
	}
	r.cmd.Env = append(r.cmd.Env, environ...)
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stderr = r.output
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(r.output, lines.Text())
			if strings.HasPrefix(lines.Text(), "Certwright is ready") {
				close(r.ready)
			}
		}
		r.cmd.Wait()
	}()
	t.Cleanup(func() {
		r.cmd.Process.Kill()
		<-r.ended
	})
	select {
	case <-r.ready:
	case <-r.ended:
		t.Fatalf("the local cloud ended:\n%s", r.output)
	case <-time.After(limit):
		t.Fatalf("the local cloud is not ready:\n%s", r.output)
	}
	r.environment = source(t, state.Local("env"))
	return r
}

// await waits for the end of the process and returns its exit status.
func (r *runningCloud) await(t *testing.T) int {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(limit):
		t.Fatalf("the local cloud does not end:\n%s", r.output)
	}
	return r.cmd.ProcessState.ExitCode()
}

// source returns what a shell that sources the file exports.
func source(t *testing.T, file string) map[string]string {
	t.Helper()
	cmd := exec.Command("sh", "-c", `. "$0" && env`, file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AZURE_CLIENT_SECRET=x"}
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{}
	for line := range strings.Lines(string(output)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		environment[name] = value
	}
	return environment
}

// get asks through the front door, and by the proxy where the settings say so.
func (r *runningCloud) get(t *testing.T, address string) (seen, error) {
	t.Helper()
	roots := x509.NewCertPool()
	bundle, err := os.ReadFile(r.environment["SSL_CERT_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(bundle)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	if strings.Contains(address, ".vault.azure.net") {
		proxy, err := url.Parse(r.environment["HTTPS_PROXY"])
		if err != nil {
			t.Fatal(err)
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	client := http.Client{Transport: transport, Timeout: limit}
	response, err := client.Get(address)
	if err != nil {
		return seen{}, err
	}
	defer response.Body.Close()
	var s seen
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		return seen{}, fmt.Errorf("%s: %w", response.Status, err)
	}
	return s, nil
}

// coreTools makes a `func` that starts the stand-in in its working directory, and
// returns the PATH with it.
func coreTools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"func $*\"\nexec " + quote(os.Args[0]) + " functionshost -port \"$3\"\n"
	if err := os.WriteFile(filepath.Join(dir, "func"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return "PATH=" + dir + string(filepath.ListSeparator) + os.Getenv("PATH")
}

// descendants returns the ids of all processes that a process has started and
// that still run.
func descendants(t *testing.T, pid int) []int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, file := range files {
		content, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range strings.Fields(string(content)) {
			var id int
			if _, err := fmt.Sscan(field, &id); err != nil {
				t.Fatal(err)
			}
			all = append(append(all, id), descendants(t, id)...)
		}
	}
	return all
}

// name is the name of a process's program, "" after its end.
func name(pid int) string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := bytes.Cut(content, []byte("("))
	program, state, _ := bytes.Cut(rest, []byte(") "))
	if state[0] == 'Z' { // ended, and nobody has asked how
		return ""
	}
	return string(program)
}

// awaitGone waits until none of the processes runs.
func awaitGone(t *testing.T, pids []int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, pid := range pids {
		for name(pid) != "" {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("process %d (%s) still runs", pid, name(pid))
			}
		}
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
