// Package supervise runs child processes that cannot outlive the process that
// started them, and ends a group of services together.
package supervise

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// outputDelay is how long after its end a process's output may still arrive,
// through descendants that left its group and hold its pipes.
const outputDelay = 2 * time.Second

// Process is a running child, leader of a process group of its own: a Ctrl-C
// in the terminal reaches only the supervisor, which stops its children in order.
type Process struct {
	cmd   *exec.Cmd
	grace time.Duration
	done  chan struct{}
	err   error
}

// Start starts cmd, which must not have been made with a context: how a child
// ends is Stop's decision, which gives it grace to end by itself. If this
// process ends in any way, SIGKILL included, the kernel kills the child.
func Start(cmd *exec.Cmd, grace time.Duration) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr)
	cmd.WaitDelay = outputDelay

	p := &Process{cmd: cmd, grace: grace, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel takes the end of the *thread* that forked for the end of the
		// parent, so that thread must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- fmt.Errorf("starting %q: %w", cmd.Path, err)
			return
		}
		started <- nil
		p.err = p.reap()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// reap waits for the end of the process and ends what it left in its group.
func (p *Process) reap() error {
	var groupErr error
	if awaitExit(p.PID()) {
		// Before Wait, while the unreaped process still keeps its id, and thus its
		// group's, from being given to another.
		groupErr = signal(-p.PID(), syscall.SIGKILL)
	}
	return errors.Join(p.cmd.Wait(), groupErr)
}

// PID returns the id of the process, which is also that of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and all its output was read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err waits for the end of the process and returns nil for exit status 0, else
// how it ended.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Stop asks the process to end (SIGTERM), kills it with its group after the
// grace, and returns when it is gone. Stopping an ended process does nothing.
func (p *Process) Stop() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	// The process alone is asked: how its own children end is its decision.
	err := signal(p.PID(), syscall.SIGTERM)
	patience := time.NewTimer(p.grace)
	defer patience.Stop()
	select {
	case <-p.done:
	case <-patience.C:
		err = errors.Join(err, signal(-p.PID(), syscall.SIGKILL))
		<-p.done
	}
	return err
}

// signal sends sig to a process, or to a group by its negative id. One that is
// already gone is not an error.
func signal(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("sending %v to %d: %w", sig, pid, err)
	}
	return nil
}
