package kvhttp

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// failure is an answer that is not a success. On the wire it is Key Vault's
// envelope {"error":{"code","message","innererror":{"code"}}}.
type failure struct {
	status  int
	code    string
	inner   string // innererror.code, where it says more than code
	message string
	header  http.Header
	cause   error // for the log, never for the client
}

func (f *failure) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.code, f.message) }

func (f *failure) Unwrap() error { return f.cause }

type envelope struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Code    string      `json:"code"`
	Message string      `json:"message"`
	Inner   *innerError `json:"innererror,omitempty"`
}

type innerError struct {
	Code string `json:"code"`
}

// maxMessage bounds a message in bytes.
const maxMessage = 2 << 10

// text is the message, cut: it may repeat what the client sent.
func (f *failure) text() string {
	return strings.ToValidUTF8(f.message[:min(len(f.message), maxMessage)], "\uFFFD")
}

func (f *failure) reply() reply {
	body := errorBody{Code: f.code, Message: f.text()}
	if f.inner != "" {
		body.Inner = &innerError{f.inner}
	}
	rep := newReply(f.status, envelope{body})
	maps.Copy(rep.header, f.header)
	return rep
}

// Refusals of this package's own.

func badRequest(format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, code: "BadParameter", message: fmt.Sprintf(format, args...)}
}

// badProperty refuses a field of a body, by its path on the wire.
func badProperty(field, detail string) *failure {
	return badRequest("Property %s has invalid value: %s", field, detail)
}

func badField(e *field.Error) *failure {
	f := badRequest("%s", e.Detail)
	if e.Field != "" {
		f = badProperty(e.Field, e.Detail)
	}
	f.cause = e.Err
	return f
}

var errUnknownPath = &failure{
	status:  http.StatusNotFound,
	code:    "NotFound",
	message: "The requested resource was not found.",
}

func methodNotAllowed(method string, allow []string) *failure {
	return &failure{
		status:  http.StatusMethodNotAllowed,
		code:    "MethodNotAllowed",
		message: "HTTP " + method + " not allowed",
		header:  http.Header{"Allow": {strings.Join(allow, ", ")}},
	}
}

func tooLarge(limit int64) *failure {
	return &failure{
		status:  http.StatusRequestEntityTooLarge,
		code:    "RequestEntityTooLarge",
		message: fmt.Sprintf("The request body is larger than %d bytes.", limit),
	}
}

func internalError(cause error) *failure {
	return &failure{
		status:  http.StatusInternalServerError,
		code:    "InternalServerError",
		message: "An internal error occurred. Use the x-ms-request-id of this answer to find it in the log.",
		cause:   cause,
	}
}

