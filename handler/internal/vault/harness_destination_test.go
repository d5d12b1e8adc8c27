package vault_test

// A destination that records events.

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// recorder is a destination that remembers what it was told.
type recorder struct {
	wants func(vault.Event) bool                   // nil: everything
	fails func(context.Context, vault.Event) error // nil: never; an event that it fails still counts as told when failed is set
	lost  bool                                     // deliveries that fail have arrived: their answers got lost

	mu     sync.Mutex
	events []vault.Event
}

func (r *recorder) Wants(e vault.Event) bool { return r.wants == nil || r.wants(e) }

func (r *recorder) Deliver(ctx context.Context, e vault.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	if r.fails != nil {
		err = r.fails(ctx, e)
	}
	if err == nil || r.lost {
		r.events = append(r.events, e)
	}
	return err
}

// take returns what it was told since the last call.
func (r *recorder) take() []vault.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

// types are the types of what it was told since the last call.
func (r *recorder) types() []vault.EventType {
	var types []vault.EventType
	for _, e := range r.take() {
		types = append(types, e.Type)
	}
	return types
}

// tellingHarness is a harness whose vault tells destinations.
func tellingHarness(t testing.TB, destinations map[string]vault.Destination, issuers map[string]provider.Provider) *harness {
	t.Helper()
	h := newHarness(t, nil)
	h.Vault = openWith(t, h.store, h.clock, func(cfg *vault.Config) {
		cfg.Destinations = destinations
		maps.Copy(cfg.Providers, issuers)
	})
	return h
}

// undelivered are all events that a vault still has.
func (h *harness) undelivered() []vault.Undelivered {
	h.t.Helper()
	list, next, err := h.Undelivered(context.Background(), vault.Page{Max: 1000})
	if err != nil || next != "" {
		h.t.Fatal(err, next)
	}
	return list
}

// typesOf are the types of events, sorted.
func typesOf(events []vault.Event) []vault.EventType {
	var types []vault.EventType
	for _, e := range events {
		types = append(types, e.Type)
	}
	slices.Sort(types)
	return types
}
