package e2e

// Time and size that the packaged app may take.

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/scripts/localcloud/supervise"
	"github.com/certwright/certwright/scripts/package/bundle"
)

// The budgets of the handler. Its size is the same everywhere, and asserted; time
// and memory depend on the machine and on what else runs there, and are printed.
const (
	sizeBudget   = 15 << 20 // bytes of the stripped binary
	startBudget  = 20 * time.Millisecond
	memoryBudget = 20 << 20 // bytes resident, idle
)

// starts is how often the handler is started to be measured.
const starts = 5

// TestBudgets prints what the packaged handler needs; see it with -v.
func TestBudgets(t *testing.T) {
	t.Parallel()
	b := need(t, sharedBackend)
	program := filepath.Join(b.app, bundle.Binary)
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("size: %.1f MB, budget %d MB", float64(info.Size())/(1<<20), sizeBudget>>20)
	if info.Size() > sizeBudget {
		t.Errorf("the handler has %d bytes, more than %d", info.Size(), sizeBudget)
	}
	var took []time.Duration
	var memory []int
	for range starts {
		first, resident := measure(t, program, b.settings(newVaultID(), never))
		took, memory = append(took, first), append(memory, resident)
	}
	slices.Sort(took)
	slices.Sort(memory)
	t.Logf("start to first answer: %.1f ms at best, %.1f ms in the middle of %d, budget %d ms",
		took[0].Seconds()*1000, took[starts/2].Seconds()*1000, starts, startBudget.Milliseconds())
	t.Logf("resident: %.1f MB, budget %d MB", float64(memory[starts/2])/(1<<20), memoryBudget>>20)
}

// measure starts the handler and returns how long it took to its first answer, and
// its resident memory then in bytes.
func measure(t *testing.T, program string, environ []string) (first time.Duration, resident int) {
	t.Helper()
	listener, err := loopback.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	port := loopback.Port(listener)
	if err := listener.Close(); err != nil { // free again
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(environ, "FUNCTIONS_CUSTOMHANDLER_PORT="+strconv.Itoa(port))
	start := time.Now()
	process, err := supervise.Start(cmd, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer process.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for address := "http://" + loopback.Address(port) + "/"; ; {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := client.Do(request); err == nil {
			first = time.Since(start)
			answer.Body.Close()
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the handler does not answer: %v", process.Stop())
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := bytes.Cut(status, []byte("VmRSS:"))
	var kilobytes int
	if _, err := fmt.Sscan(string(after), &kilobytes); err != nil {
		t.Fatalf("reading the handler's memory: %v", err)
	}
	return first, kilobytes << 10
}
