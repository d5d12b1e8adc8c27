package provider

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
)

// Provider takes certificate requests to one kind of CA.
//
// A step makes at most one effective change at the CA and returns at once; it
// never sleeps and stops when ctx ends. It looks at the remote object before it
// acts, because it may be run again with an older state (the process was killed
// before the new state was saved), in another process, and, after a lost
// lease, by two workers. Whatever it must not lose it returns as state before
// the effect that needs it. State is the provider's own JSON, nil at first, at
// most MaxState bytes.
type Provider interface {
	// Step takes a request one step further. It returns the state to keep, also
	// when the step failed, and what it led to.
	Step(ctx context.Context, req Request, state json.RawMessage) (json.RawMessage, Outcome)
}

// Canceler is a Provider whose CA is asked before an operation ends as
// cancelled. Without it a cancellation always succeeds.
type Canceler interface {
	// Cancel reports whether the CA gave the request up. If not, the operation
	// goes on.
	Cancel(ctx context.Context, req Request, state json.RawMessage) (json.RawMessage, bool, error)
}

// Releaser is a Provider that leaves something at its CA, or in DNS, which must
// be taken back after an operation was deleted, cancelled or failed.
type Releaser interface {
	// Release takes it back. It is repeated until it returns nil.
	Release(ctx context.Context, req Request, state json.RawMessage) error
}

// IssuerChecker is a Provider that does not work with every issuer object.
type IssuerChecker interface {
	// CheckIssuer refuses an issuer object that lacks what the provider needs. The
	// error is a *field.Error.
	CheckIssuer(Issuer) error
}

// PolicyChecker is a Provider that can tell beforehand what its CA cannot do.
type PolicyChecker interface {
	// CheckPolicy refuses a policy that the CA cannot honour. The error is a
	// *field.Error.
	CheckPolicy(Issuer, policy.Policy) error
}

// Revoker is a Provider whose CA revokes certificates.
type Revoker interface {
	// Revoke revokes a certificate that this issuer object obtained. reason is a
	// CRLReason (RFC 5280 section 5.3.1). A certificate that is revoked already is
	// not an error. Where the CA does not revoke, the error wraps
	// errors.ErrUnsupported.
	Revoke(ctx context.Context, issuer Issuer, certificate *x509.Certificate, reason int) error
}

// RenewalAdviser is a Provider whose CA suggests when to renew a certificate.
type RenewalAdviser interface {
	// RenewalInfo asks for advice on a certificate that this issuer object
	// obtained. Where the CA gives none, the error wraps errors.ErrUnsupported.
	RenewalInfo(ctx context.Context, issuer Issuer, certificate *x509.Certificate) (RenewalInfo, error)
}

// RenewalInfo is when a CA wants a certificate to be renewed. RFC 9773 section
// 4.2.
type RenewalInfo struct {
	Start, End  time.Time     // the window; End is after Start
	Explanation string        // URL of a page for people, may be empty
	Again       time.Duration // when the CA wants to be asked again; zero: it does not say
}

// AccountReplacer is a Provider that has an account of its own making at its CA.
type AccountReplacer interface {
	// ReplaceAccount has the issuer object's next step make another account. What
	// the old one has ordered is lost, and ordered anew.
	ReplaceAccount(ctx context.Context, issuer Issuer) error
}

// OrderNamer is a Provider whose state tells what its CA calls a request.
type OrderNamer interface {
	// OrderID is the CA's name for the request, for people: a number, a URL.
	// Empty: there is none yet.
	OrderID(state json.RawMessage) string
}

// Instant is a Provider that may be quick enough for a client's poll to run a
// step of it.
type Instant interface {
	// Instant reports whether a step needs no network besides the vault's storage.
	// The answer does not change.
	Instant() bool
}

// MaxState bounds a provider's saved state in bytes of JSON.
const MaxState = 24 << 10

