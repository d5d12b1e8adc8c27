package kvhttp

import "github.com/certwright/certwright/handler/internal/vault"

// undelivered is an event on its way to one destination. Times are Unix seconds.
type undelivered struct {
	ID          string          `json:"id"`       // of the delivery; add /retry
	EventID     string          `json:"event_id"` // as the destination gets it
	Type        vault.EventType `json:"type"`
	Time        int64           `json:"time"`        // when it happened
	Certificate string          `json:"certificate"` // name
	Version     string          `json:"version,omitempty"`
	Destination string          `json:"destination"`

	Attempts int              `json:"attempts"`
	Answer   string           `json:"answer,omitempty"`   // what the last attempt came to
	Due      *int64           `json:"due,omitempty"`      // not when it was given up
	GivenUp  *int64           `json:"given_up,omitempty"` // a dead letter
	Reason   vault.DeadReason `json:"reason,omitempty"`   // why it was given up
}

func (v view) undelivered(u vault.Undelivered) undelivered {
	return undelivered{
		ID:          string(v.links) + "/events/" + u.Event.ID + "/" + u.Destination,
		EventID:     u.Event.ID,
		Type:        u.Event.Type,
		Time:        u.Event.Time.Unix(),
		Certificate: u.Event.Certificate,
		Version:     u.Event.Version,
		Destination: u.Destination,
		Attempts:    u.Attempts,
		Answer:      u.Answer,
		Due:         timeOrNone(u.Next),
		GivenUp:     timeOrNone(u.GivenUp),
		Reason:      u.Reason,
	}
}
