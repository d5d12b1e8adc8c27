package supervise_test

// Processes that end with all their descendants.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// helper selects what the test binary does instead of testing.
const helper = "SUPERVISE_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helper) {
	case "supervisor":
		supervisor()
	default:
		os.Exit(m.Run())
	}
}

// supervisor starts a child that lasts, says its own id, and waits to be killed.
func supervisor() {
	cmd := exec.Command("sleep", "1000")
	cmd.Stdout = os.Stdout
	if _, err := supervise.Start(cmd, time.Minute); err != nil {
		panic(err)
	}
	fmt.Println("started")
	select {}
}

// shell returns a command whose output ends when its last descendant has ended.
func shell(t *testing.T, script string) (*exec.Cmd, *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close(); writer.Close() })
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout = writer
	return cmd, reader
}

// started starts cmd and waits for its first line.
func started(t *testing.T, cmd *exec.Cmd, output *os.File, grace time.Duration) *supervise.Process {
	t.Helper()
	p, err := supervise.Start(cmd, grace)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := cmd.Stdout.(*os.File).Close(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(output, line); err != nil {
		t.Fatalf("waiting for the child's first line: %v", err)
	}
	return p
}

// drained returns when every process that holds the pipe has ended.
func drained(t *testing.T, output *os.File) {
	t.Helper()
	if err := output.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, output); err != nil {
		t.Errorf("a descendant still runs: %v", err)
	}
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	cmd, output := shell(t, "sleep 1000 & echo ready; wait")
	p := started(t, cmd, output, time.Minute)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	drained(t, output)
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("the process ended with %v, want SIGTERM", p.Err())
	}
}

func TestStopKillsAfterTheGrace(t *testing.T) {
	t.Parallel()
	cmd, output := shell(t, "trap '' TERM; echo ready; while :; do sleep 1; done")
	p := started(t, cmd, output, 10*time.Millisecond)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	drained(t, output)
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the process ended with %v, want SIGKILL", p.Err())
	}
}

func TestDescendantsEndWithTheirLeader(t *testing.T) {
	t.Parallel()
	cmd, output := shell(t, "sleep 1000 & echo ready; exit 3")
	p := started(t, cmd, output, time.Minute)
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("the process ended with %v, want exit status 3", err)
	}
	drained(t, output)
}

func TestStopAfterTheEndDoesNothing(t *testing.T) {
	t.Parallel()
	p, err := supervise.Start(exec.Command("true"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err != nil {
		t.Error(err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func TestMissingProgramIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := supervise.Start(exec.Command("/no/such/program"), 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the program does not exist", err)
	}
}

func TestOutputIsCompleteWhenDone(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	cmd := exec.Command("sh", "-c", "echo one; echo two >&2")
	cmd.Stdout, cmd.Stderr = &output, &output
	p, err := supervise.Start(cmd, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if got := output.String(); got != "one\ntwo\n" {
		t.Errorf("output %q, want both lines", got)
	}
}

func TestKilledSupervisorLeavesNoChild(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helper+"=supervisor")
	cmd.Stdout = writer // which the supervisor's child inherits
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	if _, err := io.ReadFull(reader, make([]byte, len("started\n"))); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	drained(t, reader)
}
