package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// Operation is the pending object of a certificate: one request for one new
// version, from create to its end.
//
// REST page: Get Certificate Operation.
type Operation struct {
	Name          string            `json:"-"` // of the certificate, as first written; the head has it
	RequestID     string            `json:"requestId"`
	Policy        policy.Policy     `json:"policy"` // as it was at create; later changes concern later requests
	CSR           []byte            `json:"csr"`    // DER
	KeyID         string            `json:"keyId"`
	KeyShared     bool              `json:"keyShared,omitempty"` // a version has the same key
	Enabled       *bool             `json:"enabled,omitempty"`   // attributes of the new version
	Tags          map[string]string `json:"tags,omitzero"`
	PreserveOrder *bool             `json:"preserveOrder,omitempty"` // as it was sent
	Created       time.Time         `json:"created"`
	Updated       time.Time         `json:"updated,omitzero"` // when attributes or tags were changed; zero: never

	Ended   time.Time `json:"ended,omitzero"`    // without a certificate
	Renewal bool      `json:"renewal,omitempty"` // begun by the vault itself

	// ClientRequestID recognises a create that an SDK sends again because the
	// answer to the first was lost.
	ClientRequestID string `json:"clientRequestId,omitempty"`

	Status                Status          `json:"status"`
	CancellationRequested bool            `json:"cancellationRequested,omitempty"`
	CancellationRefused   bool            `json:"cancellationRefused,omitempty"` // by the CA
	Error                 *OperationError `json:"error,omitempty"`               // when failed

	// Provider and IssuerID pin the issuer object that the operation was
	// created with; both are empty while a person is to merge.
	Provider string `json:"provider,omitempty"`
	IssuerID string `json:"issuerId,omitempty"`

	Due          time.Time       `json:"due"`          // when the next step may be taken
	ClaimedUntil time.Time       `json:"claimedUntil"` // a worker has it until then
	Claim        int             `json:"claim"`        // counts claims; a result is saved under its own claim only
	Failures     int             `json:"failures"`     // steps in a row that failed
	FailingSince time.Time       `json:"failingSince,omitzero"`
	Answer       string          `json:"answer,omitempty"`
	State        json.RawMessage `json:"state,omitempty"`    // the provider's
	Leftover     json.RawMessage `json:"leftover,omitempty"` // state of a step whose result came too late

	// Leftovers are the states of further such steps.
	Leftovers []json.RawMessage `json:"leftovers,omitempty"`

	// Held is the chain (DER) that the CA returned and that is not valid yet.
	Held [][]byte `json:"held,omitempty"`

	OrderID string `json:"orderId,omitempty"` // the CA's name for it, once State is gone
}

// Status is an operation's state in the wire's words.
type Status string

// The four states. The diagram is in the package comment.
const (
	StatusInProgress Status = "inProgress"
	StatusCompleted  Status = "completed"
	StatusCancelled  Status = "cancelled"
	StatusFailed     Status = "failed"
)

// OperationError says why an operation failed.
type OperationError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// canBecome is the whole state machine: what is in progress may end in any way;
// a request that failed or was cancelled may still be completed by a
// certificate that was obtained elsewhere; nothing else changes.
func (s Status) canBecome(t Status) bool {
	switch s {
	case StatusInProgress:
		return t == StatusCompleted || t == StatusCancelled || t == StatusFailed
	case StatusFailed, StatusCancelled:
		return t == StatusCompleted
	default:
		return false
	}
}

// end moves op to a final state and frees it of what only its steps needed.
func (op *Operation) end(s Status, failure *OperationError) {
	if !op.Status.canBecome(s) {
		panic(fmt.Sprintf("operation %s: %s cannot become %s", op.RequestID, op.Status, s))
	}
	op.Status, op.Error = s, failure
	op.ClaimedUntil, op.FailingSince = time.Time{}, time.Time{}
	op.State, op.Leftover, op.Leftovers, op.Held = nil, nil, nil, nil
}

// leave keeps the state of a step whose result came too late, unless it is known.
// It reports whether there was room for it.
func (op *Operation) leave(state json.RawMessage) bool {
	size := len(op.Leftover) + len(state)
	for _, left := range op.Leftovers {
		size += len(left)
	}
	switch known := op.leftovers(); {
	case len(state) == 0 || slices.ContainsFunc(append(known, op.State), func(k json.RawMessage) bool { return bytes.Equal(k, state) }):
		return true
	case size > leftoverRoom:
		return false
	case op.Leftover == nil:
		op.Leftover = state
	default:
		op.Leftovers = append(slices.Clone(op.Leftovers), state)
	}
	return true
}

// leftovers are what the steps left whose results came too late.
func (op *Operation) leftovers() []json.RawMessage {
	if op.Leftover == nil {
		return nil
	}
	return append([]json.RawMessage{op.Leftover}, op.Leftovers...)
}

// endOperation ends the operation of h without a certificate. What it may have
// left at its CA is released.
func (v *Vault) endOperation(n Name, h *head, tx *store.Tx, s Status, failure *OperationError) {
	op := h.Operation
	v.releaseLater(tx, n, op)
	op.OrderID = v.orderID(op)
	op.end(s, failure)
	op.Ended = v.now()
	if op.Renewal {
		v.renewalFailed(h, op.lastWords())
	}
	if s == StatusFailed {
		v.tellFailed(tx, h)
	}
}

// lastWords say why the operation ended without a certificate.
func (op *Operation) lastWords() string {
	if op.Error != nil {
		return op.Error.Message
	}
	return "The request was cancelled."
}

// Manual reports whether a person completes the operation by a merge.
func (op *Operation) Manual() bool { return op.Provider == "" }

// StatusDetails is what Key Vault tells a person about an operation in progress,
// and goes on telling about one that has failed.
func (op *Operation) StatusDetails() string {
	switch {
	case op.Status == StatusCompleted || op.Status == StatusCancelled:
		return ""
	case op.Manual():
		return "Pending certificate created. Please Perform Merge to complete the request."
	default:
		return "Pending certificate created. Certificate request is in progress. This may take some time based on the issuer provider. Please check again later."
	}
}

// grace is how long an operation stays in progress at the least: clients cancel
// right after they create, and must win.
const grace = 2 * time.Second

// needsAdvance reports whether a tick has anything to do for the operation.
func (op *Operation) needsAdvance() bool {
	return op.Status == StatusInProgress && (!op.Manual() || op.CancellationRequested)
}

// class is that of the operation's work: what a person waits for comes before
// what the vault renews by itself.
func (op *Operation) class() int {
	if op.Renewal && !op.CancellationRequested {
		return classRenew
	}
	return classAdvance
}

// cancelPending: a cancellation was asked for and nobody has answered it yet.
func (op *Operation) cancelPending() bool {
	return op.CancellationRequested && !op.CancellationRefused
}

// matches tests a request_id that a caller gives as a filter.
func (op *Operation) matches(requestID string) bool {
	return op != nil && (requestID == "" || strings.EqualFold(requestID, op.RequestID))
}

// orderID is the CA's name for an operation, as it was at its end or as the
// provider's state tells it now.
func (v *Vault) orderID(op *Operation) string {
	namer, ok := v.cfg.Providers[op.Provider].(provider.OrderNamer)
	if !ok || op.State == nil {
		return op.OrderID
	}
	return field.Cut(namer.OrderID(op.State), maxOrderID)
}

// maxOrderID bounds a CA's name for an order, in bytes.
const maxOrderID = 512
