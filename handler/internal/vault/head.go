package vault

import (
	"slices"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// head is everything that must change together about one certificate name: the
// certificate, its policy, its latest version and its operation. It is one row,
// so its ETag is the certificate's lock. A head that is not stored yet is the
// zero value.
type head struct {
	Schema      int           `json:"schema"`
	Write       int           `json:"write,omitempty"` // see store.Schema
	Name        string        `json:"name"`            // as first written
	Created     time.Time     `json:"created"`
	Purging     bool          `json:"purging,omitempty"` // for good: rows are going away
	Restore     *restore      `json:"restore,omitempty"` // rows are coming, and nobody may see them
	Deletion    *Deletion     `json:"deletion,omitempty"`
	Policy      policy.Policy `json:"policy"`
	Provisional string        `json:"provisional"`         // version id shown until the first version is complete
	Latest      *version      `json:"latest,omitempty"`    // copy of the newest version's row
	Operation   *Operation    `json:"operation,omitempty"` // the pending object
	Renewal     renewal       `json:"renewal,omitzero"`    // of Latest
	Told        told          `json:"told,omitzero"`       // of what is to be told about Latest
	Done        *done         `json:"done,omitempty"`      // the request that changed the certificate last
	Shell       shell         `json:"shell,omitzero"`      // without version and operation
	Writes      []string      `json:"writes"`              // ids of the last writes, newest last
	dueList

	etag store.ETag // as read or written; empty: not stored, or not known
	gone bool       // the row is to be deleted

	dropped *Operation // that this change deletes, for Done
}

// shell is what a certificate that was never completed shows of itself. It is the
// operation's while there is one, which will give it to the version.
type shell struct {
	Tags          map[string]string `json:"tags,omitzero"`
	PreserveOrder *bool             `json:"preserveOrder,omitempty"`
	Updated       time.Time         `json:"updated,omitzero"` // when it was changed; zero: never
}

func (h *head) shell() shell {
	if op := h.Operation; op != nil {
		return shell{op.Tags, op.PreserveOrder, op.Updated}
	}
	return h.Shell
}

// Deletion is the soft-deleted state of a certificate.
type Deletion struct {
	At      time.Time `json:"at"`
	PurgeAt time.Time `json:"purgeAt"`
}

// version is one version of a certificate, a row of its own.
type version struct {
	Schema        int                  `json:"schema"`
	ID            string               `json:"id"`                 // 32 hex digits
	Previous      string               `json:"previous,omitempty"` // id of the version that was the latest before
	Created       time.Time            `json:"created"`
	Updated       time.Time            `json:"updated"`
	Enabled       bool                 `json:"enabled"`
	NotBefore     time.Time            `json:"notBefore"`
	Expires       time.Time            `json:"expires"`
	Tags          map[string]string    `json:"tags,omitzero"`
	Leaf          []byte               `json:"leaf"`               // DER
	Thumbprint    []byte               `json:"thumbprint"`         // SHA-1 of Leaf
	Chain         string               `json:"chain"`              // blob of PEM certificates, leaf first
	ChainSum      []byte               `json:"chainSum,omitempty"` // SHA-256 of the blob
	KeyID         string               `json:"keyId"`              // of the sealed private key
	Key           policy.KeyProperties `json:"key"`
	ContentType   string               `json:"contentType"`
	PreserveOrder *bool                `json:"preserveOrder,omitempty"` // as it was sent

	// Issuer, Provider and IssuerID are those of the operation whose issuer
	// issued it; all are empty when a person brought it.
	Issuer   string `json:"issuer,omitempty"`
	Provider string `json:"provider,omitempty"`
	IssuerID string `json:"issuerId,omitempty"`
}

// issuedBy reports whether the operation's own issuer object obtained the
// version.
func (ver *version) issuedBy(op *Operation) bool {
	return ver != nil && ver.Provider != "" && ver.Provider == op.Provider && ver.IssuerID == op.IssuerID
}

// operation is the pending object as a caller gets it.
func (h *head) operation() Operation {
	op := *h.Operation
	op.Name = h.Name
	return op
}

func (h *head) stored() bool { return h.Name != "" }

// Labels of head rows: which lists show them. Where an operation is in progress
// or has failed, its mark follows.
const (
	labelCertificate = "certificate" // has a version
	labelShell       = "shell"       // never completed
	labelDeleted     = "deleted"
	labelRestore     = "restore" // is being restored

	markOpen   = " open"
	markFailed = " failed"
)

func (h *head) label() string {
	label := labelCertificate
	switch {
	case h.Deletion != nil:
		return labelDeleted
	case h.Restore != nil:
		return labelRestore
	case h.Latest == nil:
		label = labelShell
	}
	switch {
	case h.Operation == nil:
		return label
	case h.Operation.Status == StatusInProgress:
		return label + markOpen
	case h.Operation.Status == StatusFailed:
		return label + markFailed
	default:
		return label
	}
}

// keptWrites is how many write ids a head remembers. A writer that lost the
// answer to its write reads the head again at once, so this many other writes
// would have to come between to hide its own.
const keptWrites = 16

func (h *head) wrote(id string) bool { return slices.Contains(h.Writes, id) }

func (h *head) sign(id string) {
	h.Writes = append(slices.Clone(h.Writes), id)
	if extra := len(h.Writes) - keptWrites; extra > 0 {
		h.Writes = h.Writes[extra:]
	}
}

// dropKey removes the operation's private key when no version has it: the
// operation is going away without having completed.
func (h *head) dropKey(tx *store.Tx, name Name) {
	if op := h.Operation; op != nil && op.Status != StatusCompleted && !op.KeyShared {
		tx.Remove(keyRowKey(name, op.KeyID))
	}
}
