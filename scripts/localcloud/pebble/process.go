package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

const (
	// stopGrace is how long a program may take to end. They have nothing to save.
	stopGrace = 2 * time.Second
	// readyPoll is how often a starting program is asked whether it is ready.
	readyPoll = 10 * time.Millisecond
	// tailLimit is how much of the output an error repeats, in bytes.
	tailLimit = 1 << 10
	// starts is how often a start is tried: a free port may be taken by another
	// program before the started one listens on it.
	starts = 5
)

// start starts a program and returns when ready does so without an error.
func start(ctx context.Context, cmd *exec.Cmd, output io.Writer, ready func(context.Context) error) (*supervise.Process, error) {
	tail := &tail{to: output}
	cmd.Stdout, cmd.Stderr = tail, tail
	process, err := supervise.Start(cmd, stopGrace)
	if err != nil {
		return nil, err
	}
	// A probe must not wait for an answer from whoever holds the port instead.
	probing, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-process.Done():
			cancel()
		case <-probing.Done():
		}
	}()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		notReady := ready(probing)
		if notReady == nil {
			return process, nil
		}
		select {
		case <-tick.C:
		case <-process.Done():
			return nil, fmt.Errorf("it ended before it was ready: %s", tail)
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting until it is ready: %w: %w: %s", context.Cause(ctx), notReady, tail), process.Stop())
		}
	}
}

// tail passes output on and remembers its end.
type tail struct {
	to   io.Writer // may be nil
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	t.last = t.last[max(0, len(t.last)-tailLimit):]
	if t.to != nil {
		return t.to.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.last))
}

// freePorts returns n ports that are free now, for TCP and UDP alike.
func freePorts(n int) ([]int, error) {
	var ports []int
	for len(ports) < n {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer listener.Close() // after the last was found, so that they differ
		packets, err := net.ListenPacket("udp4", listener.Addr().String())
		if err != nil {
			continue
		}
		defer packets.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// address is a port of this machine.
func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// environment is this process's with variables on top.
func environment(variables map[string]string) []string {
	env := os.Environ()
	for name, value := range variables {
		env = append(env, name+"="+value)
	}
	return env
}
