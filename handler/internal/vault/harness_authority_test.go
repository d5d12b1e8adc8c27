package vault_test

// A CA at which each order must be paid for or taken back, for the searches.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// Issuer objects of the searches, and their providers.
const (
	issuing  = "ca"      // issues whatever is ordered
	refusing = "refuser" // takes the order, then refuses
	quick    = "quick"   // issues, and a poll may take its steps
)

var providers = map[string]string{issuing: "Authority", refusing: "Authority", quick: "Quick"}

// authority is a CA that orders cost money at: it takes any number of them for
// one request, and each must be paid for or taken back. It notes what workers do
// wrong.
type authority struct {
	now func() time.Time
	// scheduled says that time passes between storage calls only. Elsewhere a
	// claim may end right before its step.
	scheduled bool
	// operation returns what the vault has of a request, nil when it has none.
	operation func(requestID string) *vault.Operation

	mu     sync.Mutex // guards what follows
	orders map[string]*order
	steps  map[*step]bool  // that are being taken
	lapsed map[string]bool // requests with an order of a step that outlived its lease
	wrong  []error

	hold  atomic.Bool // nothing is issued or refused yet
	taken func()      // called when an order was placed
}

// account is the provider of an authority. It looks for a request's order before
// it places one, and between the two it makes a storage call, so that of two
// workers in one step each would place one.
type account struct {
	*authority
	store store.Store
}

// accountKey is what an account reads between look and order.
const accountKey = "t:account"

// quickAccount is an account that a poll need not wait for.
type quickAccount struct{ account }

func (quickAccount) Instant() bool { return true }

// order is what the CA has of one request.
type order struct {
	placed   int // how often, in all
	standing int // of those, not taken back
}

// step is a step that a worker takes under a claim.
type step struct {
	requestID string
	lease     time.Time // end of the claim
}

func newAuthority(orders map[string]order) *authority {
	a := &authority{orders: make(map[string]*order), steps: make(map[*step]bool), lapsed: make(map[string]bool)}
	for id, o := range orders {
		a.orders[id] = &o
	}
	return a
}

// copyOrders is the state of the CA.
func (a *authority) copyOrders() map[string]order {
	a.mu.Lock()
	defer a.mu.Unlock()
	orders := make(map[string]order)
	for id, o := range a.orders {
		orders[id] = *o
	}
	return orders
}

func (a *authority) faults() []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wrong
}

// Step orders, and in a second step gets what was ordered.
func (a account) Step(ctx context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, provider.Outcome) {
	this := a.enter(req)
	defer a.leave(this)
	if state == nil {
		found := a.find(req.ID)
		if _, err := a.store.Get(ctx, accountKey); !errors.Is(err, store.ErrNotFound) {
			return nil, provider.Retry(time.Time{}, err)
		}
		if !found {
			a.place(this)
		}
		return json.RawMessage(`"ordered"`), provider.Pending(time.Time{}, "ordered")
	}
	switch {
	case a.hold.Load():
		return state, provider.Pending(a.now().Add(10*time.Second), "held")
	case req.Issuer.Name == refusing:
		return state, provider.Failed(provider.CodeRejected, "refused")
	default:
		return state, provider.Issued([][]byte{issuedFor(req.CSR)})
	}
}

// enter notes that a step begins. As long as the lease of its claim runs, a
// worker has the request for itself.
func (a *authority) enter(req provider.Request) *step {
	op, now := a.operation(req.ID), a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	this := &step{requestID: req.ID}
	switch {
	case op == nil: // deleted after the claim
		this.lease = now.Add(90 * time.Second)
	case op.Claim == req.Attempts:
		this.lease = op.ClaimedUntil
	case a.scheduled:
		a.wrong = append(a.wrong, fmt.Errorf("a step of %s begins under claim %d, while claim %d is held", req.ID, req.Attempts, op.Claim))
	}
	for other := range a.steps {
		if other.requestID == req.ID && now.Before(other.lease) {
			a.wrong = append(a.wrong, fmt.Errorf("two workers are in a step of %s", req.ID))
		}
	}
	a.steps[this] = true
	return this
}

func (a *authority) leave(s *step) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.steps, s)
}

func (a *authority) find(requestID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.orders[requestID] != nil
}

func (a *authority) place(s *step) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.orders[s.requestID]
	if o == nil {
		o = new(order)
		a.orders[s.requestID] = o
	}
	if !now.Before(s.lease) {
		a.lapsed[s.requestID] = true
	}
	if o.placed++; o.placed > 1 && !a.lapsed[s.requestID] {
		a.wrong = append(a.wrong, fmt.Errorf("%d orders were placed for %s", o.placed, s.requestID))
	}
	o.standing++
	if a.taken != nil {
		a.taken()
	}
}

// Cancel gives every request up.
func (a *authority) Cancel(_ context.Context, req provider.Request, state json.RawMessage) (json.RawMessage, bool, error) {
	defer a.leave(a.enter(req))
	return state, true, nil
}

// Release takes all orders of a request back.
func (a *authority) Release(_ context.Context, req provider.Request, _ json.RawMessage) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.orders[req.ID]; o != nil {
		o.standing = 0
	}
	return nil
}

// outlived reports whether a step of the request ordered after its lease.
func (a *authority) outlived(requestID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lapsed[requestID]
}

// standing are the requests with orders that nobody has taken back.
func (a *authority) standing() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	for id := range maps.Keys(a.orders) {
		if a.orders[id].standing > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}
