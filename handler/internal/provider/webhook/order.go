package webhook

import "encoding/json"

// stateVersion is written into every state; one of another version is not read.
const stateVersion = 1

// state is what is remembered of a request.
type state struct {
	Version    int    `json:"version"`
	ExternalID string `json:"externalId"` // the CA's own name of it
}

// noteOrder is the state after a reply: the last name that the CA gave.
func (r reply) noteOrder(saved json.RawMessage) json.RawMessage {
	a, err := parseAnswer(r.body)
	if r.status < 200 || r.status >= 300 || err != nil || a.ExternalID == "" {
		return saved
	}
	next, err := json.Marshal(state{stateVersion, clean(a.ExternalID)})
	if err != nil {
		return saved
	}
	return next
}

// OrderID is the externalId of the CA's answers.
func (p *Provider) OrderID(saved json.RawMessage) string {
	var s state
	if json.Unmarshal(saved, &s) != nil || s.Version != stateVersion {
		return ""
	}
	return s.ExternalID
}
