package vault

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Times of one tick. It waits for work that falls due soon, because a CA that
// answers in seconds should not cost its client a whole timer interval, and it
// starts no new work after its budget, so that it ends before the Functions
// host would end it.
const (
	tickBudget = 45 * time.Second
	lookAhead  = 20 * time.Second
	lookAgain  = 5 * time.Second // while it waits, for work that came since
	duePage    = 1000
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
// and never stops the rest. The error says that due work could not be read.
func (v *Vault) Advance(ctx context.Context) (Tick, error) {
	t := tick{v: v, started: v.now(), aside: make(map[string]bool)}
	err := t.drain(ctx)
	report := Tick{Schema: schema, At: t.started, Took: v.now().Sub(t.started), Advanced: t.advanced, Failed: t.failed}
	if err != nil {
		return report, err
	}
	var heartbeat Tx
	heartbeat.put(row(heartbeatKey, "", report))
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
	aside    map[string]bool // due rows that this tick leaves alone
	advanced int
	failed   int
}

func (t *tick) drain(ctx context.Context) error {
	for {
		t.issuers = newIssuerCache()
		worked, next := false, time.Time{}
		for _, class := range []int{classAdvance, classPurge} {
			items, soon, err := t.read(ctx, class)
			if err != nil {
				return fmt.Errorf("reading due work: %w", err)
			}
			if len(items) > 0 {
				worked = true
				t.work(ctx, items)
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

// read returns up to a page of work of one class that is due, and when the next
// falls due if that is soon.
func (t *tick) read(ctx context.Context, class int) (items []due, soon time.Time, err error) {
	now := t.v.now()
	r := within(duePrefix(class), duePage)
	r.To = fmt.Sprintf("%s%013d;", duePrefix(class), now.Add(lookAhead).UnixMilli())
	for {
		rows, err := t.v.cfg.Store.Scan(ctx, r)
		if err != nil {
			return nil, time.Time{}, err
		}
		for _, row := range rows {
			d, err := parseDue(class, row)
			switch {
			case err != nil:
				t.v.cfg.Log.ErrorContext(ctx, "due row left alone", "row", row.Key, "error", err)
			case t.setAside(row.Key):
			case d.at.After(now):
				return items, d.at, nil
			default:
				items = append(items, d)
			}
		}
		if len(rows) < duePage || len(items) > 0 {
			return items, time.Time{}, nil
		}
		r.From = rows[len(rows)-1].Key + "!"
	}
}

func (t *tick) setAside(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.aside[key]
}

// work runs items with bounded concurrency, in order, and starts none after the
// budget.
func (t *tick) work(ctx context.Context, items []due) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, t.v.cfg.Concurrency)
	for _, d := range items {
		if ctx.Err() != nil || !t.v.now().Before(t.started.Add(tickBudget)) {
			return
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := t.item(ctx, d)
			t.mu.Lock()
			defer t.mu.Unlock()
			if err == nil {
				t.advanced++
				return
			}
			t.aside[d.key()] = true
			if !errors.Is(err, errLost) {
				t.advanced++
				t.failed++
				t.v.cfg.Log.ErrorContext(ctx, "due work failed", "row", d.key(), "error", err)
			}
		})
	}
}

// item does one piece of work. A due row whose work has changed since it was
// read is lost to whoever changed it.
func (t *tick) item(ctx context.Context, d due) (err error) {
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
		_, err = t.v.advance(ctx, Name{h.Name}, h, t.issuers)
		return err
	case kindPurge:
		return t.v.purgeDue(ctx, Name{d.name})
	case kindRelease:
		return t.v.release(ctx, d.name, t.issuers)
	case kindRevoke:
		return t.v.revoke(ctx, d.name, t.issuers)
	default:
		return fmt.Errorf("unknown kind of work %q", d.kind)
	}
}
