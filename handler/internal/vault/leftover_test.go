package vault_test

// Steps whose result comes after their operation ended.

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// TestStepThatCameTooLate: a worker was suspended in a step for so long that
// another has the operation. What its step did is kept, and released when the
// other has ended the operation, in whatever way, and not before.
func TestStepThatCameTooLate(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"issued", "failed", "deleted"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			p := &releasing{}
			h := newHarness(t, map[string]provider.Provider{"ca": p})
			other := open(t, h.store, h.clock, map[string]provider.Provider{"ca": p})
			ctx := context.Background()
			var released []string
			p.release = func(_ provider.Request, state json.RawMessage) error {
				released = append(released, string(state))
				return nil
			}
			last := func(req provider.Request) (json.RawMessage, provider.Outcome) {
				if end == "failed" {
					return json.RawMessage(`"other"`), provider.Failed(provider.CodeRejected, "no")
				}
				return nil, issue(t, req)
			}
			steps := 0
			p.step = func(ctx context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
				switch steps++; steps {
				case 1: // the process sleeps, and meanwhile
					h.clock.Advance(2 * time.Minute)
					if _, err := other.Advance(ctx); err != nil {
						t.Error(err)
					}
					return json.RawMessage(`"late"`), provider.Pending(h.clock.Now().Add(time.Hour), "on it")
				case 2:
					return json.RawMessage(`"other"`), provider.Pending(h.clock.Now().Add(time.Hour), "on it")
				default:
					return last(req)
				}
			}
			h.mustSetIssuer("ca", "ca")
			h.mustCreate("web", "ca")
			h.clock.Advance(2 * time.Second)
			h.mustTick()
			if len(released) > 0 {
				t.Fatalf("released %q while another worker had the operation", released)
			}
			h.clock.Advance(time.Hour)
			want := []string{`"late"`}
			switch end {
			case "failed":
				want = []string{`"other"`, `"late"`}
			case "deleted":
				want = []string{`"other"`, `"late"`}
				if err := second(h.DeleteOperation(ctx, name(t, "web"), "")); err != nil {
					t.Fatal(err)
				}
			}
			h.mustTick()
			if !slices.Equal(released, want) {
				t.Errorf("released %q, want %q", released, want)
			}
			for _, r := range h.store.Contents().Rows {
				if strings.HasPrefix(r.Key, "r:") {
					t.Errorf("row %s is left", r.Key)
				}
			}
		})
	}
}

// TestLateStepsJoinWhatIsReleased: steps that come too late, one after the other,
// replace nothing of what is to be taken back, neither while the operation goes on nor
// when it has ended.
func TestLateStepsJoinWhatIsReleased(t *testing.T) {
	t.Parallel()
	for _, ended := range []bool{false, true} {
		t.Run(fmt.Sprint("ended: ", ended), func(t *testing.T) {
			t.Parallel()
			p := &releasing{}
			h := newHarness(t, map[string]provider.Provider{"ca": p})
			ctx := t.Context()
			var released []string
			away := true
			p.release = func(_ provider.Request, state json.RawMessage) error {
				if away {
					return errDown
				}
				released = append(released, string(state))
				return nil
			}
			steps := 0
			p.step = func(ctx context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
				steps++
				number := steps
				mine := json.RawMessage(fmt.Sprintf(`"step %d"`, number))
				if number <= 3 { // the process sleeps, and meanwhile another takes the next step
					h.clock.Advance(2 * time.Minute)
					other := open(t, h.store, h.clock, map[string]provider.Provider{"ca": p})
					if _, err := other.AdvanceOperation(ctx, name(t, "web"), ""); err != nil {
						t.Error(err)
					}
				}
				if number == 4 && ended {
					return mine, provider.Failed(provider.CodeRejected, "no")
				}
				return mine, provider.Pending(h.clock.Now().Add(time.Hour), "on it")
			}
			h.mustSetIssuer("ca", "ca")
			h.mustCreate("web", "ca")
			h.clock.Advance(2 * time.Second)
			if _, err := h.AdvanceOperation(ctx, name(t, "web"), ""); err != nil {
				t.Fatal(err)
			}
			if !ended {
				if err := second(h.DeleteOperation(ctx, name(t, "web"), "")); err != nil {
					t.Fatal(err)
				}
			}
			h.mustTick()
			away = false
			h.clock.Advance(2 * time.Hour)
			h.mustTick()
			slices.Sort(released)
			if want := []string{`"step 1"`, `"step 2"`, `"step 3"`, `"step 4"`}; !slices.Equal(slices.Compact(released), want) {
				t.Errorf("released %q, want %q", released, want)
			}
		})
	}
}
