package supervise_test

// Groups of members that start and stop together.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/scripts/localcloud/supervise"
)

// member is a service that records when it is stopped.
type member struct {
	name    string
	done    chan struct{}
	err     error
	stopped *[]string
}

func (m *member) Done() <-chan struct{} { return m.done }
func (m *member) Err() error            { return m.err }
func (m *member) Stop() error {
	*m.stopped = append(*m.stopped, m.name)
	return nil
}

func TestGroupStopsInReverseOrder(t *testing.T) {
	t.Parallel()
	g, ctx := supervise.NewGroup(t.Context())
	var stopped []string
	for _, name := range []string{"storage", "host", "front door"} {
		if err := g.Add(name, &member{name: name, done: make(chan struct{}), stopped: &stopped}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := g.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"front door", "host", "storage"}, stopped); diff != "" {
		t.Errorf("order of stopping (-want +got):\n%s", diff)
	}
	if cause := context.Cause(ctx); cause != context.Canceled {
		t.Errorf("the stopped group ended with %v, want no member's name", cause)
	}
}

func TestGroupNamesTheMemberThatEnded(t *testing.T) {
	t.Parallel()
	g, ctx := supervise.NewGroup(t.Context())
	m := &member{done: make(chan struct{}), err: errors.New("exit status 3"), stopped: new([]string)}
	if err := g.Add("azurite", m); err != nil {
		t.Fatal(err)
	}
	close(m.done)
	<-ctx.Done()
	if got := context.Cause(ctx).Error(); got != "azurite ended by itself: exit status 3" {
		t.Errorf("the group ended with %q, want the member and its error", got)
	}
}

func TestStoppedGroupTakesNoMember(t *testing.T) {
	t.Parallel()
	g, _ := supervise.NewGroup(t.Context())
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	var stopped []string
	if err := g.Add("late", &member{name: "late", done: make(chan struct{}), stopped: &stopped}); err == nil {
		t.Error("a stopped group took a member")
	}
	if !slices.Equal(stopped, []string{"late"}) {
		t.Errorf("stopped %q, want the late member", stopped)
	}
}

func TestConsoleKeepsLinesWhole(t *testing.T) {
	t.Parallel()
	var terminal bytes.Buffer
	console := supervise.Console{To: &terminal}
	const writers, lines = 8, 50
	var all sync.WaitGroup
	for i := range writers {
		w := console.Writer(fmt.Sprint("w", i))
		all.Go(func() {
			for range lines {
				fmt.Fprint(w, "first half, ")
				fmt.Fprint(w, "second half\n")
			}
		})
	}
	all.Wait()
	counts := map[string]int{}
	for line := range strings.Lines(terminal.String()) {
		counts[line]++
	}
	if len(counts) != writers {
		t.Errorf("got %d kinds of lines, want %d", len(counts), writers)
	}
	for line, n := range counts {
		if !strings.HasSuffix(line, "| first half, second half\n") || n != lines {
			t.Errorf("line %q seen %d times, want whole lines %d times", line, n, lines)
		}
	}
}

func TestConsoleCutsEndlessLines(t *testing.T) {
	t.Parallel()
	var terminal bytes.Buffer
	console := supervise.Console{To: &terminal}
	w := console.Writer("loud")
	chunk := bytes.Repeat([]byte("x"), 1<<10)
	for range 65 {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if terminal.Len() < 64<<10 {
		t.Errorf("printed %d bytes of an endless line, want at least 64 KiB", terminal.Len())
	}
}
