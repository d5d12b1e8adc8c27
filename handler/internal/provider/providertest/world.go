package providertest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// world is one run of the issuer suite: a CA, a store, and the processes that
// come and go.
type world struct {
	t       testing.TB
	store   memory.Store
	clock   clock
	log     logbook
	network *Network
	rig     Rig
	user    *Process // undisturbed
	name    vault.Name
	request vault.Operation // as created
	twice   bool            // each step is run twice

	process   atomic.Pointer[Process] // the last that was started
	down      atomic.Bool             // it was killed
	exchanges sync.RWMutex            // held for reading by each exchange

	mu       sync.Mutex // guards what follows
	plan     func(moment) act
	moments  []moment
	calls    int   // of moments
	acts     int   // of the plan, so far
	readable error // a secret in a row
}

// moment is an outgoing call or a write.
type moment struct {
	call   bool
	number int    // from 1
	calls  int    // so far, this one included
	what   string // for people
}

func (m moment) String() string { return m.name() + ": " + m.what }

// name is the moment in the name of a test.
func (m moment) name() string {
	if m.call {
		return fmt.Sprintf("call %d", m.number)
	}
	return fmt.Sprintf("write %d", m.number)
}

// newWorld creates the operation, for a provider whose rig open opens.
func newWorld(t testing.TB, open func(testing.TB, *Network) Rig) (*world, error) {
	w := &world{t: t, clock: clock{at: time.Now().UTC().Truncate(time.Second)}}
	w.network = newNetwork(w)
	t.Cleanup(w.network.close)
	w.rig = open(t, w.network)
	w.watchSecrets()
	w.user = w.newProcess()
	if err := w.user.open(); err != nil {
		return nil, err
	}
	return w, w.create()
}

func (w *world) create() error {
	issuer, set := "ca", w.rig.Issuer
	name, err := vault.ParseIssuerName(issuer)
	if err != nil {
		return err
	}
	set.Provider = new(providerName)
	if _, err := w.user.vault.SetIssuer(w.t.Context(), name, set); err != nil {
		return fmt.Errorf("setting the issuer: %w", err)
	}
	if w.name, err = vault.ParseName("web"); err != nil {
		return err
	}
	pol := w.rig.Policy
	if pol.Key == nil {
		pol.Key = &policy.KeyParams{Type: new("EC"), Curve: new("P-256")}
	}
	parameters := policy.IssuerParams{}
	if pol.Issuer != nil {
		parameters = *pol.Issuer
	}
	parameters.Name = &issuer
	pol.Issuer = &parameters
	if w.request, err = w.user.vault.Create(w.t.Context(), w.name, vault.CreateParams{Policy: &pol}); err != nil {
		return fmt.Errorf("creating the operation: %w", err)
	}
	w.clock.add(3 * time.Second)
	return nil
}

// begin notes a moment and asks the plan.
func (w *world) begin(m moment) act {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.call {
		w.calls++
	}
	m.number, m.calls = len(w.moments)+1, w.calls
	w.moments = append(w.moments, m)
	if w.plan == nil {
		return act{}
	}
	a := w.plan(m)
	if a.before != nil || a.after != nil || a.answer != nil {
		w.acts++
	}
	return a
}

// planned sets what becomes of the moments to come.
func (w *world) planned(plan func(moment) act) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan = plan
}

// past is the moments so far.
func (w *world) past() []moment {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.moments)
}

// Limits of a run. Its time is the suite's; a real server may need some of the
// world's.
const (
	maxRounds = 2000
	interval  = 30 * time.Second
	lease     = 2 * time.Minute // longer than a claim lasts
)

// settle lets processes go on, each after the death of the one before, until
// the operation has ended and nothing is left to be released.
func (w *world) settle(p *Process) error {
	for range maxRounds {
		if p == nil || p.dead.Load() {
			var err error
			if p, err = w.start(); err != nil {
				return err
			}
		}
		if err := p.tick(); err != nil {
			return err
		}
		over, err := w.over()
		if err != nil || over && !p.dead.Load() {
			return err
		}
		w.clock.add(interval)
	}
	return fmt.Errorf("no end after %s: %s; release jobs: %q", w.clock.now().Sub(w.request.Created), w.progress(), w.rows("r:"))
}

// over reports whether the operation has ended, and what it left is released.
func (w *world) over() (bool, error) {
	op, err := w.operation()
	if err != nil {
		return false, err
	}
	return (op == nil || op.Status != vault.StatusInProgress) && len(w.rows("r:")) == 0, nil
}

// operation is the operation as the user sees it; nil when it was deleted.
func (w *world) operation() (*vault.Operation, error) {
	op, err := w.user.vault.Operation(w.t.Context(), w.name, w.request.RequestID)
	if e, ok := errors.AsType[*vault.Error](err); ok && e.Reason == vault.OperationNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the operation: %w", err)
	}
	return &op, nil
}

// progress describes the operation.
func (w *world) progress() string {
	op, err := w.operation()
	switch {
	case err != nil:
		return err.Error()
	case op == nil:
		return "the operation was deleted"
	default:
		return fmt.Sprintf("the operation is %s, due %s; the last answer was %q", op.Status, op.Due.Sub(op.Created), op.Answer)
	}
}

// rows are the keys of what is stored under a prefix.
func (w *world) rows(prefix string) []string {
	var keys []string
	for _, row := range w.store.Contents().Rows {
		if strings.HasPrefix(row.Key, prefix) {
			keys = append(keys, row.Key)
		}
	}
	return keys
}

// clock stands still unless it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// logbook is what all processes of a run logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
