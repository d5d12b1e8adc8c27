package digicert

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// stateVersion is written into every state; another one is left alone.
const stateVersion = 1

// state is what is remembered of an operation between steps: nothing, an intent
// or an order.
type state struct {
	Version int       `json:"version"`
	Intent  *intent   `json:"intent,omitempty"`
	Order   int64     `json:"order,omitempty"` // its id at CertCentral
	Placed  time.Time `json:"placed,omitzero"` // when the id was learned
}

// intent is an order that is about to be placed, or may have been.
type intent struct {
	// Claim is the claim under which the intent was saved. The step that
	// follows under it, and no other, may send the order.
	Claim int `json:"claim"`

	// Until is the time after which the order is not sent any more.
	Until time.Time `json:"until"`

	// Sent: the order was sent, and the answer does not say whether it exists.
	Sent bool `json:"sent,omitempty"`

	// Refusal is why CertCentral refused the order, where that may be because
	// it exists.
	Refusal string `json:"refusal,omitempty"`
}

// own reports whether the intent is this worker's, and the order not sent: nobody
// else will.
func (in *intent) own(req provider.Request) bool { return in.Claim == req.Attempts && !in.Sent }

// learn remembers the operation's order.
func (s *state) learn(order int64, now time.Time) {
	s.Intent, s.Order, s.Placed = nil, order, now.UTC()
}

// lose gives the order up that the operation was thought to have. There may be
// another.
func (s *state) lose() {
	s.Intent, s.Order, s.Placed = &intent{Until: s.Placed, Sent: true}, 0, time.Time{}
}

func decodeState(saved json.RawMessage) (*state, error) {
	s := &state{Version: stateVersion}
	if saved == nil {
		return s, nil
	}
	if err := json.Unmarshal(saved, s); err != nil {
		return nil, fmt.Errorf("reading the saved state: %w", err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("the saved state has version %d, of another release of this program; it reads version %d", s.Version, stateVersion)
	}
	return s, nil
}

func (s *state) encode() json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic("state does not marshal: " + err.Error()) // times come from a clock, the rest is numbers and strings
	}
	return b
}
