package vault_test

// A vault with workers, faults and deaths, for searches.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// world is all that several workers share: a store in memory, a clock, a CA, and
// what is known of what they did.
type world struct {
	t       testing.TB
	name    vault.Name // of the certificate that clients are about unless they say otherwise
	store   *memory.Store
	clock   *clock
	ca      *authority
	watch   *watch
	from    map[vault.Name]state
	events  atomic.Int64
	backup  []byte
	mu      sync.Mutex // guards records
	records []*record

	// faults is how many storage calls were made to fail. A worker that does not
	// know what became of its transaction must leave its chain blob alone.
	faults atomic.Int64
}

// snapshot is a world at rest.
type snapshot struct {
	contents  memory.Contents
	now       time.Time
	orders    map[string]order
	states    map[vault.Name]vault.State
	completed map[string]bool
	backup    []byte // of the certificate, where it has been purged
}

// start makes a world of a snapshot; of the zero snapshot, an empty one.
func start(t testing.TB, s snapshot) *world {
	t.Helper()
	w := &world{t: t, name: name(t, "web"), store: new(memory.Store), clock: newClock(), ca: newAuthority(s.orders)}
	if !s.now.IsZero() {
		w.clock.now = s.now
	}
	fill(t, w.store, s.contents)
	w.watch = newWatch(w.clock.Now)
	w.watch.start(s.states)
	maps.Copy(w.watch.completed, s.completed)
	w.from = w.modelStates(s.states)
	w.store.OnCommit(w.watch.see)
	w.ca.now, w.ca.operation = w.clock.Now, w.watch.current
	return w
}

// rebase begins a new history at what the store holds now.
func (w *world) rebase() {
	w.watch.mu.Lock()
	defer w.watch.mu.Unlock()
	w.from, w.records = w.modelStates(w.watch.states), nil
}

// modelStates are the states of all names in the model's terms.
func (w *world) modelStates(stored map[vault.Name]vault.State) map[vault.Name]state {
	states := make(map[vault.Name]state)
	for n, s := range stored {
		m := modelState(s)
		m.Expired = m.Deleted && !w.clock.Now().Before(s.PurgeAt)
		states[n] = m
	}
	return states
}

