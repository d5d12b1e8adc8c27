package vault

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/store"
)

// Work says what kind of work an entry of the board is about.
type Work string

// The kinds of work that a CA may leave undone.
const (
	WorkOperation  Work = "operation"  // a pending object
	WorkRelease    Work = "release"    // taking back what an ended operation left at its CA
	WorkRevocation Work = "revocation" // of a version
	WorkUnreadable Work = "unreadable" // a row with such work that cannot be read: nobody works on it
)

// BoardEntry is work at a CA as an operator sees it: how far it is, and what the
// CA said.
type BoardEntry struct {
	Work            Work
	Name            string // of the certificate
	Version         string // WorkRevocation only
	RequestID       string // of the operation; a release has that of the operation that ended; empty: WorkRevocation
	ClientRequestID string // x-ms-client-request-id of whoever began the operation
	Issuer          string
	Provider        string // lower case; empty: a person merges
	OrderID         string // the CA's name for it, where the provider knows one

	Status                Status // of work other than operations: in progress, failed when it was given up
	Manual                bool   // it waits for a person
	CancellationRequested bool
	CancellationRefused   bool
	Error                 *OperationError // of an operation that failed
	Renewal               bool            // the vault itself began it
	Answer                string          // what the CA said last, or what went wrong

	Attempts     int // claims so far
	Failures     int // in a row
	Created      time.Time
	Due          time.Time // when the next step may be taken; zero: there is none
	ClaimedUntil time.Time // a worker has it until then; zero: none has
}

// BoardFilter selects entries. Its zero value selects all.
type BoardFilter struct {
	Issuer   string        // in any case
	Status   Status        // StatusInProgress or StatusFailed
	StuckFor time.Duration // begun at least so long ago
}

func (f BoardFilter) selects(e BoardEntry, now time.Time) bool {
	switch {
	case e.Work == WorkUnreadable:
		return true // nobody knows what it is about
	case e.Status != StatusInProgress && e.Status != StatusFailed:
		return false
	case f.Status != "" && f.Status != e.Status:
		return false
	case f.Issuer != "" && !strings.EqualFold(f.Issuer, e.Issuer):
		return false
	default:
		return now.Sub(e.Created) >= f.StuckFor
	}
}

// labels are those of heads with an operation that may be selected.
func (f BoardFilter) labels() []string {
	var labels []string
	for _, label := range []string{labelCertificate, labelShell} {
		if f.Status != StatusFailed {
			labels = append(labels, label+markOpen)
		}
		if f.Status != StatusInProgress {
			labels = append(labels, label+markFailed)
		}
	}
	return labels
}

// boardRanges are where the board's rows are, in the order of their keys.
var boardRanges = []string{"c:", "r:", "w:"}

// boardReads bounds how many pages of rows one call looks through for what a
// filter selects.
const boardReads = 20

// Board lists the work at CAs that is in progress, or has failed: operations by
// the name of the certificate, then releases, then revocations. It also returns
// where the next page begins. A page may have fewer entries than asked for, or
// none, and still not be the last.
func (v *Vault) Board(ctx context.Context, p Page, f BoardFilter) ([]BoardEntry, string, error) {
	var list []BoardEntry
	now, after, reads := v.now(), p.After, 0
	for _, prefix := range boardRanges {
		r := store.Within(prefix, p.Max+1)
		if after >= r.To {
			continue
		}
		if strings.HasPrefix(after, prefix) {
			r.From = after + "!"
		}
		if prefix == "c:" {
			r.Labels = f.labels()
		}
		for more := true; more; reads++ {
			if reads == boardReads {
				return list, after, nil
			}
			rows, err := v.cfg.Store.Scan(ctx, r)
			if err != nil {
				return nil, "", unavailable(err)
			}
			for _, row := range rows {
				e, err := v.boardEntry(row)
				if bad, ok := errors.AsType[*unreadableError](err); ok {
					v.reportUnreadable(ctx, bad)
					e = unreadableEntry(bad)
				}
				if f.selects(e, now) {
					if len(list) == p.Max {
						return list, after, nil
					}
					list = append(list, e)
				}
				after = row.Key
			}
			more = len(rows) == r.Limit
			r.From = after + "!"
		}
	}
	return list, "", nil
}

