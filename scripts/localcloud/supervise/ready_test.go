package supervise_test

// Waiting until a process is ready.

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

func TestStartReady(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ready")
	var output strings.Builder
	cmd := exec.Command("sh", "-c", `echo hello; touch "$0"; exec sleep 600`, file)
	p, err := supervise.StartReady(t.Context(), cmd, time.Minute, &output, func(context.Context) error {
		_, err := os.Stat(file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if output.String() != "hello\n" {
		t.Errorf("printed %q", &output)
	}
}

// A program that ends is not waited for, not even by a probe, and its last words
// are repeated.
func TestEndBeforeReady(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "echo no port >&2; exit 1")
	_, err := supervise.StartReady(t.Context(), cmd, time.Minute, nil, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if err == nil || !strings.HasSuffix(err.Error(), "ended before it was ready: no port") {
		t.Errorf("got %v", err)
	}
}

// A program that is not ready in time is stopped.
func TestNeverReady(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	late, notYet := errors.New("late"), errors.New("not yet")
	cmd := exec.Command("sleep", "600")
	_, err := supervise.StartReady(ctx, cmd, time.Minute, nil, func(context.Context) error {
		cancel(late)
		return notYet
	})
	if !errors.Is(err, late) || !errors.Is(err, notYet) {
		t.Errorf("got %v", err)
	}
	if cmd.ProcessState == nil {
		t.Error("the program still runs")
	}
}
