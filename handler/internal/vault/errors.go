package vault

import (
	"errors"
	"fmt"

	"github.com/certwright/certwright/handler/internal/field"
)

// Reason says what a caller did wrong, or ran into. Each has one place on the
// wire (package kvhttp).
type Reason uint8

const (
	BadParameter           Reason = iota + 1 // of every field.Error; it says what
	CertificateNotFound                      // Name
	DeletedNotFound                          // Name
	OperationNotFound                        // Name; also for another request_id
	IssuerNotFound                           // Name
	DeletedButRecoverable                    // Name is soft-deleted
	BeingDeleted                             // Name is being purged
	OperationInProgress                      // create or import while Name has an operation in progress
	MergeForbidden                           // the issuer Issuer is still at work
	OperationNotInProgress                   // cancel of what has ended
	ConcurrentChange                         // others kept changing Name; nothing was changed here
	Throttled                                // storage asks for fewer requests, or too many wait for costly work here; Err says which
	Unavailable                              // storage or a key service cannot be reached; Err says why
	ContactsNotFound                         // the vault has none
	SecretNotFound                           // Name; also of a certificate that was never completed
	SecretDisabled                           // Name's version; Detail is the operation
	KeyNotFound                              // as SecretNotFound
	KeyDisabled                              // as SecretDisabled
	KeyNotYetValid                           // before the certificate's validity; Detail is the operation
	KeyExpired                               // after it
	KeyOperationForbidden                    // by the certificate's key usage; Detail is the operation
	PurgeProtected                           // the vault purges by date only
	MalformedBackup                          // Detail is what is wrong
	RestoreConflict                          // Name exists, or is being restored
	ActionRefused                            // the state of Name does not allow it; Detail is the message
	RevocationNotFound                       // Name is that of the version
	EventNotFound                            // Name is its ID and destination
)

// Error is a failure that the caller can act on.
type Error struct {
	Reason Reason
	Name   string // certificate or issuer
	Issuer string // for MergeForbidden
	Detail string // for secrets and keys: the operation; for MalformedBackup and ActionRefused: the message
	Err    error  // cause, for the log only
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s %q", reasonText[e.Reason], e.Name)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

var reasonText = map[Reason]string{
	BadParameter:           "bad parameter",
	CertificateNotFound:    "certificate not found",
	DeletedNotFound:        "deleted certificate not found",
	OperationNotFound:      "pending certificate not found",
	IssuerNotFound:         "issuer not found",
	DeletedButRecoverable:  "certificate is deleted but recoverable",
	BeingDeleted:           "certificate is being deleted",
	OperationInProgress:    "operation in progress",
	MergeForbidden:         "merge forbidden while the issuer works",
	OperationNotInProgress: "operation not in progress",
	ConcurrentChange:       "concurrent changes",
	Throttled:              "throttled",
	Unavailable:            "unavailable",
	ContactsNotFound:       "contacts not found",
	SecretNotFound:         "secret not found",
	SecretDisabled:         "secret is disabled",
	KeyNotFound:            "key not found",
	KeyDisabled:            "key is disabled",
	KeyNotYetValid:         "key is not yet valid",
	KeyExpired:             "key is expired",
	KeyOperationForbidden:  "key operation not permitted",
	PurgeProtected:         "purge protection is enabled",
	MalformedBackup:        "malformed backup",
	RestoreConflict:        "certificate exists already or is being restored",
	ActionRefused:          "action refused",
	RevocationNotFound:     "revocation not found",
	EventNotFound:          "undelivered event not found",
}

func actionRefused(n Name, format string, args ...any) *Error {
	return &Error{Reason: ActionRefused, Name: n.text, Detail: fmt.Sprintf(format, args...)}
}

// uncertain reports whether a change that failed for this reason may have been
// applied all the same, or may yet be.
func (r Reason) uncertain() bool {
	return r == ConcurrentChange || r == Throttled || r == Unavailable
}

// reasonOf is the reason of an Error, BadParameter for a field.Error and zero for
// any other error.
func reasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	if _, ok := errors.AsType[*field.Error](err); ok {
		return BadParameter
	}
	return 0
}
