package vault

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certwright/certwright/handler/internal/keyring"
	"github.com/certwright/certwright/handler/internal/store"
)

// migration is the document of the row migrationKey: how far everything that is
// stored has been brought to the form of a schema.
//
// Older programs may run beside this one for a while and write in their form. So
// there is one pass after the other, until one has found nothing that began long
// enough after the last time that something was found.
//
// Rows under an earlier root are brought under today's in the same passes. Where a
// root is new, and the form of everything is today's, there are passes for that alone.
type migration struct {
	Schema int       `json:"schema"`
	To     int       `json:"to"`    // the schema
	Began  time.Time `json:"began"` // the first pass
	Pass   int       `json:"pass"`
	From   time.Time `json:"from"`            // when this pass begins, or began
	At     string    `json:"at"`              // place among migrated
	Found  int       `json:"found"`           // rows of an older form that this pass has met
	Last   time.Time `json:"last,omitzero"`   // when one was met last, in any pass
	Total  int       `json:"total,omitempty"` // met in all passes
	Ended  time.Time `json:"ended,omitzero"`

	// Root is the root at the beginning, under which everything is at the end. Only
	// says that the form of everything was today's at the beginning.
	Root string `json:"root,omitempty"`
	Only bool   `json:"only,omitempty"`
}

// migrated are the rows that a pass goes through. Due rows come with their owners,
// and what is written at every tick needs none.
var migrated = places{"c:", "v:", "k:", "i:", "a:", "r:", "w:", "e:", "x:", "t:", "q:", "s:"}

// Times and sizes of a migration.
const (
	migrationPage  = 200              // rows
	migrationQuiet = 10 * time.Minute // without anything of an older form, before a pass that decides that there is none
	migrationLimit = 24 * time.Hour   // after which it ends in any case
	rootKnown      = time.Hour        // after which every process that reaches storage writes under a new root
)

// Migration is how far what older programs stored has been brought to this one's
// form, or under a new root. Until the form is this one's, nobody can know that a list
// that follows labels, such as the board, shows everything.
type Migration struct {
	Schema int       // to which
	Began  time.Time // zero: no tick has begun it yet
	Pass   int       // through everything, from 1
	Kind   string    // of the rows that it has come to: the prefix of their keys; empty between passes
	Found  int       // rows of an older form, or under an earlier root, that this pass has met
	Total  int       // ... and all passes
	Next   time.Time // when the next pass begins; zero: one is at work
	Ended  time.Time // zero: it goes on
}

// Migration returns how far that is.
func (v *Vault) Migration(ctx context.Context) (Migration, error) {
	m, _, err := v.migration(ctx)
	if err != nil {
		return Migration{}, err
	}
	return m.state(v.now()), nil
}

// Migrating reports whether there may be anything of an older form.
func (v *Vault) Migrating(ctx context.Context) (bool, error) {
	if v.upkeep.isMigrated() {
		return false, nil
	}
	m, _, err := v.migration(ctx)
	if err != nil || m.Ended.IsZero() && !m.Only {
		return true, err
	}
	v.upkeep.setMigrated()
	return false, nil
}

func (m *migration) state(now time.Time) Migration {
	s := Migration{Schema: m.To, Began: m.Began, Pass: m.Pass, Found: m.Found, Total: m.Total, Ended: m.Ended}
	switch {
	case !m.Ended.IsZero() || m.Began.IsZero():
	case now.Before(m.From):
		s.Next = m.From
	default:
		s.Kind = m.At[:len("c:")]
	}
	return s
}

// FinishMigration ends a migration that has been through everything once, without
// the passes that would wait for older programs.
func (v *Vault) FinishMigration(ctx context.Context) (Migration, error) {
	m, etag, err := v.migration(ctx)
	switch {
	case err != nil:
		return Migration{}, err
	case m.Ended.IsZero() && m.Pass < 2:
		return Migration{}, &Error{Reason: ActionRefused, Detail: "The first pass through what is stored has not ended."}
	case m.Ended.IsZero():
		if err := v.endMigration(ctx, m); err != nil {
			return Migration{}, err
		}
		if _, err := v.saveMigration(ctx, m, etag); err != nil {
			return Migration{}, err
		}
	}
	return m.state(v.now()), nil
}

