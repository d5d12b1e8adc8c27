package vault

import (
	"context"
	"errors"
	"time"
)

// delivery is an event on its way to one destination: a row of its own, written
// in the transaction of the change that the event tells of, and deleted once the
// destination has it. One that is given up stays as a dead letter.
type delivery struct {
	Schema      int         `json:"schema"`
	Event       Event       `json:"event"`
	Destination string      `json:"destination"`
	Began       time.Time   `json:"began"` // when it began to be tried; timeToLive counts from here
	Due         time.Time   `json:"due"`   // when it is tried next; when a dead letter is thrown away
	Attempts    int         `json:"attempts"`
	Answer      string      `json:"answer,omitempty"` // what the last attempt came to
	Dead        *deadLetter `json:"dead,omitempty"`
	dueList
}

// deadLetter says when and why a delivery was given up.
type deadLetter struct {
	At     time.Time  `json:"at"`
	Reason DeadReason `json:"reason"`
}

// DeadReason is why a delivery was given up.
type DeadReason string

// Reasons to give up.
const (
	DeadRefused DeadReason = "Refused"            // the destination will not take the event
	DeadTooOld  DeadReason = "TimeToLiveExceeded" // it could not be reached for so long
)

// retrySchedule is the pause after the first failed attempt, the second, and so
// on; the last goes for all that follow.
//
// Event Grid page: Message delivery and retry.
var retrySchedule = []time.Duration{
	10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

// Times of deliveries.
const (
	timeToLive     = 24 * time.Hour      // an event that was not delivered by then is given up
	deadLetterLife = 90 * 24 * time.Hour // a dead letter is thrown away after
)

// deliveryName is what due work calls a delivery.
func deliveryName(eventID, destination string) string { return eventID + ":" + destination }

func deliveryKey(name string) string { return "e:" + name }

func (d *delivery) name() string { return deliveryName(d.Event.ID, d.Destination) }

func (d *delivery) key() string { return deliveryKey(d.name()) }

func (d *delivery) due() []due {
	if d.Dead != nil {
		return []due{{classPurge, d.Due, d.name(), kindDiscard, ""}}
	}
	return []due{{classEvents, d.Due, d.name(), kindDeliver, d.Destination}}
}

// deliver tells a destination of an event. It reports whether the destination was
// reached, whatever it thought of the event.
func (v *Vault) deliver(ctx context.Context, name string) (reached bool, err error) {
	claimed, left, err := attempt(ctx, v, deliveryKey(name),
		func(d *delivery) (*delivery, error) {
			if d == nil || d.Dead != nil || v.now().Before(d.Due) {
				return nil, errLost
			}
			return d, nil
		},
		func(d *delivery) error { return v.send(ctx, d) },
		func(d *delivery, failure error) *delivery {
			if failure == nil {
				return nil
			}
			v.failed(d, failure)
			return d
		})
	if err != nil {
		return false, err
	}
	log := v.cfg.Log.With("event", claimed.Event.ID, "type", string(claimed.Event.Type), "certificate", claimed.Event.Certificate,
		"destination", claimed.Destination, "attempts", claimed.Attempts)
	switch {
	case left == nil:
		log.InfoContext(ctx, "event delivered")
	case left.Dead != nil:
		log.ErrorContext(ctx, "event given up", "reason", string(left.Dead.Reason), "answer", left.Answer)
	default:
		log.WarnContext(ctx, "event not delivered", "again", left.Due, "answer", left.Answer)
	}
	return left == nil || left.Dead != nil && left.Dead.Reason == DeadRefused, nil
}

func (d *delivery) claim(until time.Time) {
	d.Due = until
	d.Attempts++
}

// claimed does not hold when another worker or an operator has taken it.
func (d *delivery) claimed(until time.Time) bool { return d.Dead == nil && d.Due.Equal(until) }

// send is one attempt. Whatever goes wrong in there concerns no other delivery.
func (v *Vault) send(ctx context.Context, d *delivery) (err error) {
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	defer v.recovered(ctx, "destination", d.Destination, &err)
	destination := v.cfg.Destinations[d.Destination]
	if destination == nil {
		return errors.New("the settings have no destination of this name")
	}
	return destination.Deliver(ctx, d.Event)
}

// failed decides what follows from a failed attempt.
func (v *Vault) failed(d *delivery, failure error) {
	now := v.now()
	d.Answer = words(failure.Error())
	var says DeliveryError
	if e, ok := errors.AsType[*DeliveryError](failure); ok {
		says = *e
	}
	end := d.Began.Add(timeToLive)
	switch {
	case says.Refused:
		d.die(now, DeadRefused)
	case !now.Before(end):
		d.die(now, DeadTooOld)
	default:
		pause := v.jitter(retrySchedule[min(d.Attempts, len(retrySchedule))-1])
		d.Due = now.Add(max(pause, says.After))
		if end.Before(d.Due) {
			d.Due = end // the last attempt
		}
		d.Due = sensible(d.Due, now)
	}
}

func (d *delivery) die(now time.Time, reason DeadReason) {
	d.Dead = &deadLetter{now, reason}
	d.Due = now.Add(deadLetterLife)
}

// discard throws a dead letter away that is too old.
func (v *Vault) discard(ctx context.Context, name string) error {
	_, err := v.changeDelivery(ctx, name, func(d *delivery) (*delivery, error) {
		if d == nil || d.Dead == nil || v.now().Before(d.Due) {
			return nil, errLost
		}
		return nil, nil
	})
	return err
}

// changeDelivery changes the row of a delivery.
func (v *Vault) changeDelivery(ctx context.Context, name string, decide func(*delivery) (*delivery, error)) (*delivery, error) {
	return changeRow(ctx, v, deliveryKey(name), decide)
}
