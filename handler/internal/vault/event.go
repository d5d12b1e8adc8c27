package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// Event tells of something that happened to a certificate.
type Event struct {
	ID          string    `json:"id"` // 32 hex digits that grow with time; the same in every delivery
	Type        EventType `json:"type"`
	Time        time.Time `json:"time"`                // when it happened
	Certificate string    `json:"certificate"`         // name as first written
	Version     string    `json:"version,omitempty"`   // the latest one; empty before the first
	NotBefore   time.Time `json:"notBefore,omitzero"`  // of that version
	Expires     time.Time `json:"expires,omitzero"`    // of that version
	Issuer      string    `json:"issuer"`              // name of the policy's issuer, or of the operation's
	AutoRenew   bool      `json:"autoRenew,omitempty"` // the policy has the vault renew the certificate
	Contacts    bool      `json:"contacts,omitempty"`  // the policy has the vault's contacts told (EmailContacts)
	RequestID   string    `json:"requestId,omitempty"` // of the operation; of EventOperationFailed only
	Code        string    `json:"code,omitempty"`      // of its error
	Message     string    `json:"message,omitempty"`   // of its error, in the CA's words
	Renewal     bool      `json:"renewal,omitempty"`   // it was a renewal, which the vault begins again by itself
}

// EventType is what happened.
type EventType string

// Event types. Those of Key Vault have the names, and the occasions, that Event
// Grid gives them.
//
// Event Grid page: Azure Key Vault as Event Grid source.
const (
	EventNewVersion      EventType = "Microsoft.KeyVault.CertificateNewVersionCreated"
	EventNearExpiry      EventType = "Microsoft.KeyVault.CertificateNearExpiry"
	EventExpired         EventType = "Microsoft.KeyVault.CertificateExpired"
	EventOperationFailed EventType = "Certwright.CertificateOperationFailed"
)

// EventTypes are all of them.
var EventTypes = []EventType{EventNewVersion, EventNearExpiry, EventExpired, EventOperationFailed}

// Destination is told of events. Its methods are called concurrently.
type Destination interface {
	// Wants reports whether the destination is to be told of e. It is asked
	// once, when e happens, and must not act outside.
	Wants(e Event) bool

	// Deliver tells it, until ctx ends. An event may be delivered again, with the
	// same ID, because the answer was lost or could not be saved. When Deliver
	// fails it is tried again later; a DeliveryError says more about when. The
	// text of an error is kept and logged: it must hold no secret.
	Deliver(ctx context.Context, e Event) error
}

// DeliveryError is a failed delivery that says whether, and when, another makes
// sense.
type DeliveryError struct {
	Refused bool          // the destination will never take this event
	After   time.Duration // not to be tried again before; 0: the usual schedule
	Err     error
}

func (e *DeliveryError) Error() string { return e.Err.Error() }

func (e *DeliveryError) Unwrap() error { return e.Err }

// maxDestinations keeps a transaction with an event's rows within its limit.
const maxDestinations = 8

// destinationName is the form of a destination's name: it is part of keys.
var destinationName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

func checkDestinations(ds map[string]Destination) error {
	if len(ds) > maxDestinations {
		return fmt.Errorf("%d destinations of events: must be at most %d", len(ds), maxDestinations)
	}
	for name, d := range ds {
		if !destinationName.MatchString(name) || d == nil {
			return errors.New("a destination of events needs a name of at most 32 lower-case letters, digits and inner hyphens")
		}
	}
	return nil
}

// event is an event about the certificate of h as it is now.
func (h *head) event(t EventType) Event {
	e := Event{
		Type:        t,
		Certificate: h.Name,
		Issuer:      h.Policy.Issuer.Name,
		AutoRenew:   h.Policy.HasAction(policy.ActionAutoRenew),
		Contacts:    h.Policy.HasAction(policy.ActionEmailContacts),
	}
	if l := h.Latest; l != nil {
		e.Version, e.NotBefore, e.Expires = l.ID, l.NotBefore, l.Expires
	}
	return e
}

// tell adds e to tx for each destination that wants it: it happens if the change
// in tx does, and then it cannot get lost.
func (v *Vault) tell(tx *store.Tx, e Event) {
	if len(v.cfg.Destinations) == 0 {
		return
	}
	e.Time = v.now()
	e.ID = fmt.Sprintf("%012x%s", e.Time.UnixMilli(), v.random(10))
	for _, name := range slices.Sorted(maps.Keys(v.cfg.Destinations)) {
		if v.cfg.Destinations[name].Wants(e) {
			d := &delivery{Schema: store.Schema, Event: e, Destination: name, Began: e.Time, Due: e.Time}
			addWork(tx, d.key(), d)
		}
	}
}

// tellFailed tells that the operation of h has failed.
func (v *Vault) tellFailed(tx *store.Tx, h *head) {
	op, e := h.Operation, h.event(EventOperationFailed)
	e.Issuer, e.RequestID, e.Renewal = op.Policy.Issuer.Name, op.RequestID, op.Renewal
	e.Code, e.Message = op.Error.Code, op.Error.Message
	v.tell(tx, e)
}
