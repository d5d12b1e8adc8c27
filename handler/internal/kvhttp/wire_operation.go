package kvhttp

import "github.com/certwright/certwright/handler/internal/vault"

// operation is a CertificateOperation, the pending object.
type operation struct {
	ID                    string          `json:"id"`
	Issuer                issuerParams    `json:"issuer"` // the name only
	CSR                   string          `json:"csr"`    // base64
	CancellationRequested bool            `json:"cancellation_requested"`
	Status                vault.Status    `json:"status"`
	StatusDetails         *string         `json:"status_details,omitempty"` // not when completed or cancelled
	Error                 *operationError `json:"error,omitempty"`          // always and only when failed
	Target                string          `json:"target,omitempty"`         // when completed
	PreserveOrder         *bool           `json:"preserveCertOrder,omitempty"`
	RequestID             string          `json:"request_id"`
}

type operationError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type operationUpdate struct {
	CancellationRequested *bool `json:"cancellation_requested"`
}

// cancel is whether the caller wants the operation cancelled.
func (u operationUpdate) cancel() (bool, error) {
	if u.CancellationRequested == nil {
		return false, badProperty("cancellation_requested", "must be present")
	}
	return *u.CancellationRequested, nil
}

// operation shows a pending object.
func (v view) operation(op vault.Operation) operation {
	out := operation{
		ID:                    v.links.pending(op.Name),
		Issuer:                issuerParams{Name: &op.Policy.Issuer.Name},
		CSR:                   stdBase64(op.CSR),
		CancellationRequested: op.CancellationRequested,
		Status:                op.Status,
		RequestID:             op.RequestID,
	}
	switch op.Status {
	case vault.StatusInProgress, vault.StatusFailed:
		out.StatusDetails = new(op.StatusDetails())
	case vault.StatusCompleted:
		out.Target = v.links.certificate(op.Name)
	}
	if op.Error != nil {
		out.Error = &operationError{op.Error.Code, op.Error.Message}
	}
	if v.api >= sincePreserveOrder {
		out.PreserveOrder = op.PreserveOrder
	}
	return out
}
