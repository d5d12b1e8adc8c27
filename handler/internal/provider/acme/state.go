package acme

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
)

// stateVersion is written into every state; a newer one is left alone.
const stateVersion = 1

// state is what is remembered of an operation between steps.
type state struct {
	Version int    `json:"version"`
	Account string `json:"account,omitempty"` // URL, at the time of the order
	Order   string `json:"order,omitempty"`   // URL
	Orders  int    `json:"orders,omitempty"`  // placed so far

	// Unlinked: orders do not say any more which certificate they replace.
	Unlinked bool `json:"unlinked,omitempty"`

	// Planned is how many of the order's authorizations, sorted by URL, have
	// their proof.
	Planned int `json:"planned,omitempty"`

	// Proofs that may have been published, those of lost orders included.
	Proofs    []proof   `json:"proofs,omitempty"`
	Published time.Time `json:"published,omitzero"` // the last of them

	// Stuck is how often in a row proofs could not be withdrawn.
	Stuck int `json:"stuck,omitempty"`
}

// proof is how control of one identifier is shown.
type proof struct {
	URL   string `json:"url"`             // of the authorization, relative to the order's
	Type  string `json:"type"`            // of the challenge
	Name  string `json:"name"`            // of the TXT record; the token of http-01
	Value string `json:"value,omitempty"` // of the TXT record
	Stage stage  `json:"stage"`
}

// stage is how far a proof is. A proof that is only planned may have been
// published all the same, by a step whose result was lost.
type stage uint8

const (
	planned stage = iota
	published
	visible // the CA will see it
	sent    // the CA was asked to look
	proven
)

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
		panic("state does not marshal: " + err.Error()) // times come from a clock, the rest is strings
	}
	return b
}

// OrderID is the URL of the order that stands.
func (p *Provider) OrderID(saved json.RawMessage) string {
	s, err := decodeState(saved)
	if err != nil {
		return ""
	}
	return s.Order
}

// full reports whether the state has no room left for one more proof.
func (s *state) full() bool { return len(s.encode()) > provider.MaxState-maxProofBytes }

// maxProofBytes is at least what one proof adds, in bytes of JSON.
const maxProofBytes = 1 << 10

// loseOrder gives the order up. Its proofs stay until they are withdrawn.
func (s *state) loseOrder() {
	s.Order, s.Planned = "", 0
}

// first returns the index of the first proof at a stage, -1 when there is none.
func (s *state) first(at stage) int {
	for i := range s.Proofs {
		if s.Proofs[i].Stage == at {
			return i
		}
	}
	return -1
}

// at returns the proofs that share name and type with the one at i: the TXT
// record of an apex and of its wildcard have one name and two values.
func (s *state) at(i int) (indexes []int, values []string) {
	for j := range s.Proofs {
		if s.Proofs[j].Name == s.Proofs[i].Name && s.Proofs[j].Type == s.Proofs[i].Type {
			indexes = append(indexes, j)
			values = append(values, s.Proofs[j].Value)
		}
	}
	return indexes, values
}

// setStage sets the stage of several proofs.
func (s *state) setStage(indexes []int, to stage) {
	for _, i := range indexes {
		s.Proofs[i].Stage = to
	}
}

// relative shortens a URL on the order's host to its path.
func (s *state) relative(u string) string {
	order, err := url.Parse(s.Order)
	if err != nil {
		return u
	}
	target, err := url.Parse(u)
	if err != nil || target.Scheme != order.Scheme || target.Host != order.Host {
		return u
	}
	return target.RequestURI()
}

// absolute is the reverse of relative.
func (s *state) absolute(u string) (string, error) {
	order, err := url.Parse(s.Order)
	if err != nil {
		return "", fmt.Errorf("reading the order's URL %q: %w", s.Order, err)
	}
	target, err := order.Parse(u)
	if err != nil {
		return "", fmt.Errorf("reading the authorization's URL %q: %w", u, err)
	}
	return target.String(), nil
}
