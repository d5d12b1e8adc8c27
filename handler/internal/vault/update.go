package vault

import (
	"context"
	"errors"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// UpdateParams are what a caller changes about a version: what is nil stays.
type UpdateParams struct {
	Policy     *policy.Params // of the certificate, as by UpdatePolicy
	Attributes AttributeParams
	Tags       map[string]string // instead of all there are; empty: none
}

// UpdateVersion changes attributes and tags of one version; of the latest when
// id is empty. Of a certificate that was never completed it changes what its
// first version will have. The policy is shown where id is empty.
//
// REST page: Update Certificate.
func (v *Vault) UpdateVersion(ctx context.Context, n Name, id string, p UpdateParams) (Certificate, error) {
	if err := checkTags(p.Tags); err != nil {
		return Certificate{}, err
	}
	var updated Certificate
	_, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		err := h.checkLive(n)
		if err != nil {
			return err
		}
		if v.repeats(ctx, h) {
			var ver *version // nil: the shell was updated
			if h.Latest != nil {
				if ver, err = v.versionToUpdate(ctx, n, h, id); err != nil {
					return err
				}
			}
			updated = v.shown(h, ver, id)
			return errRepeated
		}
		if p.Policy != nil {
			pol, err := h.Policy.Update(*p.Policy, v.now())
			if err != nil {
				return err
			}
			h.setPolicy(pol)
		}
		if h.Latest == nil && (id == "" || id == h.Provisional) {
			v.updateShell(h, p)
			updated = v.shown(h, nil, id)
			return h.checkRoom()
		}
		ver, err := v.versionToUpdate(ctx, n, h, id)
		if err != nil {
			return err
		}
		if p.Attributes.Enabled != nil {
			ver.Enabled = *p.Attributes.Enabled
		}
		if p.Tags != nil {
			ver.Tags = p.Tags
		}
		ver.Updated = later(v.now(), ver.Updated)
		tx.Put(ver.row(n)) // the head is its lock
		updated = v.shown(h, ver, id)
		return h.checkRoom()
	})
	return updated, notRepeated(err)
}

// shown is a certificate after an update of ver, of its shell when ver is nil: with
// the policy unless a version was named.
func (v *Vault) shown(h *head, ver *version, id string) Certificate {
	c := v.latest(h)
	if ver != nil {
		c = v.withPolicy(v.ofVersion(h, ver), h)
	}
	if id != "" {
		c.Policy = nil
	}
	return c
}

// versionToUpdate finds a version; the latest is the head's own.
func (v *Vault) versionToUpdate(ctx context.Context, n Name, h *head, id string) (*version, error) {
	if h.Latest != nil && (id == "" || id == h.Latest.ID) {
		return h.Latest, nil
	}
	r, err := v.row(ctx, versionKey(n, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, &Error{Reason: CertificateNotFound, Name: n.text + "/" + id}
	}
	ver := new(version)
	if err == nil {
		err = decode(r, ver)
	}
	if err == nil {
		err = checkWrite(r)
	}
	return ver, err
}

// updateShell changes what the operation's version will have, and, without an
// operation, what the certificate shows.
func (v *Vault) updateShell(h *head, p UpdateParams) {
	updated := later(v.now(), v.shell(h).Attributes.Updated)
	op := h.Operation
	if op == nil {
		if h.Shell.Updated = updated; p.Tags != nil {
			h.Shell.Tags = p.Tags
		}
		return
	}
	if p.Attributes.Enabled != nil {
		op.Enabled = p.Attributes.Enabled
	}
	if p.Tags != nil {
		op.Tags = p.Tags
	}
	op.Updated = updated
}

// UpdatePolicy changes those members of a certificate's policy that are sent, and
// returns the certificate with it. It concerns the next version: an operation in
// progress keeps the policy that it began with.
//
// REST page: Update Certificate Policy.
func (v *Vault) UpdatePolicy(ctx context.Context, n Name, p policy.Params) (Certificate, error) {
	var updated Certificate
	h, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		err := h.checkLive(n)
		if err != nil {
			return err
		}
		if v.repeats(ctx, h) {
			updated = v.latest(h)
			return errRepeated
		}
		pol, err := h.Policy.Update(p, v.now())
		if err != nil {
			return err
		}
		h.setPolicy(pol)
		updated = v.latest(h)
		return h.checkRoom()
	})
	if err == nil && h.checkLive(n) == nil {
		updated = v.latest(h) // as it was committed, maybe by an earlier run
	}
	return updated, notRepeated(err)
}