// migration reads how far it is; one that nobody has begun is new.
func (v *Vault) migration(ctx context.Context) (*migration, store.ETag, error) {
	m := new(migration)
	r, err := v.row(ctx, migrationKey)
	if err == nil {
		err = decode(r, m)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, "", err
	}
	root, err := v.root(ctx) // after the row, by which this process may learn of another
	switch {
	case err != nil:
		return nil, "", err
	case m.To < store.Schema:
		m = &migration{To: store.Schema, Root: root}
	case m.Ended.IsZero() || m.Root == root:
	case m.Root != "" || v.underEarlier(r, root): // where it does not say, the row itself does
		m = &migration{To: store.Schema, Root: root, Only: true}
	}
	return m, r.ETag, nil
}

// root is the id of the current root; empty where nobody tells.
func (v *Vault) root(ctx context.Context) (string, error) {
	if v.cfg.Root == nil {
		return "", nil
	}
	id, err := v.cfg.Root(ctx)
	if err != nil {
		return "", unavailable(err)
	}
	return id, nil
}

// underEarlier reports whether a row is under another root than the current one.
func (v *Vault) underEarlier(r store.Row, current string) bool {
	return v.cfg.RootsOf != nil && slices.ContainsFunc(v.cfg.RootsOf(r), func(id string) bool { return id != current })
}

func (v *Vault) saveMigration(ctx context.Context, m *migration, etag store.ETag) (store.ETag, error) {
	m.Schema = store.Schema
	r := store.NewRow(migrationKey, "", m)
	r.ETag = etag
	var tx store.Tx
	if etag == "" {
		tx.Add(r)
	} else {
		tx.Replace(r)
	}
	etag, err := v.cfg.Store.Commit(ctx, tx)
	if _, conflict := errors.AsType[*store.ConflictError](err); conflict {
		return "", &Error{Reason: ConcurrentChange, Err: err}
	}
	if err != nil {
		return "", unavailable(err)
	}
	return etag, nil
}

// migrate goes on with the migration until a time. Any number of processes may: what
// one has done another finds done.
func (v *Vault) migrate(ctx context.Context, end time.Time) error {
	root, err := v.root(ctx)
	if err != nil {
		return err
	}
	if v.upkeep.isMigratedUnder(root) {
		return nil
	}
	m, etag, err := v.migration(ctx)
	if err != nil {
		return err
	}
	if m.Began.IsZero() {
		now := v.now()
		m.Began, m.Pass, m.From, m.At = now, 1, now, migrated[0]
	}
	for m.Ended.IsZero() && !v.now().Before(m.From) && v.now().Before(end) && ctx.Err() == nil {
		if err := v.migratePage(ctx, m); err != nil {
			return err
		}
		if m.At == "" {
			if err := v.endPass(ctx, m); err != nil {
				return err // the last page is gone through again
			}
		}
		etag, err = v.saveMigration(ctx, m, etag)
		if reasonOf(err) == ConcurrentChange {
			return nil // another process is at it
		}
		if err != nil {
			return err
		}
	}
	if !m.Ended.IsZero() {
		v.upkeep.setMigratedUnder(cmp.Or(m.Root, root))
		if m.Total > 0 {
			v.cfg.Log.InfoContext(ctx, "everything stored is in the form of this release and under its root", "schema", m.To, "root", m.Root, "rows", m.Total, "passes", m.Pass)
		}
	}
	return nil
}

// endPass decides what follows a pass.
func (v *Vault) endPass(ctx context.Context, m *migration) error {
	now := v.now()
	if m.Found == 0 && !m.From.Before(m.quiet()) || now.Sub(m.Began) > migrationLimit {
		return v.endMigration(ctx, m)
	}
	m.Pass, m.Found, m.At = m.Pass+1, 0, migrated[0]
	m.From = latestOf(now, m.quiet())
	return nil
}

// quiet is when a pass begins, at the earliest, that decides that nothing is left.
func (m *migration) quiet() time.Time {
	at := m.Last.Add(migrationQuiet)
	if m.Only {
		at = latestOf(at, m.Began.Add(rootKnown))
	}
	return at
}

// endMigration ends m, which is not saved yet.
func (v *Vault) endMigration(ctx context.Context, m *migration) error {
	if v.cfg.Migrated != nil {
		if err := v.cfg.Migrated(ctx); err != nil {
			return fmt.Errorf("ending the migration: %w", err)
		}
	}
	m.Ended = v.now()
	return nil
}

