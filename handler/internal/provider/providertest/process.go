package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// Process is a process of the program, as far as a provider sees it. When it is
// killed, nothing that it goes on to do has an effect.
type Process struct {
	// Store is the vault's, for providers that keep rows of their own, and Seal
	// and Open are its encryption.
	Store      store.Store
	Seal, Open func(ctx context.Context, kind, name, id string, data []byte) ([]byte, error)

	// Now is the suite's clock.
	Now func() time.Time

	// Log is read for secrets.
	Log *slog.Logger

	world *world
	ctx   context.Context
	stop  context.CancelFunc
	dead  atomic.Bool
	vault *vault.Vault

	mu     sync.Mutex
	expire context.CancelCauseFunc // ends the time of what the provider does now
}

// errKilled is what a dead process gets from its store.
var errKilled = fmt.Errorf("%w: the process was killed", store.ErrUnavailable)

// start starts a process.
func (w *world) start() (*Process, error) {
	w.exchanges.Lock() // what the one before it had on the way has ended
	w.down.Store(false)
	w.exchanges.Unlock()
	return w.startBeside()
}

// startBeside starts a process while another one runs.
func (w *world) startBeside() (*Process, error) {
	p := w.newProcess()
	p.Store = &storetest.Intercepted{Store: &w.store, Around: p.storage}
	w.process.Store(p)
	return p, p.open()
}

// newProcess is a process that the suite does not disturb, until it is opened.
func (w *world) newProcess() *Process {
	log := slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p := &Process{Store: &w.store, Seal: sealed, Open: opened, Now: w.clock.now, Log: log, world: w}
	p.ctx, p.stop = context.WithCancel(w.t.Context())
	return p
}

// providerName is the provider of the issuer object under test.
const providerName = "contract"

// open makes the process's provider and its vault.
func (p *Process) open() error {
	issuer, err := p.world.rig.New(p)
	if err != nil {
		return fmt.Errorf("the provider cannot be made: %w", err)
	}
	under := &watched{p, issuer}
	p.vault, err = vault.New(vault.Config{
		Store: p.Store, Seal: p.Seal, Open: p.Open, Now: p.Now, Log: p.Log,
		Providers: map[string]provider.Provider{"self": under, providerName: under},
		Sleep: func(ctx context.Context, d time.Duration) error {
			p.world.clock.add(d)
			return ctx.Err()
		},
	})
	return err
}

// sealed makes data unreadable, and opened finds out whether it is asked for by
// what it was sealed for.
func sealed(_ context.Context, kind, name, id string, data []byte) ([]byte, error) {
	return append([]byte(kind+"/"+name+"/"+id+"/"), inverted(data)...), nil
}

func opened(_ context.Context, kind, name, id string, data []byte) ([]byte, error) {
	data, ok := bytes.CutPrefix(data, []byte(kind+"/"+name+"/"+id+"/"))
	if !ok {
		return nil, fmt.Errorf("the data was not sealed as the %s of %q, %q", kind, name, id)
	}
	return inverted(data), nil
}

func inverted(data []byte) []byte {
	out := bytes.Clone(data)
	for i := range out {
		out[i] = ^out[i]
	}
	return out
}

// kill ends the process that runs.
func (w *world) kill() {
	p := w.process.Load()
	p.dead.Store(true)
	w.down.Store(true)
	p.stop()
}

// storage lets the plan act at each write.
func (p *Process) storage(ctx context.Context, call storetest.Call, do func(context.Context) error) error {
	if p.dead.Load() {
		return errKilled
	}
	if !call.Writes() || strings.HasPrefix(call.Key, "s:") { // the heartbeat is nobody's work
		return do(ctx)
	}
	act := p.world.begin(moment{what: call.String()})
	act.doBefore()
	if p.dead.Load() {
		return errKilled
	}
	err := do(ctx)
	act.doAfter()
	if p.dead.Load() {
		return errKilled
	}
	return err
}

// tick advances all work that is due.
func (p *Process) tick() error {
	if _, err := p.vault.Advance(p.ctx); err != nil && !p.dead.Load() {
		return fmt.Errorf("a tick failed: %w", err)
	}
	return nil
}

// timed gives what a provider does a deadline that the suite can bring forward.
func (p *Process) timed(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire = cancel
	return timed{ctx}, func() { cancel(nil) }
}

// deadline is the end of the time of what the provider does now.
func (p *Process) deadline() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.expire != nil {
		p.expire(context.DeadlineExceeded)
	}
}

// timed is a context that ends as one with a deadline.
type timed struct{ context.Context }

// Err implements context.Context.
func (t timed) Err() error {
	if t.Context.Err() == nil {
		return nil
	}
	return context.Cause(t.Context)
}

// watched is a provider in a process. It has all abilities that a vault asks
// for; where the provider has not, it does what a vault does then.
type watched struct {
	process *Process
	issuer  provider.Provider
}

// Step implements provider.Provider.
func (w *watched) Step(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
	ctx, cancel := w.process.timed(ctx)
	defer cancel()
	if w.process.world.twice {
		if err := w.other(func(i provider.Provider) { i.Step(ctx, req, bytes.Clone(state)) }); err != nil {
			return state, provider.Retry(time.Time{}, err)
		}
	}
	return w.issuer.Step(ctx, req, state)
}

// Cancel implements provider.Canceler.
func (w *watched) Cancel(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, bool, error) {
	ctx, cancel := w.process.timed(ctx)
	defer cancel()
	canceler, ok := w.issuer.(provider.Canceler)
	if !ok {
		return state, true, nil
	}
	if w.process.world.twice {
		if err := w.other(func(i provider.Provider) { i.(provider.Canceler).Cancel(ctx, req, bytes.Clone(state)) }); err != nil {
			return state, false, err
		}
	}
	return canceler.Cancel(ctx, req, state)
}

// Release implements provider.Releaser.
func (w *watched) Release(ctx context.Context, req provider.Request, state json.RawMessage) error {
	ctx, cancel := w.process.timed(ctx)
	defer cancel()
	releaser, ok := w.issuer.(provider.Releaser)
	if !ok {
		return nil
	}
	if w.process.world.twice {
		if err := w.other(func(i provider.Provider) { _ = i.(provider.Releaser).Release(ctx, req, bytes.Clone(state)) }); err != nil {
			return err
		}
	}
	return releaser.Release(ctx, req, state)
}

// other runs something at the provider of a process of which nobody hears again.
func (w *watched) other(do func(provider.Provider)) error {
	issuer, err := w.process.world.rig.New(w.process)
	if err != nil {
		return fmt.Errorf("the provider cannot be made: %w", err)
	}
	do(issuer)
	return nil
}

// CheckIssuer implements provider.IssuerChecker.
func (w *watched) CheckIssuer(o provider.Issuer) error {
	if checker, ok := w.issuer.(provider.IssuerChecker); ok {
		return checker.CheckIssuer(o)
	}
	return nil
}

// CheckPolicy implements provider.PolicyChecker.
func (w *watched) CheckPolicy(o provider.Issuer, p policy.Policy) error {
	if checker, ok := w.issuer.(provider.PolicyChecker); ok {
		return checker.CheckPolicy(o, p)
	}
	return nil
}
