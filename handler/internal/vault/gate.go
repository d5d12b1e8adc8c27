package vault

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// A gate bounds what one tick asks of one issuer: a few steps at once, and
// nothing while the issuer is paused. When one step after the other comes to
// nothing, the gate pauses the issuer; once the pause is over, a single step
// tries whether work can go on. What waits stays due as it is.
type gate struct {
	round   *issuerCache    // in which the issuer was read last
	pause   *Pause          // of the issuer, then
	closed  bool            // for the rest of the tick: the pause holds, or was set by this tick; or the destination is away
	limit   int             // steps at once
	running int             // steps
	renewed int             // renewals begun
	failing map[string]bool // certificates whose last steps, or deliveries whose last attempts, failed
}

// failuresToPause is how many certificates' steps in a row, of one issuer and
// with no other outcome between them, must fail.
const failuresToPause = 3

// holds reports whether the pause is not over.
func (p *Pause) holds(now time.Time) bool {
	return p != nil && (p.Until.IsZero() || now.Before(p.Until))
}

// firstPause is how long failures pause an issuer first; each next pause is twice
// as long, at most maxPause.
const (
	firstPause = time.Minute
	maxPause   = 30 * time.Minute
)

// full reports whether the tick has begun as many renewals as it may: one, as
// long as nobody knows whether the issuer works again.
func (t *tick) full(g *gate, d due) bool {
	limit := t.v.cfg.RenewalLimit
	if g.pause != nil {
		limit = 1
	}
	return d.kind == kindRenew && g.renewed >= limit
}

// gate names the gate of an item: work of one issuer, in any spelling of its
// name, has one, each destination of events, and all else.
func (d due) gate() string {
	if d.kind == kindDeliver {
		return "destination " + d.label // no issuer has such a name
	}
	return strings.ToLower(d.label)
}

// enter lets an item through its gate, if the gate lets it. The first item of an
// issuer in a round of the tick has it read.
func (t *tick) enter(ctx context.Context, d due) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, ok := t.gates[d.gate()]
	if !ok {
		g = &gate{failing: make(map[string]bool)}
		t.gates[d.gate()] = g
	}
	if !g.closed && g.round != t.issuers {
		t.look(ctx, g, d)
	}
	if g.closed || g.running >= g.limit || t.full(g, d) {
		return false
	}
	g.running++
	if d.kind == kindRenew {
		g.renewed++ // unless it turns out to be none
	}
	return true
}

// giveBack takes an item that began no renewal off the count.
func (t *tick) giveBack(d due) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gates[d.gate()].renewed--
}

// look sets a gate to what its issuer is now.
func (t *tick) look(ctx context.Context, g *gate, d due) {
	g.round, g.pause, g.limit = t.issuers, nil, t.v.cfg.IssuerLimit
	if d.label == "" {
		g.limit = t.v.cfg.Concurrency
	}
	if n, err := ParseIssuerName(d.gate()); err == nil {
		now := t.v.now()
		// An issuer that cannot be read is the business of the items.
		if state, _, err := t.issuers.get(d.label, time.Time{}, now, func() (IssuerState, string, error) { return t.v.openIssuer(ctx, n) }); err == nil {
			g.pause = state.Pause
		}
		g.closed = g.pause.holds(now)
		switch {
		case g.pause == nil || g.closed:
		case g.pause.By == pausedByOperator:
			g.pause = nil // it is over
		default:
			g.limit = 1
		}
	}
}

// judge tells the gate of an item what its step led to.
func (t *tick) judge(ctx context.Context, d due, out provider.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.gates[d.gate()]
	n, err := ParseIssuerName(d.gate())
	switch {
	case err != nil || out.Kind == outcomeCancelled || out.Kind == outcomeCancelRefused || ours(out):
	case out.Kind != provider.OutcomeRetry:
		clear(g.failing)
		if g.pause != nil && !g.closed {
			g.pause, g.limit = nil, t.v.cfg.IssuerLimit
			t.v.resumeAfterFailures(ctx, n)
		}
	case g.closed: // by a step that ran beside this one
	default:
		g.failing[d.name] = true
		if g.pause != nil || len(g.failing) >= failuresToPause {
			g.closed = true
			t.v.pauseForFailures(ctx, n, out.Detail)
		}
	}
}

// judgeDestination tells the gate of a destination whether it was reached. One
// that several deliveries in a row do not reach is left alone for the rest of the
// tick: each of them may take as long as a step.
func (t *tick) judgeDestination(d due, reached bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.gates[d.gate()]
	if reached {
		clear(g.failing)
		return
	}
	g.failing[d.name] = true
	if len(g.failing) >= failuresToPause {
		g.closed = true
	}
}

// pauseForFailures pauses an issuer to which one step after the other came to
// nothing, unless it is paused.
func (v *Vault) pauseForFailures(ctx context.Context, n Name, reason string) {
	var pause *Pause
	_, err := v.changeIssuer(ctx, n, func(r *issuerRecord) (*issuerRecord, error) {
		now := v.now()
		if r == nil || r.Pause.holds(now) {
			return nil, errLost
		}
		pause = &Pause{Since: now, By: pausedByBreaker, Reason: words(reason), Opens: 1}
		if r.Pause != nil && r.Pause.By == pausedByBreaker {
			pause.Since, pause.Opens = r.Pause.Since, r.Pause.Opens+1
		}
		pause.Until = now.Add(min(firstPause<<min(pause.Opens-1, 10), maxPause))
		r.Pause = pause
		return r, nil
	})
	switch {
	case errors.Is(err, errLost):
	case err != nil:
		v.cfg.Log.WarnContext(ctx, "failing issuer not paused", "issuer", n.text, "error", err)
	default:
		v.cfg.Log.WarnContext(ctx, "issuer paused after failures", "issuer", n.text, "since", pause.Since, "until", pause.Until, "reason", pause.Reason)
	}
}

// resumeAfterFailures ends the pause of an issuer that answers again.
func (v *Vault) resumeAfterFailures(ctx context.Context, n Name) {
	_, err := v.changeIssuer(ctx, n, func(r *issuerRecord) (*issuerRecord, error) {
		if r == nil || r.Pause == nil || r.Pause.By != pausedByBreaker {
			return nil, errLost
		}
		r.Pause = nil
		return r, nil
	})
	switch {
	case errors.Is(err, errLost):
	case err != nil:
		v.cfg.Log.WarnContext(ctx, "issuer that answers again not resumed", "issuer", n.text, "error", err)
	default:
		v.cfg.Log.InfoContext(ctx, "issuer resumed", "issuer", n.text)
	}
}
