package vault

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Store keeps one vault's rows and chain blobs.
//
// Rows live in one ordered partition; every method is one call to the storage
// service (Scan may take one call per thousand rows). What Commit accepted is
// durable when it returns and visible to every later read.
//
// A method that fails with anything but [ErrNotFound] or a [ConflictError] may
// have been applied all the same, or may be applied a little later: the caller
// reads again before it decides. The store retries nothing that could hide
// this.
type Store interface {
	// Get returns the row with this key, with its ETag. ErrNotFound when there
	// is none.
	Get(ctx context.Context, key string) (Row, error)

	// Scan returns the rows of a range in key order: r.Limit of them, fewer
	// only when the range holds no more.
	Scan(ctx context.Context, r Range) ([]Row, error)

	// Commit applies all actions of tx or none. A ConflictError says that the
	// ETag, presence or absence that an action relies on was not what it found.
	// For a transaction of one action that writes, the row's new ETag is
	// returned; otherwise the ETag is empty (the service does not tell it).
	Commit(ctx context.Context, tx Tx) (ETag, error)

	// PutBlob stores a blob under a name that nobody else can have chosen; a
	// blob that is already there is the caller's own earlier try.
	PutBlob(ctx context.Context, name string, data []byte) error

	// GetBlob returns a blob, ErrNotFound when there is none.
	GetBlob(ctx context.Context, name string) ([]byte, error)

	// DeleteBlob deletes a blob; that it is missing is no error.
	DeleteBlob(ctx context.Context, name string) error
}

// Row is one record of a vault's partition. Keys are described in the package
// comment. Doc is JSON. Label is what Scan can select by.
type Row struct {
	Key   string
	ETag  ETag
	Label string
	Doc   []byte
}

// ETag is the storage service's opaque version of a row.
type ETag string

// Range selects rows with From <= key < To, and of those the ones whose label
// is among Labels (any label when Labels is empty), at most Limit.
type Range struct {
	From, To string
	Labels   []string
	Limit    int
}

// within is the range of all keys that start with prefix. The prefix ends in
// ':' and ';' is the next character.
func within(prefix string, limit int) Range {
	return Range{From: prefix, To: strings.TrimSuffix(prefix, ":") + ";", Limit: limit}
}

// Verb is what an Action does with its row.
type Verb uint8

const (
	Add     Verb = iota + 1 // the key must be free
	Replace                 // the row must have the ETag
	Put                     // whatever is there; for rows that nobody locks
	Delete                  // the row must have the ETag
	Remove                  // the row must be there; another row of the transaction holds the lock
)

// Action is one change to one row.
type Action struct {
	Verb Verb
	Row  Row // for Delete and Remove only Key and ETag count
}

// Tx is a transaction: actions on different rows that are applied together.
type Tx struct {
	Actions []Action
}

func (tx *Tx) add(r Row)         { tx.Actions = append(tx.Actions, Action{Add, r}) }
func (tx *Tx) replace(r Row)     { tx.Actions = append(tx.Actions, Action{Replace, r}) }
func (tx *Tx) put(r Row)         { tx.Actions = append(tx.Actions, Action{Put, r}) }
func (tx *Tx) remove(key string) { tx.Actions = append(tx.Actions, Action{Remove, Row{Key: key}}) }
func (tx *Tx) delete(key string, etag ETag) {
	tx.Actions = append(tx.Actions, Action{Delete, Row{Key: key, ETag: etag}})
}

// Limits of a Table Storage transaction (REST page "Performing entity group
// transactions") and of one row here. A document is stored in string columns of
// at most 32,000 UTF-16 units, so MaxDoc stays well below the 1 MiB of an entity.
const (
	MaxActions = 100
	MaxTxBytes = 4 << 20
	MaxDoc     = 256 << 10
	MaxKey     = 512
)

// Check reports why a store must refuse tx: limits exceeded, a row named twice,
// a replace or delete without an ETag, a key that the service cannot hold.
// Every store calls it first, so that no test store accepts what the real one
// would not.
func (tx Tx) Check() error {
	if len(tx.Actions) == 0 || len(tx.Actions) > MaxActions {
		return fmt.Errorf("transaction of %d actions: must be 1 to %d", len(tx.Actions), MaxActions)
	}
	seen := make(map[string]bool, len(tx.Actions))
	total := 0
	for _, a := range tx.Actions {
		key := a.Row.Key
		switch {
		case key == "" || len(key) > MaxKey || strings.ContainsAny(key, "/\\#?'%") || strings.ContainsFunc(key, func(r rune) bool { return r < 0x20 || r > 0x7e }):
			return fmt.Errorf("row key %q cannot be stored", key)
		case seen[key]:
			return fmt.Errorf("row %q appears twice in one transaction", key)
		case (a.Verb == Replace || a.Verb == Delete) && a.Row.ETag == "":
			return fmt.Errorf("row %q is replaced or deleted without an ETag", key)
		case len(a.Row.Doc) > MaxDoc:
			return fmt.Errorf("row %q holds %d bytes: must be at most %d", key, len(a.Row.Doc), MaxDoc)
		}
		seen[key] = true
		// UTF-16 on the wire of the service's limits, base64 nowhere.
		total += 2 * len(utf16.Encode([]rune(string(a.Row.Doc))))
	}
	if total > MaxTxBytes {
		return fmt.Errorf("transaction of %d bytes: must be at most %d", total, MaxTxBytes)
	}
	return nil
}
