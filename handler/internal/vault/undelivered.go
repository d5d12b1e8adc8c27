package vault

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/store"
)

// Undelivered is an event that a destination does not have yet, or will not get.
type Undelivered struct {
	Event       Event
	Destination string
	Attempts    int
	Answer      string     // what the last attempt came to; empty before the first
	Next        time.Time  // when it is tried again; zero when it was given up
	GivenUp     time.Time  // zero while it is tried
	Reason      DeadReason // why it was given up; empty while it is tried
}

// Undelivered lists the events that are on their way and those that were given
// up, the oldest first, and where the next page begins.
func (v *Vault) Undelivered(ctx context.Context, p Page) ([]Undelivered, string, error) {
	if p.After != "" && !IsDelivery(p.After) {
		return nil, "", field.Errorf("", "%q: is not where a page of undelivered events begins", p.After)
	}
	rows, next, err := v.page(ctx, deliveryKey(""), p, nil)
	if err != nil {
		return nil, "", err
	}
	var list []Undelivered
	for _, r := range rows {
		d := new(delivery)
		if err := decode(r, d); err != nil {
			v.reportUnreadable(ctx, &unreadableError{r, err})
			list = append(list, unreadableEvent(r))
			continue
		}
		list = append(list, d.undelivered())
	}
	return list, next, nil
}

// unreadableEvent is the entry of an event whose row cannot be read: nobody delivers
// it. What it says is in the row's key.
func unreadableEvent(r store.Row) Undelivered {
	id, destination, _ := strings.Cut(strings.TrimPrefix(r.Key, deliveryKey("")), ":")
	u := Undelivered{Event: Event{ID: id}, Destination: destination, Answer: "The row cannot be read."}
	if ms, err := strconv.ParseInt(id[:min(len(id), 12)], 16, 64); err == nil {
		u.Event.Time = time.UnixMilli(ms).UTC()
	}
	return u
}

func (d *delivery) undelivered() Undelivered {
	u := Undelivered{Event: d.Event, Destination: d.Destination, Attempts: d.Attempts, Answer: d.Answer}
	if d.Dead != nil {
		u.GivenUp, u.Reason = d.Dead.At, d.Dead.Reason
	} else {
		u.Next = d.Due
	}
	return u
}

// Delivery is an event on its way to one destination.
type Delivery struct {
	EventID     string // 32 hex digits
	Destination string // name
}

// String is the name of the delivery: the event's ID, a colon and the destination.
func (d Delivery) String() string { return deliveryName(d.EventID, d.Destination) }

// RetryEvent has the next tick deliver an event that was given up, or that waits
// for its next attempt, and go on trying for as long as at first.
func (v *Vault) RetryEvent(ctx context.Context, which Delivery) (Undelivered, error) {
	name := which.String()
	if !IsDelivery(name) {
		return Undelivered{}, &Error{Reason: EventNotFound, Name: field.Cut(name, 128)}
	}
	d, err := v.changeDelivery(ctx, name, func(d *delivery) (*delivery, error) {
		if d == nil {
			return nil, &Error{Reason: EventNotFound, Name: name}
		}
		now := v.now()
		d.Began, d.Due, d.Attempts, d.Dead = now, now, 0, nil
		return d, nil
	})
	if err != nil {
		return Undelivered{}, err
	}
	return d.undelivered(), nil
}

// IsDelivery reports whether a delivery could be called so: its event's ID, a colon
// and its destination. So are the keys of Undelivered's pages.
func IsDelivery(name string) bool {
	id, destination, _ := strings.Cut(name, ":")
	return eventID.MatchString(id) && destinationName.MatchString(destination)
}

// eventID is the form of an event's ID.
var eventID = regexp.MustCompile(`^[0-9a-f]{32}$`)
