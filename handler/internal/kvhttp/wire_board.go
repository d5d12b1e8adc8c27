package kvhttp

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

// boardEntry is one line of the operations board. Times are Unix seconds.
type boardEntry struct {
	ID              string     `json:"id"`
	Work            vault.Work `json:"work"`
	Certificate     string     `json:"certificate"`                 // name
	Version         string     `json:"version,omitempty"`           // of a revocation
	RequestID       string     `json:"request_id,omitempty"`        // not of a revocation
	ClientRequestID string     `json:"client_request_id,omitempty"` // of the create, if it sent one
	Issuer          string     `json:"issuer"`
	Provider        string     `json:"provider,omitempty"` // none: a person merges
	OrderID         string     `json:"order_id,omitempty"` // the CA's name for it

	Status                vault.Status    `json:"status"`
	Renewal               bool            `json:"renewal"` // the vault itself began it
	WaitsForMerge         bool            `json:"waits_for_merge"`
	CancellationRequested bool            `json:"cancellation_requested"`
	CancellationRefused   bool            `json:"cancellation_refused"`
	Answer                string          `json:"answer,omitempty"` // what the CA said last, or what went wrong
	Error                 *operationError `json:"error,omitempty"`  // of an operation that failed

	Attempts     int    `json:"attempts"` // how often a worker has taken it up
	Failures     int    `json:"failures"` // in a row
	Created      int64  `json:"created"`
	Due          *int64 `json:"due,omitempty"`           // not when there is nothing to do
	ClaimedUntil *int64 `json:"claimed_until,omitempty"` // while a worker has it
}

// board is a page of the operations board.
type board struct {
	Value      []boardEntry `json:"value"`
	NextLink   *string      `json:"nextLink"`             // null on the last page
	Incomplete string       `json:"incomplete,omitempty"` // why entries may be missing, on this page or another
}

func (v view) boardEntry(e vault.BoardEntry) boardEntry {
	out := boardEntry{
		ID:                    v.links.work(e),
		Work:                  e.Work,
		Certificate:           e.Name,
		Version:               e.Version,
		RequestID:             e.RequestID,
		ClientRequestID:       e.ClientRequestID,
		Issuer:                e.Issuer,
		Provider:              e.Provider,
		OrderID:               e.OrderID,
		Status:                e.Status,
		Renewal:               e.Renewal,
		WaitsForMerge:         e.Manual && e.Status == vault.StatusInProgress,
		CancellationRequested: e.CancellationRequested,
		CancellationRefused:   e.CancellationRefused,
		Answer:                e.Answer,
		Attempts:              e.Attempts,
		Failures:              e.Failures,
		Created:               e.Created.Unix(),
		Due:                   timeOrNone(e.Due),
		ClaimedUntil:          timeOrNone(e.ClaimedUntil),
	}
	if e.Error != nil {
		out.Error = &operationError{e.Error.Code, e.Error.Message}
	}
	return out
}

// boardFilter reads which entries are asked for.
func boardFilter(query url.Values) (vault.BoardFilter, error) {
	f := vault.BoardFilter{Issuer: query.Get("issuer"), Status: vault.Status(query.Get("status"))}
	switch f.Status {
	case "", vault.StatusInProgress, vault.StatusFailed:
	default:
		return f, badRequest("The status query parameter must be %s or %s.", vault.StatusInProgress, vault.StatusFailed)
	}
	if s := query.Get("stuckFor"); s != "" {
		d, ok := parseDuration(s)
		if !ok {
			return f, badRequest("The stuckFor query parameter must be a duration in ISO 8601, such as PT30M or P2D, of at most 100 years.")
		}
		f.StuckFor = d
	}
	return f, nil
}

var isoDuration = regexp.MustCompile(`^P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?$`)

// maxDuration bounds durations in queries.
const maxDuration = 100 * 365 * 24 * time.Hour

// parseDuration reads a duration in ISO 8601 of weeks, days, hours, minutes and
// seconds; months and years have no length of their own.
func parseDuration(s string) (time.Duration, bool) {
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || strings.HasSuffix(s, "P") || strings.HasSuffix(s, "T") {
		return 0, false
	}
	var seconds int64
	for i, unit := range []int64{7 * 24 * 3600, 24 * 3600, 3600, 60, 1} {
		if m[i+1] != "" {
			n, err := strconv.ParseInt(m[i+1], 10, 64)
			if err != nil {
				return 0, false
			}
			seconds += n * unit
		}
	}
	return time.Duration(seconds) * time.Second, seconds <= int64(maxDuration/time.Second)
}

// issuerState is whether work goes on at an issuer.
type issuerState struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
	Enabled  bool   `json:"enabled"`
	Pause    *pause `json:"pause,omitempty"`
}

type pause struct {
	Since  int64  `json:"since"`
	Until  *int64 `json:"until,omitempty"` // none: until it is resumed
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
	Opens  int    `json:"opens,omitempty"` // by the breaker: how often in a row
}

type pauseParams struct {
	Until  *int64  `json:"until"`
	Reason *string `json:"reason"`
}

// params are the end of the pause, the zero time for none, and why it is made.
func (p pauseParams) params() (until time.Time, reason string, err error) {
	if p.Reason != nil {
		reason = *p.Reason
	}
	end, err := timeParam("until", p.Until)
	if end != nil {
		until = *end
	}
	return until, reason, err
}

func (v view) issuerState(o vault.IssuerState) issuerState {
	out := issuerState{ID: v.links.issuer(o.Name), Provider: o.Provider, Enabled: o.Enabled}
	if p := o.Pause; p != nil {
		out.Pause = &pause{Since: p.Since.Unix(), Until: timeOrNone(p.Until), By: p.By, Reason: p.Reason, Opens: p.Opens}
	}
	return out
}
