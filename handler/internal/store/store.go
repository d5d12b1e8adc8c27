package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
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
// this. Where the service is to blame and not the request, the error wraps
// [ErrThrottled] or [ErrUnavailable].
type Store interface {
	// Get returns the row with this key, with its ETag. ErrNotFound when there
	// is none, ErrNotAuthentic when there is one that counts for nothing.
	Get(ctx context.Context, key string) (Row, error)

	// Scan returns the rows of a range in key order: r.Limit of them, fewer
	// only when the range holds no more. No row counts twice, but rows that
	// change meanwhile may be seen before or after the change. A row that counts
	// for nothing fails no scan: it has an Err.
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

	// DeleteBlob deletes a blob; that it is missing is not an error.
	DeleteBlob(ctx context.Context, name string) error
}

// Row is one record of a vault's partition. Keys are described in the package
// comment. Doc is JSON. Label is what Scan can select by. Summary is JSON too, or
// nothing: what a list shows of the document. Mac and SummaryMac are what package
// signed adds; other code leaves them alone.
type Row struct {
	Key        string
	ETag       ETag
	Label      string
	Doc        []byte
	Mac        string
	Summary    []byte
	SummaryMac string

	// Err is set in a scanned row that counts for nothing, and wraps
	// ErrNotAuthentic. Such a row has its Key and ETag; what else it has is
	// nobody's word. It is never written.
	Err error
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

// Within is the range of all keys that start with prefix. The prefix ends in
// ':' and ';' is the next character.
func Within(prefix string, limit int) Range {
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

// Add adds r as a new row: its key must be free.
func (tx *Tx) Add(r Row) { tx.Actions = append(tx.Actions, Action{Add, r}) }

// Replace writes r in place of the row that has its ETag.
func (tx *Tx) Replace(r Row) { tx.Actions = append(tx.Actions, Action{Replace, r}) }

// Put writes r, whatever is there.
func (tx *Tx) Put(r Row) { tx.Actions = append(tx.Actions, Action{Put, r}) }

// Remove removes a row that must be there.
func (tx *Tx) Remove(key string) { tx.Actions = append(tx.Actions, Action{Remove, Row{Key: key}}) }

// Delete removes the row that has this ETag.
func (tx *Tx) Delete(key string, etag ETag) {
	tx.Actions = append(tx.Actions, Action{Delete, Row{Key: key, ETag: etag}})
}

// Limits of Table Storage (REST pages "Performing entity group transactions"
// and "Querying tables and entities") and our own. A document is stored in
// string columns of at most 32,000 UTF-16 units, so MaxDoc stays well below the
// 1 MiB of an entity.
const (
	MaxActions = 100
	MaxTxBytes = 4 << 20 // body of the request
	MaxDoc     = 256 << 10
	MaxSummary = 16 << 10 // fits one column whatever its characters
	MaxMac     = 256
	MaxKey     = 512
	MaxLabels  = 12 // a filter takes 15 comparisons; partition and range are three
	MaxBlob    = 1 << 20

	// actionOverhead covers address, headers, key and label of one action in
	// the body of a transaction, in bytes.
	actionOverhead = 4 << 10
)

// Check reports why a store must refuse tx: limits exceeded, a row named twice,
// a replace or delete without an ETag, a key, label or document that the
// service cannot hold. Every store calls it first, so that no test store accepts
// what the real one would not.
func (tx Tx) Check() error {
	if len(tx.Actions) == 0 || len(tx.Actions) > MaxActions {
		return fmt.Errorf("transaction of %d actions: must be 1 to %d", len(tx.Actions), MaxActions)
	}
	seen := make(map[string]bool, len(tx.Actions))
	total := 0
	for _, a := range tx.Actions {
		if err := a.check(); err != nil {
			return err
		}
		if seen[a.Row.Key] {
			return fmt.Errorf("row %q appears twice in one transaction", a.Row.Key)
		}
		seen[a.Row.Key] = true
		total += a.WireSize()
	}
	if total > MaxTxBytes {
		return fmt.Errorf("transaction of %d bytes, must be at most %d: %w", total, MaxTxBytes, ErrTooLarge)
	}
	return nil
}

func (a Action) check() error {
	if err := CheckKey(a.Row.Key); err != nil {
		return err
	}
	switch a.Verb {
	case Replace, Delete:
		if a.Row.ETag == "" {
			return fmt.Errorf("row %q is replaced or deleted without an ETag", a.Row.Key)
		}
	case Add, Put, Remove:
	default:
		return fmt.Errorf("row %q: unknown verb %d", a.Row.Key, a.Verb)
	}
	if !a.Verb.Writes() {
		return nil
	}
	if len(a.Row.Doc) > MaxDoc {
		return fmt.Errorf("row %q holds %d bytes, must be at most %d: %w", a.Row.Key, len(a.Row.Doc), MaxDoc, ErrTooLarge)
	}
	if !utf8.Valid(a.Row.Doc) || !json.Valid(a.Row.Doc) {
		return fmt.Errorf("row %q does not hold JSON", a.Row.Key)
	}
	return errors.Join(checkLabel(a.Row.Label), a.Row.checkSummary())
}

// checkSummary reports why a row's summary and MACs cannot be stored.
func (r Row) checkSummary() error {
	switch {
	case r.Err != nil:
		return fmt.Errorf("row %q is written as it was read, which is: %w", r.Key, r.Err)
	case len(r.Summary) > MaxSummary:
		return fmt.Errorf("row %q has a summary of %d bytes: must be at most %d", r.Key, len(r.Summary), MaxSummary)
	case len(r.Summary) > 0 && (!utf8.Valid(r.Summary) || !json.Valid(r.Summary)):
		return fmt.Errorf("row %q has a summary that is not JSON", r.Key)
	}
	for _, mac := range []string{r.Mac, r.SummaryMac} {
		if len(mac) > MaxMac || !printable(mac) {
			return fmt.Errorf("row %q has a MAC %q that cannot be stored", r.Key, mac)
		}
	}
	return nil
}

// Writes reports whether the verb leaves a row behind.
func (v Verb) Writes() bool { return v == Add || v == Replace || v == Put }

// WireSize is at least what the action adds to the body of a transaction, where
// its document is a string within JSON.
func (a Action) WireSize() int {
	if !a.Verb.Writes() {
		return actionOverhead
	}
	text, _ := json.Marshal([]string{string(a.Row.Doc), string(a.Row.Summary)}) // strings always marshal
	return len(text) + actionOverhead
}

// CheckKey reports why the service cannot hold a row with this key, or not in
// every place where a key stands (address, filter).
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey || !printable(key) {
		return fmt.Errorf("row key %q cannot be stored", key)
	}
	return nil
}

// checkLabel reports why a label cannot be stored or stand in a filter. It may
// be empty.
func checkLabel(label string) error {
	if len(label) > MaxKey || !printable(label) {
		return fmt.Errorf("label %q cannot be stored", label)
	}
	return nil
}

// printable: ASCII without what breaks an address or a filter.
func printable(s string) bool {
	return !strings.ContainsAny(s, "/\\#?'%") && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// Check reports why a store must refuse r: a bound that is not a possible key, a
// label that none can have, more labels than a filter takes, no limit.
func (r Range) Check() error {
	if len(r.Labels) > MaxLabels {
		return fmt.Errorf("range with %d labels: must be at most %d", len(r.Labels), MaxLabels)
	}
	if r.Limit < 1 {
		return fmt.Errorf("range with limit %d: must be at least 1", r.Limit)
	}
	for _, label := range r.Labels {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	return errors.Join(CheckKey(r.From), CheckKey(r.To))
}

// CheckBlob reports why a store must refuse a blob: its name is not one or more
// segments of letters, digits, hyphens and inner dots, or it is too large.
func CheckBlob(name string, data []byte) error {
	if len(name) > MaxKey || !blobName.MatchString(name) {
		return fmt.Errorf("blob name %q cannot be stored", name)
	}
	if len(data) > MaxBlob {
		return fmt.Errorf("blob %q holds %d bytes, must be at most %d: %w", name, len(data), MaxBlob, ErrTooLarge)
	}
	return nil
}

var blobName = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(/[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*)*$`)
