package vault

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
)

// Times of one tick. It waits for work that falls due soon, because a CA that
// answers in seconds should not cost its client a whole timer interval, and it
// starts no new work after its budget, so that it ends before the Functions
// host would end it.
const (
	tickBudget = 45 * time.Second
	turn       = tickBudget / 4 // of one class, so that none starves the next
	lookAhead  = 20 * time.Second
	lookAgain  = 5 * time.Second // while it waits, for work that came since
	duePage    = 1000
	share      = 250 // of one kind and gate in a round: about what a turn is long enough for
)

// Tick is what one call of Advance did.
type Tick struct {
	Schema   int           `json:"schema"`
	At       time.Time     `json:"at"`       // when it began
	Took     time.Duration `json:"took"`     // in nanoseconds
	Advanced int           `json:"advanced"` // items that were worked on
	Failed   int           `json:"failed"`   // of those, the ones whose work could not be saved
}

// Advance does all work that is due, in the order of its class and time, until
// nothing is due or soon will be. The Functions timer calls it; any number of
// instances may run it at once. An item that fails is set aside for this tick
// and never stops the rest; nor does an issuer that is slow, down or paused. The
// error says that due work could not be read.
func (v *Vault) Advance(ctx context.Context) (Tick, error) {
	t := tick{v: v, started: v.now(), aside: make(map[string]bool), gates: make(map[string]*gate)}
	err := t.drain(ctx)
	report := Tick{Schema: store.Schema, At: t.started, Took: v.now().Sub(t.started), Advanced: t.advanced, Failed: t.failed}
	if err != nil {
		return report, err
	}
	var heartbeat store.Tx
	heartbeat.Put(store.NewRow(heartbeatKey, "", report))
	if _, err := v.cfg.Store.Commit(ctx, heartbeat); err != nil {
		v.cfg.Log.WarnContext(ctx, "heartbeat was not written", "error", err)
	}
	return report, nil
}

// tick is one run of Advance.
type tick struct {
	v       *Vault
	started time.Time
	issuers *issuerCache // of this round: a tick also waits, and meanwhile issuers change

	mu       sync.Mutex
	aside    map[string]bool  // due rows that this tick leaves alone
	gates    map[string]*gate // by name
	advanced int
	failed   int
}

func (t *tick) drain(ctx context.Context) error {
	had := make(map[int]bool) // classes that had a turn
	for {
		t.issuers = newIssuerCache()
		worked, next := false, time.Time{}
		for _, class := range classes {
			items, soon, err := t.read(ctx, class)
			if err != nil {
				return fmt.Errorf("reading due work: %w", err)
			}
			// A step outlasts its turn. That must not cost others theirs, tick after tick.
			started := t.work(ctx, items, !had[class])
			had[class] = true
			if started > 0 {
				worked = true
			}
			if !soon.IsZero() && (next.IsZero() || soon.Before(next)) {
				next = soon
			}
		}
		now := t.v.now()
		end := t.started.Add(tickBudget)
		switch {
		case ctx.Err() != nil || !now.Before(end):
			return nil
		case worked:
			continue
		case next.IsZero() || next.After(end):
			return nil
		}
		if t.v.cfg.Sleep(ctx, min(next.Sub(now), lookAgain)) != nil {
			return nil
		}
	}
}

// read returns work of one class that is due, up to a share of each kind for each
// gate, and when the next falls due if that is soon. It reads past what stays
// behind a gate: a backlog of one issuer does not hide the work of others. What
// was begun comes before what is to begin.
func (t *tick) read(ctx context.Context, class int) (items []due, soon time.Time, err error) {
	now := t.v.now()
	r := store.Within(duePrefix(class), duePage)
	r.To = fmt.Sprintf("%s%013d;", duePrefix(class), now.Add(lookAhead).UnixMilli())
	type lot struct{ gate, kind string }
	taken := make(map[lot]int)
	for {
		rows, err := t.v.cfg.Store.Scan(ctx, r)
		if err != nil {
			return nil, time.Time{}, unavailable(err)
		}
		for _, row := range rows {
			d, err := parseDue(row)
			mine := lot{d.gate(), d.kind}
			switch {
			case err != nil:
				t.v.reportUnreadable(ctx, &unreadableError{row, err})
				continue
			case taken[mine] == share || t.passedOver(row.Key, d):
				continue
			}
			d, err = d.refine(row)
			switch {
			case err != nil:
				t.v.reportUnreadable(ctx, &unreadableError{row, err})
			case d.at.After(now):
				return begunFirst(items), d.at, nil
			default:
				taken[mine]++
				items = append(items, d)
			}
		}
		if len(rows) < duePage {
			return begunFirst(items), time.Time{}, nil
		}
		r.From = rows[len(rows)-1].Key + "!"
	}
}

