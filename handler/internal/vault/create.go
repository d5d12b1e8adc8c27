package vault

import (
	"context"
	"errors"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// CreateParams are what a caller asks of a new version.
type CreateParams struct {
	Policy          *policy.Params // nil: the stored policy
	Attributes      AttributeParams
	Tags            map[string]string
	PreserveOrder   *bool
	ClientRequestID string // x-ms-client-request-id
}

// AttributeParams are attributes as sent. A certificate has its validity from
// X.509, where nobody can change it: only Enabled counts.
//
// Key Vault page: About certificates, Attributes.
type AttributeParams struct {
	Enabled            *bool
	NotBefore, Expires *time.Time
}

// Create starts an operation: it makes the key pair and the CSR and leaves the
// rest to the ticks, or to a merge. The certificate's policy changes at once;
// its latest version stays what it is until the operation completes.
//
// REST page: Create Certificate.
func (v *Vault) Create(ctx context.Context, n Name, p CreateParams) (Operation, error) {
	if err := checkTags(p.Tags); err != nil {
		return Operation{}, err
	}
	now := v.now()
	var (
		pol       policy.Policy
		requestID = v.newID()
		made      *newKey // on the first run of decide that gets that far
		resent    Operation
	)
	if p.Policy != nil {
		var err error
		if pol, err = policy.New(*p.Policy, now); err != nil {
			return Operation{}, err
		}
	}
	h, err := v.change(ctx, n, func(h *head, tx *store.Tx) error {
		if v.repeats(ctx, h) && h.checkLive(n) == nil && h.Operation != nil && !h.Operation.Renewal {
			resent = h.operation()
			return errRepeated
		}
		if err := h.checkFree(n); err != nil {
			return err
		}
		switch {
		case p.Policy == nil && !h.stored():
			return field.Errorf("policy", "must be present to create the first version of a certificate")
		case p.Policy == nil:
			pol, made = h.Policy, nil // a key and CSR made on an earlier run were for another policy, maybe
		case h.stored():
			pol.Created = h.Policy.Created
			pol.Updated = later(now, h.Policy.Updated)
		}
		op := Operation{
			RequestID:       requestID,
			Policy:          pol,
			Enabled:         p.Attributes.Enabled,
			Tags:            p.Tags,
			PreserveOrder:   p.PreserveOrder,
			Created:         now,
			ClientRequestID: p.ClientRequestID,
		}
		if !h.stored() {
			h.Name, h.Created, h.Provisional = n.text, now, v.newID()
		}
		h.setPolicy(pol)
		return v.begin(ctx, n, h, tx, op, &made)
	})
	switch {
	case errors.Is(err, errRepeated):
		return resent, nil
	case err != nil:
		return Operation{}, err
	}
	return h.begun(n, requestID)
}

// begun is the operation that a change has just begun, as the head has it that was
// committed: an earlier run of the change may have been, whose key is another.
func (h *head) begun(n Name, requestID string) (Operation, error) {
	if h.Deletion != nil || !h.Operation.matches(requestID) {
		return Operation{}, &Error{Reason: ConcurrentChange, Name: n.text} // begun, and gone again
	}
	return h.operation(), nil
}

// begin puts op on h in the place of whatever operation there is: it pins the
// issuer, and makes key pair and CSR. made keeps a new key pair from one run of a
// decide to the next.
func (v *Vault) begin(ctx context.Context, n Name, h *head, tx *store.Tx, op Operation, made **newKey) error {
	pin, err := v.pinIssuer(ctx, op.Policy)
	if err != nil {
		return err
	}
	key, err := v.operationKey(ctx, n, h, op.Policy, made)
	if err != nil {
		return err
	}
	h.dropKey(tx, n)
	if !key.shared {
		tx.Add(key.row)
	}
	op.CSR, op.KeyID, op.KeyShared = key.csr, key.id, key.shared
	op.Provider, op.IssuerID = pin.provider, pin.id
	op.Status = StatusInProgress
	op.Due = op.Created.Add(grace)
	h.Operation, h.Shell = &op, shell{}
	return h.checkRoom()
}

// checkFree refuses what would take the place of something that still counts.
func (h *head) checkFree(n Name) error {
	switch {
	case h.Purging:
		return &Error{Reason: BeingDeleted, Name: n.text}
	case h.Deletion != nil:
		return &Error{Reason: DeletedButRecoverable, Name: n.text}
	case h.Restore != nil:
		return &Error{Reason: RestoreConflict, Name: n.text}
	case h.Operation != nil && h.Operation.Status == StatusInProgress:
		return &Error{Reason: OperationInProgress, Name: n.text}
	}
	return nil
}

// newKey is the key pair of an operation with its CSR.
type newKey struct {
	id     string
	shared bool // with the latest version
	csr    []byte
	row    store.Row // the sealed private key, when not shared
}

// sharesKey reports whether a policy has the next version keep the key of this one.
// A key that must not be exported stays so: a version that may be exported gets a
// key of its own.
func (ver *version) sharesKey(p policy.KeyProperties) bool {
	return p.Reuse && ver != nil && ver.Key.Type == p.Type && ver.Key.Size == p.Size && ver.Key.Curve == p.Curve &&
		(ver.Key.Exportable || !p.Exportable)
}

// operationKey makes the operation's key pair, or takes the latest version's
// when the policy says so and it fits.
func (v *Vault) operationKey(ctx context.Context, n Name, h *head, p policy.Policy, made **newKey) (*newKey, error) {
	if l := h.Latest; l.sharesKey(p.Key) {
		signer, err := v.privateKey(ctx, n, l.KeyID)
		if err != nil {
			return nil, err
		}
		csr, err := policy.NewCSR(p, signer)
		return &newKey{id: l.KeyID, shared: true, csr: csr}, asBadParameter("policy.x509_props", err)
	}
	if *made != nil {
		return *made, nil
	}
	signer, err := v.makeKey(ctx, p.Key)
	if err != nil {
		return nil, err
	}
	csr, err := policy.NewCSR(p, signer)
	if err != nil {
		// An imported certificate may have a subject that cannot be asked for.
		return nil, asBadParameter("policy.x509_props", err)
	}
	k := &newKey{id: v.newID(), csr: csr}
	if k.row, err = v.sealKey(ctx, n, k.id, signer); err != nil {
		return nil, err
	}
	*made = k
	return k, nil
}
