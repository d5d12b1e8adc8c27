package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	// readyPoll is how often a starting program is asked whether it is ready.
	readyPoll = 10 * time.Millisecond
	// tailLimit is how much of the output an error repeats, in bytes.
	tailLimit = 1 << 10
)

// StartReady is Start, and returns when ready does so without an error. ctx
// bounds that wait only. output receives what the program prints; nil: nobody.
func StartReady(ctx context.Context, cmd *exec.Cmd, grace time.Duration, output io.Writer, ready func(context.Context) error) (*Process, error) {
	tail := &tail{to: output}
	cmd.Stdout, cmd.Stderr = tail, tail
	process, err := Start(cmd, grace)
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