// migratePage brings the next rows to this program's form.
func (v *Vault) migratePage(ctx context.Context, m *migration) error {
	r := migrated.next(m.At, migrationPage)
	rows, err := v.cfg.Store.Scan(ctx, r)
	if err != nil {
		return unavailable(err)
	}
	root, err := v.root(ctx) // after the rows, by which this process may learn of another
	if err != nil {
		return err
	}
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(v.cfg.Concurrency)
	renewed := make([]store.Row, len(rows)) // those that nothing else hangs on
	found := make([]bool, len(rows))
	for i, row := range rows {
		work.Go(func() (err error) {
			renewed[i], found[i], err = v.migrateRow(workCtx, row, root)
			return v.unlessUnreadable(workCtx, err)
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	renewed = slices.DeleteFunc(renewed, func(r store.Row) bool { return r.Key == "" })
	if err := v.replaceAll(ctx, renewed); err != nil {
		return err
	}
	for _, old := range found {
		if old {
			m.Found++
			m.Total++
			m.Last = v.now()
		}
	}
	m.At = migrated.after(r, rows)
	return nil
}

// migrateRow brings a row to this program's form and under the current root: it writes
// what must change with other rows, and returns the new form of what need not. found
// reports whether there was, or is still, something to do.
func (v *Vault) migrateRow(ctx context.Context, r store.Row, root string) (renewed store.Row, found bool, err error) {
	renewed, found, err = v.modernize(ctx, r)
	if err != nil || found || r.Key == migrationKey || !v.underEarlier(r, root) { // every page writes migrationKey
		return renewed, found, err
	}
	return v.reroot(ctx, r)
}

// reroot returns a row as it is to be under the current root. What it says stays the
// same: a store that signs does so when it writes. A head that a worker has claimed
// waits for the next pass, as in a migration.
func (v *Vault) reroot(ctx context.Context, r store.Row) (renewed store.Row, found bool, err error) {
	if err := checkWrite(r); err != nil {
		return store.Row{}, false, err
	}
	renewed = store.Row{Key: r.Key, Label: r.Label, Doc: r.Doc, Summary: r.Summary}
	switch r.Key[:2] {
	case "c:":
		h := new(head)
		if err := decode(r, h); err != nil || h.claimed(v.now()) {
			return store.Row{}, err == nil, err
		}
	case "i:", "k:", "a:":
		if renewed, err = v.resealed(ctx, r); err != nil {
			return store.Row{}, false, v.unlessSealed(ctx, r, err)
		}
	}
	renewed.ETag = r.ETag
	return renewed, true, nil
}

// resealed makes a row anew whose document holds a sealed value.
func (v *Vault) resealed(ctx context.Context, r store.Row) (store.Row, error) {
	switch r.Key[:2] {
	case "i:":
		return v.resealIssuer(ctx, r)
	case "k:":
		return v.resealKey(ctx, r)
	default:
		return keyring.Ring{Store: v.cfg.Store, Seal: v.cfg.Seal, Open: v.cfg.Open}.Reseal(ctx, r)
	}
}

// unlessSealed makes the failure to open the value in a row one of this row alone,
// unless it may pass: anybody who writes storage can name a root that there is not.
func (v *Vault) unlessSealed(ctx context.Context, r store.Row, err error) error {
	if ctx.Err() != nil || reasonOf(err) == Unavailable {
		return err
	}
	return &unreadableError{r, err}
}

// modernize is migrateRow as far as the form is concerned.
func (v *Vault) modernize(ctx context.Context, r store.Row) (renewed store.Row, found bool, err error) {
	schema, err := store.SchemaOf(r)
	if err != nil {
		return store.Row{}, false, &unreadableError{r, err}
	}
	switch prefix := r.Key[:2]; {
	case prefix == "c:":
		found, err = v.migrateHead(ctx, r)
		return store.Row{}, found, err
	case prefix == "v:":
		renewed, err = v.renewedVersion(ctx, r)
	case schema >= store.Schema || prefix == "s:" && r.Key != contactsKey:
		return store.Row{}, false, nil
	case prefix == "r:":
		return store.Row{}, true, rewrite[releaseJob](ctx, v, r.Key)
	case prefix == "w:":
		return store.Row{}, true, rewrite[revocationRow](ctx, v, r.Key)
	case prefix == "e:":
		return store.Row{}, true, rewrite[delivery](ctx, v, r.Key)
	case prefix == "i:" || prefix == "k:" || prefix == "a:":
		renewed, err = v.resealed(ctx, r)
	case prefix == "x:":
		m := new(marker)
		if err = decode(r, m); err == nil {
			renewed = m.row(Name{m.Head.Name}, r.Label)
		}
	default:
		renewed = store.NewRow(r.Key, r.Label, json.RawMessage(r.Doc))
	}
	if err != nil || renewed.Key == "" {
		return store.Row{}, err == nil && schema < store.Schema, err
	}
	if schema, err := store.SchemaOf(renewed); err != nil || schema < store.Schema {
		return store.Row{}, false, &unreadableError{r, fmt.Errorf("row %q does not begin with its schema", r.Key)}
	}
	renewed.ETag = r.ETag
	return renewed, true, nil
}

// rewrite writes a document with a row of its own again, and the due rows that it
// must have.
func rewrite[T any](ctx context.Context, v *Vault, key string) error {
	_, err := changeRow(ctx, v, key, func(doc *T) (*T, error) { return doc, nil })
	return err
}

// migrateHead writes a head again, and with it the due rows that it must have and the
// row of its latest version. One whose operation a worker has claimed waits for the
// next pass: that worker may be of an older program, and could not save what it did.
func (v *Vault) migrateHead(ctx context.Context, r store.Row) (found bool, err error) {
	h := new(head)
	if err := decode(r, h); err != nil {
		return false, err
	}
	h.etag = r.ETag
	n := Name{h.Name}
	var sum []byte
	if h.Latest != nil && h.Latest.ChainSum == nil && !h.Purging && h.Restore == nil { // else rows go or come
		if sum, err = v.chainSum(ctx, h.Latest); err != nil {
			return false, err
		}
	}
	switch {
	case sum == nil && h.listed(n):
		return false, nil
	case h.claimed(v.now()):
		return true, nil
	}
	_, err = v.changeFrom(ctx, n, h, func(now *head, tx *store.Tx) error {
		if !now.stored() {
			now.gone = true
			return nil
		}
		if l := now.Latest; sum != nil && l != nil && l.ID == h.Latest.ID && !now.Purging && now.Restore == nil {
			l.Schema, l.ChainSum = store.Schema, sum
			tx.Put(l.row(n)) // the head is its lock
		}
		return nil
	})
	return true, err
}

// renewedVersion is the row of a version in this program's form; none where it is of
// that form.
func (v *Vault) renewedVersion(ctx context.Context, r store.Row) (store.Row, error) {
	ver := new(version)
	if err := decode(r, ver); err != nil {
		return store.Row{}, err
	}
	old := ver.Schema < store.Schema
	if ver.ChainSum == nil {
		sum, err := v.chainSum(ctx, ver)
		if err != nil {
			return store.Row{}, err
		}
		old, ver.ChainSum = old || sum != nil, sum
	}
	if !old {
		return store.Row{}, nil
	}
	ver.Schema = store.Schema
	return summarize(store.NewRow(r.Key, r.Label, ver), ver.summary()), nil
}

// chainSum hashes the chain blob of a version; nil when the blob is not there, as in
// a restore or a purge that is on its way, or is that of another leaf.
func (v *Vault) chainSum(ctx context.Context, ver *version) ([]byte, error) {
	data, err := v.cfg.Store.GetBlob(ctx, ver.Chain)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	if leaf, _ := pem.Decode(data); leaf == nil || !bytes.Equal(leaf.Bytes, ver.Leaf) {
		v.cfg.Log.ErrorContext(ctx, "blob is not the chain of its version", "blob", ver.Chain, "version", ver.ID)
		return nil, nil
	}
	return sumOf(data), nil
}

// replaceAll replaces rows, each under its ETag, in as few transactions as may be. One
// that has changed meanwhile is left to the next pass.
func (v *Vault) replaceAll(ctx context.Context, rows []store.Row) error {
	for _, batch := range batches(rows) {
		err := v.replace(ctx, batch)
		if _, conflict := errors.AsType[*store.ConflictError](err); conflict {
			for _, r := range batch {
				err = v.replace(ctx, []store.Row{r})
				if _, changed := errors.AsType[*store.ConflictError](err); err != nil && !changed {
					return unavailable(err)
				}
			}
			continue
		}
		if err != nil {
			return unavailable(err)
		}
	}
	return nil
}

func (v *Vault) replace(ctx context.Context, rows []store.Row) error {
	var tx store.Tx
	for _, r := range rows {
		tx.Replace(r)
	}
	_, err := v.cfg.Store.Commit(ctx, tx)
	return err
}
