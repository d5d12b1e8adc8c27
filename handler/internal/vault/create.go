package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
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
		asked     = p.asked()
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
		if op := h.Operation; op != nil && op.resentBy(p.ClientRequestID, asked, now) {
			resent = h.operation()
			return errResent
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
			PreserveOrder:   p.PreserveOrder != nil && *p.PreserveOrder,
			Created:         now,
			ClientRequestID: p.ClientRequestID,
			Asked:           asked,
		}
		if !h.stored() {
			h.Name, h.Created, h.Provisional = n.text, now, v.newID()
		}
		h.setPolicy(pol)
		return v.begin(ctx, n, h, tx, op, &made)
	})
	switch {
	case errors.Is(err, errResent):
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
	h.Operation = &op
	return h.checkRoom()
}

// resentBy reports whether a request with this id, which asks for this, is the one
// that made op, sent again. Some clients send one id with many requests.
func (op *Operation) resentBy(clientRequestID string, asked []byte, now time.Time) bool {
	return clientRequestID != "" && clientRequestID == op.ClientRequestID &&
		(op.Asked == nil || bytes.Equal(op.Asked, asked)) &&
		op.Status == StatusInProgress && now.Sub(op.Created) < resendWindow
}

// asked is the SHA-256 of what p asks for.
func (p CreateParams) asked() []byte { return digest(p.ClientRequestID, "create", p) }

// digest is the SHA-256 of a request, its client's id and its kind first; nil when
// it has no id to be recognised by.
func digest(clientRequestID, kind string, request any) []byte {
	if clientRequestID == "" {
		return nil
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %s\n", clientRequestID, kind)
	if err := json.NewEncoder(hash).Encode(request); err != nil {
		panic(fmt.Sprintf("a request of %T cannot be encoded: %v", request, err)) // our own types always can
	}
	return hash.Sum(nil)
}

// resendWindow is longer than any SDK goes on retrying one request.
const resendWindow = 5 * time.Minute

// errResent ends a change because an earlier try of the same request made it.
var errResent = errors.New("the request was sent before")

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

// operationKey makes the operation's key pair, or takes the latest version's
// when the policy says so and it fits.
func (v *Vault) operationKey(ctx context.Context, n Name, h *head, p policy.Policy, made **newKey) (*newKey, error) {
	if l := h.Latest; p.Key.Reuse && l != nil && l.Key.Type == p.Key.Type && l.Key.Size == p.Key.Size && l.Key.Curve == p.Key.Curve {
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
	signer, err := v.cfg.NewKey(p.Key)
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
