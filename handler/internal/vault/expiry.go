package vault

import (
	"context"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// told is which events about the end of a version's validity have happened.
type told struct {
	Version    string `json:"version"`
	NearExpiry bool   `json:"nearExpiry,omitempty"`
	Expired    bool   `json:"expired,omitempty"`
}

// watch begins to watch a latest version that is new or restored, or that a program
// wrote which knew of no events or renewals.
func (v *Vault) watch(h *head) {
	l := h.Latest
	if l == nil {
		return
	}
	if h.Told.Version != l.ID {
		h.Told = told{Version: l.ID}
	}
	if h.Renewal.Version != l.ID {
		h.Renewal = renewal{Version: l.ID, Ask: v.firstAsk(l)}
	}
}

// expiryDue are the events about the latest version that are still to come, also
// of a disabled version: it expires like any other. There is none while the
// certificate is deleted, and recover brings them back.
func (h *head) expiryDue(n Name) []due {
	l := h.Latest
	if l == nil || h.Told.Version != l.ID {
		return nil
	}
	var ds []due
	if !h.Told.NearExpiry {
		ds = append(ds, due{classEvents, nearExpiry(h.Policy, l), n.key(), kindNearExpiry, ""})
	}
	if !h.Told.Expired {
		ds = append(ds, due{classEvents, l.Expires, n.key(), kindExpired, ""})
	}
	return ds
}

// nearExpiry is when people are to hear that a version expires: when the policy
// wants them told, or 30 days before as Key Vault does, but not in the first two
// thirds of a short life.
//
// Event Grid page: Azure Key Vault as Event Grid source.
func nearExpiry(p policy.Policy, ver *version) time.Time {
	const notice = 30 * 24 * time.Hour
	if a, ok := p.Action(policy.ActionEmailContacts); ok {
		return ver.when(a)
	}
	at := ver.Expires.Add(-notice)
	if earliest := partOfLife(ver, 2, 3); at.Before(earliest) {
		at = earliest
	}
	return at
}

// tellExpiry does a piece of work of expiryDue.
func (v *Vault) tellExpiry(ctx context.Context, n Name, kind string) error {
	_, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		now := v.now()
		if h.checkLive(n) != nil || !h.isDue(n, kind, now) {
			return errLost
		}
		switch kind {
		case kindNearExpiry:
			h.Told.NearExpiry = true
			if now.Before(h.Latest.Expires) { // else the other event says more
				v.tell(tx, h.event(EventNearExpiry))
			}
		case kindExpired:
			h.Told.Expired = true
			v.tell(tx, h.event(EventExpired))
		}
		return nil
	})
	return err
}

// isDue reports whether h has work of this kind at a time.
func (h *head) isDue(n Name, kind string, now time.Time) bool {
	for _, d := range h.due(n) {
		if d.kind == kind {
			return !now.Before(d.at)
		}
	}
	return false
}
