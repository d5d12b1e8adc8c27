package privateca

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// stateVersion is written into every state; another one is left alone.
const stateVersion = 1

// state is what a certificate is made of besides its CSR, saved before it is
// signed.
type state struct {
	Version   int       `json:"version"`
	Serial    []byte    `json:"serial"`    // 16 octets
	At        time.Time `json:"at"`        // its time of issuance
	Authority []byte    `json:"authority"` // subject key identifier of the CA that it is for
}

func decodeState(saved json.RawMessage) (state, error) {
	if saved == nil {
		return state{}, nil
	}
	var s state
	if err := json.Unmarshal(saved, &s); err != nil {
		return state{}, fmt.Errorf("reading the saved state: %w", err)
	}
	if s.Version != stateVersion {
		return state{}, fmt.Errorf("the saved state has version %d, of another release of this program; it reads version %d", s.Version, stateVersion)
	}
	return s, nil
}

// newState draws a serial number: positive, of 16 octets with 126 random bits.
func newState(authority []byte, at time.Time, random io.Reader) (state, error) {
	serial := make([]byte, 16)
	if _, err := io.ReadFull(random, serial); err != nil {
		return state{}, fmt.Errorf("drawing a serial number: %w", err)
	}
	serial[0] = serial[0]&0x7f | 0x40
	return state{stateVersion, serial, at.UTC().Truncate(time.Second), authority}, nil
}

func (s state) serialText() string { return hex.EncodeToString(s.Serial) }

func (s state) encode() json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic("state does not marshal: " + err.Error()) // its time comes from a clock
	}
	return b
}