// IsBoardKey reports whether key can be where a page of the board begins.
func IsBoardKey(key string) bool {
	prefix, rest, _ := strings.Cut(key, ":")
	name, version, versioned := strings.Cut(rest, ":")
	_, nameErr := ParseName(name)
	_, isVersion := ParseVersion(version)
	switch prefix {
	case "c":
		return nameErr == nil && !versioned
	case "r":
		_, isID := ParseVersion(rest)
		return isID
	case "w":
		return nameErr == nil && isVersion
	default:
		return false
	}
}

func (v *Vault) boardEntry(r store.Row) (BoardEntry, error) {
	switch r.Key[:2] {
	case "r:":
		j := new(releaseJob)
		if err := decode(r, j); err != nil {
			return BoardEntry{}, err
		}
		return v.releaseEntry(j), nil
	case "w:":
		rev := new(revocationRow)
		if err := decode(r, rev); err != nil {
			return BoardEntry{}, err
		}
		return rev.entry(), nil
	default:
		h := new(head)
		if err := decode(r, h); err != nil || h.Operation == nil {
			return BoardEntry{}, err // without an operation its label is wrong, and its entry never selected
		}
		return v.operationEntry(h), nil
	}
}

// unreadableEntry is the entry of a row that cannot be read. Its name is the row's
// key, and nobody knows when it began.
func unreadableEntry(e *unreadableError) BoardEntry {
	return BoardEntry{
		Work: WorkUnreadable, Name: e.row.Key, Status: StatusFailed, Answer: field.Cut(e.Error(), maxAnswer), Created: time.Unix(0, 0).UTC(),
	}
}

func (v *Vault) operationEntry(h *head) BoardEntry {
	op := h.Operation
	e := BoardEntry{
		Work:                  WorkOperation,
		Name:                  h.Name,
		RequestID:             op.RequestID,
		ClientRequestID:       op.ClientRequestID,
		Issuer:                op.Policy.Issuer.Name,
		Provider:              op.Provider,
		OrderID:               v.orderID(op),
		Status:                op.Status,
		Manual:                op.Manual(),
		CancellationRequested: op.CancellationRequested,
		CancellationRefused:   op.CancellationRefused,
		Error:                 op.Error,
		Renewal:               op.Renewal,
		Answer:                op.Answer,
		Attempts:              op.Claim,
		Failures:              op.Failures,
		Created:               op.Created,
		ClaimedUntil:          op.ClaimedUntil,
	}
	if op.needsAdvance() {
		e.Due = op.Due
	}
	return e
}

func (v *Vault) releaseEntry(j *releaseJob) BoardEntry {
	op := &j.Operation
	e := BoardEntry{
		Work:            WorkRelease,
		Name:            j.Name,
		RequestID:       op.RequestID,
		ClientRequestID: op.ClientRequestID,
		Issuer:          op.Policy.Issuer.Name,
		Provider:        op.Provider,
		OrderID:         v.orderID(op),
		Status:          StatusInProgress,
		Answer:          j.Answer,
		Attempts:        j.Attempts,
		Failures:        j.Failures,
		Created:         j.Began,
		Due:             j.Due,
		ClaimedUntil:    j.ClaimedUntil,
	}
	if j.GivenUp {
		e.Status, e.Due = StatusFailed, time.Time{}
	}
	return e
}

func (r *Revocation) entry() BoardEntry {
	e := BoardEntry{
		Work:     WorkRevocation,
		Name:     r.Name,
		Version:  r.Version,
		Issuer:   r.Issuer,
		Provider: r.Provider,
		Status:   r.Status,
		Answer:   r.Answer,
		Attempts: r.Attempts,
		Failures: r.Failures,
		Created:  r.Requested,
	}
	if r.Status == StatusInProgress {
		e.Due = r.Due
	}
	return e
}