// panicked makes a route's panic a failure whose cause says where it was.
func panicked(p any) *failure {
	return internalError(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}

func unavailable(cause error) *failure {
	message := "The service is temporarily unavailable. Please retry the request."
	if e, ok := errors.AsType[*store.NotReadyError](cause); ok {
		message = e.Advice
	}
	return &failure{
		status:  http.StatusServiceUnavailable,
		code:    "ServiceUnavailable",
		message: message,
		header:  http.Header{"Retry-After": {"2"}},
		cause:   cause,
	}
}

// managed refuses to change what a certificate has brought with it.
func (b backing) managed(operation string) *failure {
	return &failure{
		status: http.StatusForbidden,
		code:   "Forbidden",
		inner:  b.title + "ManagedByKeyVault",
		message: fmt.Sprintf("Operation %q is not allowed on this %s, since it is associated with a certificate. Perform the operation on the corresponding certificate. "+
			"For more information refer to https://docs.microsoft.com/en-us/azure/key-vault/certificates/about-certificates#composition-of-a-certificate", operation, b.noun),
	}
}

// unmanaged refuses to make what no certificate has brought with it.
func (b backing) unmanaged(operation string) *failure {
	return &failure{
		status:  http.StatusForbidden,
		code:    "Forbidden",
		message: fmt.Sprintf("Operation %q is not allowed, since this vault has only the %ss of its certificates. Create or import a certificate instead.", operation, b.noun),
	}
}

func (b backing) deletedNotFound(name vault.Name) *failure {
	return &failure{
		status:  http.StatusNotFound,
		code:    b.title + "NotFound",
		message: "Deleted " + b.title + " not found: " + name.String(),
	}
}

const certificateNotFound = "A certificate with (name/id) %s was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"

// refusals is where the vault's reasons become HTTP: status, code, inner code
// and the live service's message. {name} and {issuer} stand for the error's,
// {detail} for its detail, {doing} and {object} for what the route does.
var refusals = map[vault.Reason]failure{
	vault.CertificateNotFound: {
		status: http.StatusNotFound, code: "CertificateNotFound",
		message: fmt.Sprintf(certificateNotFound, "{name}"),
	},
	vault.DeletedNotFound: {
		status: http.StatusNotFound, code: "CertificateNotFound",
		message: "Deleted Certificate not found: {name}",
	},
	vault.OperationNotFound: {
		status: http.StatusNotFound, code: "PendingCertificateNotFound",
		message: "Pending certificate not found: {name}",
	},
	vault.IssuerNotFound: {
		status: http.StatusNotFound, code: "CertificateIssuerNotFound",
		message: "Issuer not found",
	},
	vault.SecretNotFound: {
		status: http.StatusNotFound, code: "SecretNotFound",
		message: "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
	},
	vault.KeyNotFound: {
		status: http.StatusNotFound, code: "KeyNotFound",
		message: "A key with (name/id) {name} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
	},
	vault.SecretDisabled: {
		status: http.StatusForbidden, code: "Forbidden", inner: "SecretDisabled",
		message: "Operation {detail} is not allowed on a disabled secret.",
	},
	vault.KeyDisabled: {
		status: http.StatusForbidden, code: "Forbidden", inner: "KeyDisabled",
		message: "Operation {detail} is not allowed on a disabled key.",
	},
	vault.KeyNotYetValid: {
		status: http.StatusForbidden, code: "Forbidden", inner: "KeyNotYetValid",
		message: "Operation {detail} is not allowed on a key that is not yet valid.",
	},
	vault.KeyExpired: {
		status: http.StatusForbidden, code: "Forbidden", inner: "KeyExpired",
		message: "Operation {detail} is not allowed on an expired key.",
	},
	vault.KeyOperationForbidden: {
		status: http.StatusForbidden, code: "Forbidden", inner: "KeyOperationForbidden",
		message: "Operation {detail} is not permitted on this key.",
	},
	vault.PurgeProtected: {
		status: http.StatusForbidden, code: "Forbidden",
		message: "Operation \"purge\" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.",
	},
	vault.MalformedBackup: {
		status: http.StatusBadRequest, code: "Malformed backup blob",
		message: "{detail}",
	},
	vault.RestoreConflict: {
		status: http.StatusConflict, code: "Conflict",
		message: "There was a conflict restoring the certificate '{name}'. This can happen if either: a second certificate with the same name was created after the first certificate was deleted; thus trying to restore a certificate whose name is already in use. To fix this, rename the second certificate to something else so that the restore works. The second probable cause of this exception is when multiple operations are performed in parallel against the certificate. To avoid this error, perform operations against a certificate in a sequential manner.",
	},
	vault.ContactsNotFound: {
		status: http.StatusNotFound, code: "ContactsNotFound",
		message: "Contacts not found",
	},
	vault.EventNotFound: {
		status: http.StatusNotFound, code: "EventNotFound",
		message: "There is no undelivered event {name}",
	},
	vault.DeletedButRecoverable: {
		status: http.StatusConflict, code: "Conflict", inner: "ObjectIsDeletedButRecoverable",
		message: "Certificate {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the certificate can only be recovered or purged.",
	},
	vault.BeingDeleted: {
		status: http.StatusConflict, code: "Conflict", inner: "ObjectIsBeingDeleted",
		message: "Certificate {name} is currently being deleted and cannot be re-created; retry later.",
	},
	vault.OperationInProgress: {
		status: http.StatusConflict, code: "Forbidden",
		message: "A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress.",
	},
	vault.MergeForbidden: {
		status: http.StatusForbidden, code: "Forbidden",
		message: "Merge is forbidden on pending object created with issuer : {issuer} while it is in progess.", // sic
	},
	vault.OperationNotInProgress: {
		status: http.StatusForbidden, code: "Forbidden",
		message: "Pending status must be in progress to allow update.",
	},
	vault.ActionRefused: {
		status: http.StatusConflict, code: "Conflict",
		message: "{detail}",
	},
	vault.RevocationNotFound: {
		status: http.StatusNotFound, code: "RevocationNotFound",
		message: "Revocation not found: {name}",
	},
	vault.ConcurrentChange: {
		status: http.StatusConflict, code: "Conflict",
		message: "There was a conflict while {doing} the {object} '{name}'. This can happen when multiple operations are performed in parallel against the {object}. To avoid this error, perform operations against the {object} in a sequential manner.",
	},
	vault.Throttled: {
		status: http.StatusTooManyRequests, code: "Throttled",
		message: "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
		header:  http.Header{"Retry-After": {"5"}},
	},
}

// reword gives a refusal for this reason another message.
func reword(err error, reason vault.Reason, format string, args ...any) error {
	e, ok := errors.AsType[*vault.Error](err)
	if !ok || e.Reason != reason {
		return err
	}
	f := refusals[reason]
	f.message, f.cause = fmt.Sprintf(format, args...), e.Err
	return &f
}

// asFailure is how err is answered on a route with these words for a conflict. What
// nobody foresaw is answered in general terms; its text goes to the log.
func asFailure(err error, words conflict) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*field.Error](err); ok {
		return badField(e)
	}
	e, ok := errors.AsType[*vault.Error](err)
	switch {
	case !ok:
		return internalError(err)
	case e.Reason == vault.Unavailable:
		return unavailable(err)
	}
	known, ok := refusals[e.Reason]
	if !ok {
		return internalError(err)
	}
	known.message = strings.NewReplacer("{name}", e.Name, "{issuer}", e.Issuer, "{detail}", e.Detail, "{doing}", words.doing, "{object}", words.object).Replace(known.message)
	known.cause = e.Err
	return &known
}
