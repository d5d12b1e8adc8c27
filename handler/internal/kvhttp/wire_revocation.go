package kvhttp

import (
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/vault"
)

// revokeParams ask for a revocation.
type revokeParams struct {
	Reason *string `json:"reason"` // unspecified when it is not sent
}

// revocation is what has become of the wish to revoke a version. Times are Unix
// seconds.
type revocation struct {
	ID        string       `json:"id"`
	Reason    string       `json:"reason"`
	Status    vault.Status `json:"status"` // failed: it was given up, and may be asked for again
	Issuer    string       `json:"issuer"`
	Provider  string       `json:"provider"`
	Requested int64        `json:"requested"`
	Completed *int64       `json:"completed,omitempty"`
	Attempts  int          `json:"attempts"`
	Failures  int          `json:"failures"` // in a row
	Due       *int64       `json:"due,omitempty"`
	Answer    string       `json:"answer,omitempty"` // what went wrong last
}

// crlReason is one of RFC 5280 section 5.3.1.
type crlReason struct {
	name string
	code int
}

// crlReasons are those that are for good.
var crlReasons = []crlReason{
	{"unspecified", 0},
	{"keyCompromise", 1},
	{"cACompromise", 2},
	{"affiliationChanged", 3},
	{"superseded", 4},
	{"cessationOfOperation", 5},
	{"privilegeWithdrawn", 9},
	{"aACompromise", 10},
}

func crlReasonNames() []string {
	var names []string
	for _, r := range crlReasons {
		names = append(names, r.name)
	}
	return names
}

func (p revokeParams) reason() (int, error) {
	if p.Reason == nil {
		return 0, nil
	}
	i := slices.IndexFunc(crlReasons, func(r crlReason) bool { return r.name == *p.Reason })
	if i < 0 {
		return 0, badProperty("reason", "must be one of "+strings.Join(crlReasonNames(), ", "))
	}
	return crlReasons[i].code, nil
}

func (v view) revocation(r vault.Revocation) revocation {
	out := revocation{
		ID:        v.links.revocation(r.Name, r.Version),
		Status:    r.Status,
		Issuer:    r.Issuer,
		Provider:  r.Provider,
		Requested: r.Requested.Unix(),
		Completed: timeOrNone(r.Completed),
		Attempts:  r.Attempts,
		Failures:  r.Failures,
		Answer:    r.Answer,
	}
	if r.Status == vault.StatusInProgress {
		out.Due = timeOrNone(r.Due)
	}
	for _, known := range crlReasons {
		if known.code == r.Reason {
			out.Reason = known.name
		}
	}
	return out
}