func fill(t testing.TB, st *memory.Store, c memory.Contents) {
	t.Helper()
	var tx store.Tx
	for _, r := range c.Rows {
		tx.Actions = append(tx.Actions, store.Action{Verb: store.Put, Row: r})
	}
	if len(tx.Actions) > 0 {
		if _, err := st.Commit(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
	}
	for _, blob := range slices.Sorted(maps.Keys(c.Blobs)) {
		if err := st.PutBlob(t.Context(), blob, c.Blobs[blob]); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) snapshot() snapshot {
	return snapshot{
		contents: w.store.Contents(), now: w.clock.Now(), orders: w.ca.copyOrders(),
		states: w.watch.states, completed: maps.Clone(w.watch.completed), backup: w.backup,
	}
}

// open makes the vault of one worker. Workers with different numbers make
// different keys and identifiers, the same ones each time.
func (w *world) open(store store.Store, worker int) *client {
	sealer := testSealer(w.t)
	v, err := vault.New(vault.Config{
		Store:      trusted(w.t, store),
		RequestKey: requestKey,
		Seal:       sealer.Seal,
		Open:       sealer.Open,
		Providers: map[string]provider.Provider{
			"self":      selfsigned.New(selfsigned.Config{Now: w.clock.Now}),
			"authority": account{w.ca, store},
			"quick":     quickAccount{account{w.ca, store}},
		},
		Concurrency: 1,
		NewKey:      keysOf(worker),
		Now:         w.clock.Now,
		Sleep:       w.clock.Sleep,
		Rand:        rand.NewChaCha8([32]byte{0: byte(worker)}),
	})
	if err != nil {
		w.t.Error(err)
	}
	return &client{Vault: v, ctx: context.Background(), name: w.name, store: store, clock: w.clock, watch: w.watch}
}

// do makes a call and records it. The record is there before the call returns,
// which it never does if its worker is killed.
func (w *world) do(c *client, call call) answer {
	r := w.begin(c, call)
	r.answer = call.run(c)
	w.end(r)
	return r.answer
}

func (w *world) begin(c *client, call call) *record {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &record{call: call, name: c.name, maybe: true, began: int(w.events.Add(1))}
	w.records = append(w.records, r)
	return r
}

// end records that a call returned. One that could not reach the store may have
// been applied, or may be yet.
func (w *world) end(r *record) {
	r.ended = int(w.events.Add(1))
	r.maybe = r.answer.Reason == vault.Unavailable
}

// check tests everything that must hold at any time when no worker runs: nothing
// wrong was seen, the answers and the state have an explanation, and the CA has
// nothing that the vault does not know of.
func (w *world) check() error {
	errs := append(slices.Clone(w.watch.wrong), w.ca.faults()...)
	for n, records := range w.byName() {
		errs = append(errs, explain(w.from[n], records, modelState(w.watch.state(n))))
	}
	rows := w.store.Contents().Rows
	for _, id := range w.ca.standing() {
		op := w.watch.current(id)
		if !w.accounted(id) && (op == nil || op.Status != vault.StatusInProgress) && !holds(rows, "r:"+id) {
			errs = append(errs, fmt.Errorf("the CA has an order of %s that the vault has forgotten", id))
		}
	}
	return errors.Join(errs...)
}

// accounted: the order was used, or nobody can know of it, because the worker
// that placed it had outlived its lease and was killed.
func (w *world) accounted(requestID string) bool {
	return w.watch.completed[requestID] || w.interrupted() > 0 && w.ca.outlived(requestID)
}

func holds(rows []store.Row, prefix string) bool {
	return slices.ContainsFunc(rows, func(r store.Row) bool { return strings.HasPrefix(r.Key, prefix) })
}

// byName are the records of the calls about each certificate, ticks among all of
// them.
func (w *world) byName() map[vault.Name][]*record {
	names := map[vault.Name][]*record{w.name: nil}
	for n := range w.from {
		names[n] = nil
	}
	for _, r := range w.records {
		names[r.name] = nil
	}
	for n := range names {
		for _, r := range w.records {
			if r.name == n || r.everywhere {
				names[n] = append(names[n], r)
			}
		}
	}
	return names
}

// recovery is how long after a crash ordinary ticks must have put everything in
// order: the lease of a dead worker's claim, and of a release's, and the time
// after which a restore is given up.
const recovery = 6 * time.Minute

// settle lets ordinary ticks do what is to be done, and checks that nothing is
// left but what waits for a person or for its purge date.
func (w *world) settle() error { return w.settleOn(w.store) }

// settleOn is settle with a store above the world's.
func (w *world) settleOn(store store.Store) error {
	c := w.open(store, 15)
	for end := w.clock.Now().Add(recovery); w.busy() && w.clock.Now().Before(end); w.clock.Advance(45 * time.Second) {
		if a := w.do(c, tick); a != (answer{}) {
			return fmt.Errorf("a tick on a sound store: %+v", a)
		}
	}
	return errors.Join(w.check(), w.checkSettled())
}

// busy: there is work to do, now or within the time of recovery.
func (w *world) busy() bool {
	horizon := fmt.Sprintf("%013d", w.clock.Now().Add(recovery).UnixMilli())
	return slices.ContainsFunc(w.store.Contents().Rows, func(r store.Row) bool {
		return strings.HasPrefix(r.Key, "r:") || strings.HasPrefix(r.Key, "d:") && r.Key[len("d:0:"):] < horizon
	})
}

func (w *world) checkSettled() error {
	var errs []error
	if w.busy() {
		errs = append(errs, errors.New("there is still work to do"))
	}
	contents := w.store.Contents()
	for n, s := range w.watch.states {
		if op := s.Operation; op != nil && op.Status == vault.StatusInProgress && !(op.Manual() && !op.CancellationRequested) {
			errs = append(errs, fmt.Errorf("%s is still %s", n, op.Status))
		}
		if s.Purging {
			errs = append(errs, fmt.Errorf("%s is still being purged", n))
		}
		if s.Restoring {
			errs = append(errs, fmt.Errorf("%s is still being restored", n))
		}
	}
	for _, id := range w.ca.standing() {
		if !w.accounted(id) {
			errs = append(errs, fmt.Errorf("the order of %s was neither used nor taken back", id))
		}
	}
	if unused := unusedBlobs(contents); len(unused) > w.interrupted()+int(w.faults.Load()) {
		errs = append(errs, fmt.Errorf("chain blobs %v belong to nothing, after %d calls that were broken off and %d faults", unused, w.interrupted(), w.faults.Load()))
	}
	return errors.Join(errs...)
}

// interrupted counts the calls that were broken off: each may leave a chain blob
// behind that it had no chance to delete.
func (w *world) interrupted() int {
	n := 0
	for _, r := range w.records {
		if r.maybe {
			n++
		}
	}
	return n
}

// unusedBlobs are the chain blobs that no version has.
func unusedBlobs(c memory.Contents) []string {
	used := make(map[string]bool)
	for _, r := range c.Rows {
		if strings.HasPrefix(r.Key, "v:") {
			var version struct{ Chain string }
			if err := json.Unmarshal(r.Doc, &version); err == nil {
				used[version.Chain] = true
			}
		}
	}
	var unused []string
	for blob := range c.Blobs {
		if !used[blob] {
			unused = append(unused, blob)
		}
	}
	return unused
}
