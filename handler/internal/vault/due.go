package vault

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
)

// A due row says that there is work to do, and when. Its key orders work by
// class and time.
type due struct {
	class int
	at    time.Time
	name  string // of a certificate, lower case, a request_id, NAME:VERSION, or a delivery
	kind  string
	label string // the issuer's name, so that a tick can pass over issuers; the destination's
}

// Classes of work, in the order in which a tick takes them.
const (
	classAdvance = 0
	classRenew   = 1
	classEvents  = 2
	classPurge   = 3
)

var classes = []int{classAdvance, classRenew, classEvents, classPurge}

// Kinds of work.
const (
	kindAdvance    = "advance"
	kindPurge      = "purge"
	kindRenew      = "renew"
	kindRelease    = "release"
	kindRevoke     = "revoke"
	kindNearExpiry = "nearexpiry"
	kindExpired    = "expired"
	kindDeliver    = "deliver"
	kindDiscard    = "discard"
	kindForget     = "forget"
)

func (d due) key() string {
	at := min(max(d.at.UnixMilli(), 0), lastDue)
	return fmt.Sprintf("%s%013d:%s:%s", duePrefix(d.class), at, d.name, d.kind)
}

// lastDue is the end of the times in keys, in the year 2286. A certificate may
// be valid for longer; what is due then is never read.
const lastDue = 9_999_999_999_999

func duePrefix(class int) string { return fmt.Sprintf("d:%d:", class) }

func (d due) row() store.Row {
	return store.NewRow(d.key(), d.label, struct {
		Schema int       `json:"schema"`
		At     time.Time `json:"at"`
		Name   string    `json:"name"`
		Kind   string    `json:"kind"`
	}{store.Schema, d.at, d.name, d.kind})
}

// dueRow is what a document remembers of a due row that it has.
type dueRow struct {
	Key   string `json:"key"`
	Label string `json:"label,omitempty"`
}

func (d due) asRow() dueRow { return dueRow{d.key(), d.label} }

// dueList is the due rows that a document has. It is stored in the document and
// changes in its transactions only; how due times were worked out when the rows
// were written does not matter. A document of schema 1 has no list.
type dueList struct {
	Dues []dueRow `json:"dues,omitempty"`
}

func (l *dueList) list() *dueList { return l }

// has reports whether the document has this due row, label and all.
func (l *dueList) has(r dueRow) bool { return slices.Contains(l.Dues, r) }

// due is the certificate's work to do: a pure function of its head, so whoever
// writes the head knows which due rows there must be. Which there are its list
// says.
func (h *head) due(n Name) []due {
	var ds []due
	if h.checkLive(n) == nil {
		ds = append(ds, h.expiryDue(n)...)
		ds = append(ds, h.renewalDue(n)...)
	}
	switch {
	case h.gone || !h.stored():
	case h.Deletion != nil:
		ds = append(ds, due{classPurge, h.Deletion.PurgeAt, n.key(), kindPurge, ""})
	case h.Restore != nil:
		ds = append(ds, due{classPurge, h.Restore.Until, n.key(), kindPurge, ""})
	case h.Operation != nil && h.Operation.needsAdvance():
		ds = append(ds, due{h.Operation.class(), h.Operation.Due, n.key(), kindAdvance, h.Operation.Policy.Issuer.Name})
	}
	return ds
}

// moveDue adds to tx what makes the list's due rows those that are wanted, but for
// the rows in missing, which are not there. It returns the keys of those that tx
// removes. A row that is wanted is put whatever is there: where the list does not
// know it, an older program may have left it.
func (l *dueList) moveDue(tx *store.Tx, wanted []due, missing []string) (removed []string) {
	known := l.Dues
	l.Dues = nil
	for _, d := range wanted {
		l.Dues = append(l.Dues, d.asRow())
	}
	for _, r := range known {
		kept := slices.ContainsFunc(l.Dues, func(w dueRow) bool { return w.Key == r.Key })
		if !kept && !slices.Contains(missing, r.Key) {
			tx.Remove(r.Key)
			removed = append(removed, r.Key)
		}
	}
	for _, d := range wanted {
		if !slices.Contains(known, d.asRow()) {
			tx.Put(d.row())
		}
	}
	return removed
}

// lookups bounds how many due rows are looked for after a conflict. No document has
// more.
const lookups = 4

// missing are those of the due rows that a transaction was to remove which a
// conflict says are not there, as after an operator has removed one.
func (v *Vault) missing(ctx context.Context, removed []string, err error) (keys []string) {
	conflict, ok := errors.AsType[*store.ConflictError](err)
	switch {
	case !ok:
		return nil
	case conflict.Key != "":
		if slices.Contains(removed, conflict.Key) {
			keys = append(keys, conflict.Key)
		}
		return keys
	}
	for _, key := range removed[:min(len(removed), lookups)] {
		if _, err := v.row(ctx, key); errors.Is(err, store.ErrNotFound) {
			keys = append(keys, key)
		}
	}
	return keys
}

// dueKey is the form of a due row's key.
var dueKey = regexp.MustCompile(`^d:(\d):(\d{13}):(.+):([a-z]+)$`)

// parseDue reads the key of a due row. What it says is a hint: its owner is asked
// before anything is done.
func parseDue(r store.Row) (due, error) {
	m := dueKey.FindStringSubmatch(r.Key)
	if m == nil {
		return due{}, fmt.Errorf("row %q has not the key of a due row", r.Key)
	}
	class, _ := strconv.Atoi(m[1])          // a digit
	at, _ := strconv.ParseInt(m[2], 10, 64) // digits
	return due{class, time.UnixMilli(at).UTC(), m[3], m[4], r.Label}, nil
}

// refine gives d the time in its row's document, of which the key has the whole
// milliseconds.
func (d due) refine(r store.Row) (due, error) {
	var doc struct{ At time.Time }
	err := store.Decode(r, &doc)
	if doc.At.UnixMilli() == d.at.UnixMilli() {
		d.at = doc.At
	}
	return d, err
}