// begunFirst puts renewals that are to begin behind all else.
func begunFirst(items []due) []due {
	slices.SortStableFunc(items, func(a, b due) int {
		switch begins := a.kind == kindRenew; {
		case begins == (b.kind == kindRenew):
			return 0
		case begins:
			return 1
		default:
			return -1
		}
	})
	return items
}

// passedOver reports whether this tick leaves the item of a due row alone, so that
// it does not stand before those that can be done.
func (t *tick) passedOver(key string, d due) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, ok := t.gates[d.gate()]
	return t.aside[key] || ok && (g.closed || t.full(g, d))
}

// work runs items in order, as far as their gates let them, with bounded
// concurrency, for the turn of a class; at least one, however late it is, if the
// class is owed a turn. It returns how many it started.
func (t *tick) work(ctx context.Context, items []due, owed bool) (started int) {
	end := t.v.now().Add(turn)
	if last := t.started.Add(tickBudget); last.Before(end) {
		end = last
	}
	finished, running := make(chan struct{}, t.v.cfg.Concurrency), 0
	for {
		next := -1
		if running < t.v.cfg.Concurrency && ctx.Err() == nil && (owed && started == 0 || t.v.now().Before(end)) {
			next = slices.IndexFunc(items, func(d due) bool { return t.enter(ctx, d) })
		}
		switch {
		case next >= 0:
			d := items[next]
			items = slices.Delete(items, next, next+1)
			started, running = started+1, running+1
			go func() {
				defer func() { finished <- struct{}{} }()
				t.finish(ctx, d, t.item(ctx, d))
			}()
		case running == 0:
			return started
		default:
			<-finished
			running--
		}
	}
}

// finish counts an item, and sets it aside when it failed.
func (t *tick) finish(ctx context.Context, d due, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gates[d.gate()].running--
	if err == nil {
		t.advanced++
		return
	}
	t.aside[d.key()] = true
	if errors.Is(err, errLost) {
		return
	}
	t.advanced++
	t.failed++
	if bad, ok := errors.AsType[*unreadableError](err); ok {
		t.v.reportUnreadable(ctx, bad)
		return
	}
	t.v.cfg.Log.ErrorContext(ctx, "due work failed", "row", d.key(), "error", err)
}

// item does one piece of work. A due row whose work has changed since it was
// read is lost to whoever changed it; one that stays all the same is repaired.
func (t *tick) item(ctx context.Context, d due) error {
	err := t.do(ctx, d)
	if errors.Is(err, errLost) && t.v.now().Sub(d.at) > strayAge {
		if err := t.v.repairDue(ctx, d); err != nil {
			return err
		}
	}
	return err
}

// strayAge is how long a due row must be overdue for a tick that could do nothing
// about it to ask whether it belongs to anything: longer than another worker takes
// to change it.
const strayAge = 2 * time.Minute

func (t *tick) do(ctx context.Context, d due) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.v.cfg.Log.ErrorContext(ctx, "due work panicked", "row", d.key(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	switch d.kind {
	case kindAdvance:
		n := Name{d.name}
		h, err := t.v.head(ctx, n)
		if err != nil {
			return err
		}
		if h.Deletion != nil || h.Operation == nil || !h.Operation.needsAdvance() {
			return errLost
		}
		_, out, err := t.v.advance(ctx, Name{h.Name}, h, t.issuers)
		if err == nil {
			t.judge(ctx, d, out)
		}
		return err
	case kindRenew:
		begun, err := t.v.renew(ctx, Name{d.name}, t.issuers)
		if !begun {
			t.giveBack(d)
		}
		return err
	case kindPurge:
		return t.v.purgeDue(ctx, Name{d.name})
	case kindRelease:
		return t.v.release(ctx, d.name, t.issuers)
	case kindRevoke:
		return t.v.revoke(ctx, d.name, t.issuers)
	case kindNearExpiry, kindExpired:
		return t.v.tellExpiry(ctx, Name{d.name}, d.kind)
	case kindDeliver:
		reached, err := t.v.deliver(ctx, d.name)
		if err == nil {
			t.judgeDestination(d, reached)
		}
		return err
	case kindDiscard:
		return t.v.discard(ctx, d.name)
	case kindForget:
		return t.v.forget(ctx, d.name)
	default:
		return fmt.Errorf("unknown kind of work %q", d.kind)
	}
}
