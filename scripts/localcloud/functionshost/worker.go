package functionshost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	// pollInterval is how often the handler is asked whether it is ready.
	pollInterval = 25 * time.Millisecond
	// killGrace is how long output of an ended process is waited for.
	killGrace = time.Second
	// waitFactor times the initialization timeout is how long an invocation
	// waits for the handler: three restarts and the first start.
	waitFactor = 4
	// restartExit is the exit code with which a handler asks to be restarted.
	restartExit = 200
)

// A worker keeps the handler process running: it starts it, waits until it
// answers, and starts it again when it ends, on the same port.
type worker struct {
	command     []string // executable and arguments
	dir         string
	environ     settings
	address     string // 127.0.0.1:port that the handler is told to listen on
	initTimeout time.Duration
	stderrIsBad bool // log every line of stderr as an error
	output      io.Writer
	now         func() time.Time
	log         *slog.Logger
	client      *http.Client // follows no redirects

	cannotStart chan struct{} // closed when startError is set
	startError  error

	outputMu sync.Mutex // serialises output

	mu    sync.Mutex
	live  *process      // the process that was started last; nil before the first
	ready chan struct{} // closed while live has answered
}

// A process is one run of the handler.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *lineWriter
	recycled       chan struct{} // closed to have it killed and started again
	recycle        func()
}

var (
	errNoStart    = errors.New("the handler cannot be started")
	errRecycled   = errors.New("the handler was killed because a function timed out")
	errRequested  = errors.New("the handler asked for a restart")
	errNotReady   = errors.New("the handler did not answer in its initialization timeout")
	errNeverReady = errors.New("the handler did not become ready for an invocation")
)

// run starts the handler and restarts it until ctx is done, then kills it. It
// returns an error if the handler has failed too often. A handler that cannot
// be started, because of its mode or its architecture, is not a failure to the
// host: it is waited for in vain.
func (w *worker) run(ctx context.Context) error {
	// On Linux the process is killed when the thread that started it ends, so
	// that it cannot outlive this program; the thread must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var failures failureCount
	for {
		err := w.runOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errNoStart):
			w.log.Error("Failed to start Worker Channel: nothing will be tried again, and the first request waits until the host gives up", "error", err)
			w.startError = err
			close(w.cannotStart)
			<-ctx.Done()
			return nil
		case errors.Is(err, errRecycled), errors.Is(err, errRequested):
			w.log.Info("restarting the handler", "reason", err)
		case failures.add(w.now()):
			return fmt.Errorf("handler failed %d times in a row: %w", maxFailures, err)
		default:
			w.log.Error("restarting the handler", "reason", err)
		}
	}
}

// runOnce runs one process until it must be replaced, and says why. A process
// that ends with 0 is not replaced.
func (w *worker) runOnce(ctx context.Context) error {
	p, err := w.start()
	if err != nil {
		return fmt.Errorf("%w %q: %w", errNoStart, w.command[0], err)
	}
	exited := make(chan error, 1)
	go func() { exited <- p.cmd.Wait() }()
	polling, stopPolling := context.WithCancel(ctx)
	answered := make(chan error, 1)
	go func() { answered <- w.poll(polling) }()
	alive := true
	defer func() {
		stopPolling()
		w.setUnready()
		if alive {
			if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				w.log.Warn("killing the handler", "error", err)
			}
			<-exited
			p.flush()
		}
		w.client.CloseIdleConnections()
	}()
	for {
		select {
		case err := <-answered:
			if err != nil {
				return err
			}
			w.log.Debug("handler is ready", "pid", p.cmd.Process.Pid, "address", w.address)
			w.setReady()
		case <-exited:
			alive = false
			p.flush()
			switch code := p.cmd.ProcessState.ExitCode(); code {
			case 0:
				w.log.Warn("handler ended with exit code 0, so that it is not restarted")
				exited = nil
			case restartExit:
				return errRequested
			default:
				return fmt.Errorf("handler ended with %v; last lines of its stderr: %q", p.cmd.ProcessState, p.stderr.last())
			}
		case <-p.recycled:
			return errRecycled
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// flush emits what the process has written without an end of line. It has ended.
func (p *process) flush() {
	p.stdout.flush()
	p.stderr.flush()
}

func (w *worker) start() (*process, error) {
	cmd := exec.Command(w.command[0], w.command[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = w.dir, w.environ, killGrace
	dieWithParent(cmd)
	stdout := newLineWriter(w.lineSink(func(string) slog.Level { return slog.LevelInfo }))
	stderr := newLineWriter(w.lineSink(w.stderrLevel))
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	recycled := make(chan struct{})
	p := &process{
		cmd: cmd, stdout: stdout, stderr: stderr,
		recycled: recycled, recycle: sync.OnceFunc(func() { close(recycled) }),
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live = p
	return p, nil
}

// lineSink passes on a line of output: to the writer of the configuration, or
// to the log.
func (w *worker) lineSink(level func(line string) slog.Level) func(string) {
	return func(line string) {
		if w.output != nil {
			w.outputMu.Lock()
			defer w.outputMu.Unlock()
			fmt.Fprintln(w.output, line)
			return
		}
		w.log.Log(context.Background(), level(line), line, "category", "Host.Function.Console")
	}
}

// stderrLevel is the host's guess at how bad a line of stderr is.
func (w *worker) stderrLevel(line string) slog.Level {
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(strings.ToLower(line), word) {
				return true
			}
		}
		return false
	}
	switch {
	case has("warn"):
		return slog.LevelWarn
	case w.stderrIsBad, has("error", "fail", "severe", "unhandled exception"):
		return slog.LevelError
	}
	return slog.LevelInfo
}

// poll asks for GET / until there is any answer. Only the waits between
// attempts count towards the timeout.
func (w *worker) poll(ctx context.Context) error {
	for range max(1, w.initTimeout/pollInterval) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.address+"/", nil)
		if err != nil {
			return fmt.Errorf("asking whether the handler is ready: %w", err)
		}
		res, err := w.client.Do(req)
		if err == nil {
			res.Body.Close()
			return nil
		}
		if socket := (*net.OpError)(nil); ctx.Err() == nil && !errors.As(err, &socket) {
			return nil // it listens, and that is all the host wants to know
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
	return errNotReady
}

func (w *worker) setReady() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.ready)
}

// setUnready makes invocations wait again. A channel that is still open stays,
// because they wait for it already.
func (w *worker) setUnready() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.ready:
		w.ready = make(chan struct{})
	default:
	}
}

// await returns the process to call as soon as it has answered. It gives up
// with errNeverReady.
func (w *worker) await(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, waitFactor*w.initTimeout, errNeverReady)
	defer cancel()
	for {
		w.mu.Lock()
		ready := w.ready
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-ready:
		}
		w.mu.Lock()
		if w.ready == ready {
			defer w.mu.Unlock()
			return w.live, nil
		}
		w.mu.Unlock()
	}
}

// pid is the process that was started last, 0 before the first.
func (w *worker) pid() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.live == nil {
		return 0
	}
	return w.live.cmd.Process.Pid
}
