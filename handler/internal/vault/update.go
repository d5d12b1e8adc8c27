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
// first version will have.
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
		if p.Policy != nil {
			pol, err := h.Policy.Update(*p.Policy, v.now())
			if err != nil {
				return err
			}
			h.setPolicy(pol)
		}
		if h.Latest == nil && (id == "" || id == h.Provisional) {
			if err := v.updateShell(n, h, p); err != nil {
				return err
			}
			updated = v.latest(h)
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
		tx.Put(store.NewRow(versionKey(n, ver.ID), "", ver)) // the head is its lock
		updated = v.withPolicy(v.ofVersion(h, ver), h)
		return h.checkRoom()
	})
	return updated, err
}

// versionToUpdate finds a version; the latest is the head's own.
func (v *Vault) versionToUpdate(ctx context.Context, n Name, h *head, id string) (*version, error) {
	if h.Latest != nil && (id == "" || id == h.Latest.ID) {
		return h.Latest, nil
	}
	ver := new(version)
	_, err := v.get(ctx, versionKey(n, id), ver)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &Error{Reason: CertificateNotFound, Name: n.text + "/" + id}
	}
	return ver, err
}

// updateShell changes what the operation's version will have. Without an
// operation there will be none.
func (v *Vault) updateShell(n Name, h *head, p UpdateParams) error {
	op := h.Operation
	if op == nil {
		return &Error{Reason: CertificateNotFound, Name: n.text}
	}
	if p.Attributes.Enabled != nil {
		op.Enabled = p.Attributes.Enabled
	}
	if p.Tags != nil {
		op.Tags = p.Tags
	}
	op.Updated = later(v.now(), v.shell(h).Attributes.Updated)
	return nil
}

// UpdatePolicy replaces those groups of a certificate's policy that are sent, and
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
	return updated, err
}
