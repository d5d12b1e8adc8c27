package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/store"
)

// The row keys of the package comment.
func headKey(n Name) string               { return "c:" + n.key() }
func versionKey(n Name, id string) string { return "v:" + n.key() + ":" + id }
func keyRowKey(n Name, id string) string  { return "k:" + n.key() + ":" + id }
func markerKey(n Name) string             { return "x:" + n.key() }
func issuerKey(n Name) string             { return "i:" + n.key() }
func releaseKey(requestID string) string  { return "r:" + requestID }
func revocationKey(id string) string      { return "w:" + id }

const (
	heartbeatKey = "s:heartbeat"
	contactsKey  = "s:contacts"
)

func chainBlob(n Name, versionID string) string { return n.key() + "/" + versionID + ".pem" }

// get reads one document and its ETag; ErrNotFound when it is not there.
func (v *Vault) get(ctx context.Context, key string, doc any) (store.ETag, error) {
	r, err := v.cfg.Store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return "", store.ErrNotFound
	}
	if err != nil {
		return "", unavailable(err)
	}
	return r.ETag, store.Decode(r, doc)
}

// unavailable makes a failure of the store one of the vault.
func unavailable(err error) error {
	switch {
	case reasonOf(err) != 0:
		return err
	case errors.Is(err, store.ErrTooLarge):
		return tooLarge(err)
	case errors.Is(err, store.ErrThrottled):
		return &Error{Reason: Throttled, Err: err}
	default:
		return &Error{Reason: Unavailable, Err: err}
	}
}

// head reads the head of a name; the zero head when there is none.
func (v *Vault) head(ctx context.Context, n Name) (*head, error) {
	h := new(head)
	etag, err := v.get(ctx, headKey(n), h)
	if errors.Is(err, store.ErrNotFound) {
		return new(head), nil
	}
	h.etag = etag
	return h, err
}

// liveHead reads the head of a certificate that exists and is not deleted.
func (v *Vault) liveHead(ctx context.Context, n Name) (*head, error) {
	h, err := v.head(ctx, n)
	if err != nil {
		return nil, err
	}
	return h, h.checkLive(n)
}

func (h *head) checkLive(n Name) error {
	if !h.stored() || h.Deletion != nil || h.Restore != nil {
		return &Error{Reason: CertificateNotFound, Name: n.text}
	}
	return nil
}

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

// due is the certificate's work to do: a pure function of its head, so whoever
// writes the head knows which due rows there are and which there must be.
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

// moveDue changes the due rows of one state into those of another.
func moveDue(tx *store.Tx, old, new []due) {
	keep := make(map[string]bool)
	for _, d := range new {
		keep[d.key()] = true
	}
	for _, d := range old {
		if !keep[d.key()] {
			tx.Remove(d.key())
		}
		delete(keep, d.key())
	}
	for _, d := range new {
		if keep[d.key()] {
			tx.Add(d.row())
		}
	}
}

func parseDue(class int, r store.Row) (due, error) {
	var doc struct {
		At   time.Time
		Name string
		Kind string
	}
	if err := store.Decode(r, &doc); err != nil {
		return due{}, err
	}
	return due{class, doc.At, doc.Name, doc.Kind, r.Label}, nil
}