// Request is one operation as its provider sees it.
type Request struct {
	ID           string        // request_id
	Certificate  string        // name
	CSR          []byte        // DER, signed by the certificate's key
	Policy       policy.Policy // as it was when the operation was created
	Created      time.Time
	Attempts     int  // claims so far, this one included
	Cancellation bool // was asked for
	Issuer       Issuer

	// Predecessor is the leaf (DER) of the version that this one follows, where
	// the same issuer object obtained it; else nil.
	Predecessor []byte

	// Key opens the certificate's private key, for a provider that signs with
	// it. It costs a storage call.
	Key func(context.Context) (crypto.Signer, error)
}

// Outcome is what a step led to. Make one with Pending, Issued, Failed or Retry.
type Outcome struct {
	Kind    OutcomeKind
	Until   time.Time // OutcomePending, OutcomeRetry: not before
	Detail  string    // what the CA said last, for people
	Chain   [][]byte  // OutcomeIssued: DER, leaf first
	Code    string    // OutcomeFailed: error.code
	Message string    // OutcomeFailed: error.message
	Err     error     // OutcomeRetry: what is wrong; the vault tells its own storage from the CA by it
}

// OutcomeKind tells the four outcomes apart.
type OutcomeKind uint8

// Kinds of outcomes. Their functions say what each means.
const (
	OutcomePending OutcomeKind = iota + 1
	OutcomeIssued
	OutcomeFailed
	OutcomeRetry
)

// String names the outcome for logs.
func (k OutcomeKind) String() string {
	switch k {
	case OutcomePending:
		return "pending"
	case OutcomeIssued:
		return "issued"
	case OutcomeFailed:
		return "failed"
	case OutcomeRetry:
		return "retry"
	default:
		return fmt.Sprintf("outcome %d", uint8(k))
	}
}

// Pending says that the CA works on it; look again at until. The zero time means at once.
func Pending(until time.Time, detail string) Outcome {
	return Outcome{Kind: OutcomePending, Until: until, Detail: detail}
}

// Issued brings the chain, DER, leaf first.
func Issued(chain [][]byte) Outcome { return Outcome{Kind: OutcomeIssued, Chain: chain} }

// Failed says that the CA refused for good. Code is CodeRejected or CodeIssuerError.
func Failed(code, message string) Outcome {
	return Outcome{Kind: OutcomeFailed, Code: code, Message: message}
}

// Retry says that something is wrong that may pass. The zero time leaves the back-off to
// the vault.
func Retry(until time.Time, err error) Outcome {
	return Outcome{Kind: OutcomeRetry, Until: until, Detail: err.Error(), Err: err}
}

// Codes of an operation's error, with spaces as Key Vault writes them.
const (
	CodeRejected    = "Request rejected"
	CodeIssuerError = "Certificate issuer error"
	CodeGivenUp     = "Request given up" // by an operator; ours
)

// Issuer is a configured CA account, as its provider sees it.
//
// REST page: Set Certificate Issuer.
type Issuer struct {
	Name       string
	Provider   string
	AccountID  string // credentials.account_id
	Password   string // credentials.pwd, opened; only a provider's step sees it
	HasAccount bool   // credentials.account_id was set
	Org        OrganizationDetails
	Enabled    bool
	Created    time.Time
	Updated    time.Time
}

// OrganizationDetails are org_details of an issuer object.
type OrganizationDetails struct {
	ID     string         `json:"id,omitempty"`
	Admins []AdminDetails `json:"admins,omitzero"` // nil: never set
}

// AdminDetails are one of org_details.admin_details.
type AdminDetails struct {
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
	Email     string `json:"email,omitempty"`
	Phone     string `json:"phone,omitempty"`
}

// ChainSource is a Provider whose CA offers the certificates of CAs, for leaves
// that come without.
type ChainSource interface {
	// Certificates are those (DER) of the CA that an issuer object uses and of
	// the CAs above it, in any order. The vault takes of them what signed.
	Certificates(ctx context.Context, issuer Issuer) ([][]byte, error)
}
