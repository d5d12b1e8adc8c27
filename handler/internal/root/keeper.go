package root

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/store"
)

// Times of a keeper.
const (
	// AdoptFor is how long rows without MACs count after they were adopted.
	AdoptFor = 24 * time.Hour

	openTimeout  = 25 * time.Second // storage may ask for patience, and so may the vault of the KEK
	retryAfter   = 2 * time.Second  // a failure answers everybody for so long
	lookEvery    = 30 * time.Minute // whether the KEK may still be used, and for other roots
	lookAtLatest = 55 * time.Minute // then nobody is answered before
	lookAgain    = time.Minute      // after silence
	knownAfter   = time.Hour        // lookAtLatest, and as long as a look may take: how old a root is that all know
	refreshEvery = time.Minute      // rows name roots, and anybody may write rows
)

// Config is what a Keeper is made of. Store, KEK and Partition are required.
type Config struct {
	Store     store.Store // which neither signs nor verifies
	KEK       seal.KEK
	Partition string // of the vault whose rows have the root

	// Adopt makes a root also where there are rows without MACs, and lets them
	// count for a day. It is for development.
	Adopt bool

	Now  func() time.Time // time.Now when nil
	Rand io.Reader        // crypto/rand when nil
	Log  *slog.Logger     // discarded when nil
}

// Keeper opens the root of an installation and remembers it. It may be used by any
// number of goroutines.
type Keeper struct {
	cfg     Config
	flights singleflight.Group

	mu        sync.Mutex // guards what follows
	opened    *roots
	err       error     // why nothing is opened
	failed    time.Time // since
	denied    bool      // the KEK's vault has said so: what it said before does not count
	lookAt    time.Time
	lookBy    time.Time
	refreshed time.Time
}

// roots are what was opened.
type roots struct {
	docs []*document // the current one first
	keys *rootkey.Keys
}

// New makes a Keeper. It touches no network.
func New(cfg Config) (*Keeper, error) {
	if cfg.Store == nil || cfg.KEK == nil || cfg.Partition == "" {
		return nil, errors.New("a root needs a store, a key-encryption key and a partition")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{cfg: cfg}, nil
}

// Open opens the root, and sees to its copy. What fails is tried again by whoever
// asks for the keys.
func (k *Keeper) Open(ctx context.Context) error {
	if _, err := k.Keys(ctx); err != nil {
		return err
	}
	k.mu.Lock()
	opened := k.opened
	k.mu.Unlock()
	if opened == nil {
		return nil
	}
	for _, d := range opened.docs {
		if err := k.keepCopy(ctx, d); err != nil {
			return fmt.Errorf("keeping a copy of root %s: %w", d.ID, err)
		}
	}
	return nil
}

// Keys are the keys of the moment. The first call opens the root; it, and every call
// until that has succeeded, may take openTimeout. Its error wraps
// store.ErrUnavailable.
func (k *Keeper) Keys(ctx context.Context) (*rootkey.Keys, error) {
	k.mu.Lock()
	now, opened, err := k.cfg.Now(), k.opened, k.err
	look, wait := !now.Before(k.lookAt), !now.Before(k.lookBy)
	fresh := now.Sub(k.failed) < retryAfter
	k.mu.Unlock()
	switch {
	case opened != nil && !look:
		return opened.keys, nil
	case opened != nil && !wait:
		k.begin(ctx, "look", k.look)
		return opened.keys, nil
	case opened != nil:
		return k.join(ctx, "look", k.look)
	case err != nil && fresh:
		return nil, err
	default:
		return k.join(ctx, "open", k.open)
	}
}

// Refresh is Keys for a caller who has seen a root that those do not know. It looks
// for new ones, but not for every caller.
func (k *Keeper) Refresh(ctx context.Context) (*rootkey.Keys, error) {
	k.mu.Lock()
	now := k.cfg.Now()
	early := now.Sub(k.refreshed) < refreshEvery
	if !early {
		k.refreshed = now
	}
	k.mu.Unlock()
	if early {
		return k.Keys(ctx)
	}
	return k.join(ctx, "look", k.look)
}

// begin runs do, unless it runs already. It outlives the caller.
func (k *Keeper) begin(ctx context.Context, what string, do func(context.Context) (*rootkey.Keys, error)) <-chan singleflight.Result {
	return k.flights.DoChan(what, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
		defer cancel()
		return do(ctx)
	})
}

// join waits for what begin began.
func (k *Keeper) join(ctx context.Context, what string, do func(context.Context) (*rootkey.Keys, error)) (*rootkey.Keys, error) {
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
	case r := <-k.begin(ctx, what, do):
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*rootkey.Keys), nil
	}
}

// open opens the root for the first time, or after it was denied.
func (k *Keeper) open(ctx context.Context) (*rootkey.Keys, error) {
	k.mu.Lock()
	opened, denied := k.opened, k.denied
	k.mu.Unlock()
	if opened != nil {
		return opened.keys, nil // since the caller looked
	}
	opened, err := k.read(ctx)
	if err == nil && denied {
		err = k.cfg.KEK.Check(ctx, opened.docs[0].KEK, opened.docs[0].Wrapped)
	}
	if err != nil {
		return nil, k.fail(ctx, err)
	}
	k.cfg.Log.InfoContext(ctx, "root opened", "root", opened.docs[0].ID, "kek", opened.docs[0].KEK)
	return k.use(opened), nil
}

// use makes roots those of the moment, which their KEK allowed just now.
func (k *Keeper) use(opened *roots) *rootkey.Keys {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.cfg.Now()
	k.opened, k.err, k.denied = opened, nil, false
	k.lookAt, k.lookBy = now.Add(lookEvery), now.Add(lookAtLatest)
	return opened.keys
}

// fail ends, or keeps ended, the use of any root.
func (k *Keeper) fail(ctx context.Context, err error) error {
	err = explain(err)
	k.cfg.Log.ErrorContext(ctx, "root not opened: nothing is served", "error", err)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.opened, k.err, k.failed = nil, err, k.cfg.Now()
	return err
}

// look asks whether the opened roots may still be used, and reads whether there are
// others. That storage has lost them, or has forged ones, changes nothing.
func (k *Keeper) look(ctx context.Context) (*rootkey.Keys, error) {
	k.mu.Lock()
	opened := k.opened
	k.mu.Unlock()
	if opened == nil {
		return k.open(ctx)
	}
	err := k.cfg.KEK.Check(ctx, opened.docs[0].KEK, opened.docs[0].Wrapped)
	if definite(err) {
		k.mu.Lock()
		k.denied = true
		k.mu.Unlock()
		return nil, k.fail(ctx, err)
	}
	if err != nil {
		k.cfg.Log.WarnContext(ctx, "the key-encryption key does not answer; the root stays open", "error", err)
		k.mu.Lock()
		defer k.mu.Unlock()
		now := k.cfg.Now()
		k.lookAt, k.lookBy = now.Add(lookAgain), now.Add(lookAtLatest)
		return opened.keys, nil
	}
	newer, err := k.read(ctx)
	if err != nil {
		k.cfg.Log.ErrorContext(ctx, "root not read again; what was opened stays open", "error", err)
		newer = opened
	}
	return k.use(newer), nil
}

// definite reports whether the KEK's vault has answered that the key is disabled,
// forbidden or gone.
func definite(err error) bool {
	return errors.Is(err, seal.ErrDenied) || errors.Is(err, seal.ErrUnknownKEK) || errors.Is(err, seal.ErrRefused)
}

// read reads the roots, or makes one.
func (k *Keeper) read(ctx context.Context) (*roots, error) {
	rows, err := k.cfg.Store.Scan(ctx, store.Range{From: currentKey, To: currentKey + ";", Limit: maxRoots})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].Key != currentKey {
		if err := k.supply(ctx); err != nil {
			return nil, err
		}
		row, err := k.cfg.Store.Get(ctx, currentKey)
		if err != nil {
			return nil, err
		}
		rows = append([]store.Row{row}, rows...)
	}
	return k.openRows(ctx, rows)
}

// maxRoots is how many roots there may be at a time, the current one included.
const maxRoots = 8

// openRows opens roots, of which the first must be the current one. An earlier one
// that does not open counts for nothing.
func (k *Keeper) openRows(ctx context.Context, rows []store.Row) (*roots, error) {
	opened := new(roots)
	var cfg rootkey.Config
	for i, row := range rows {
		d, secret, err := k.openRow(ctx, row)
		switch {
		case err != nil && i == 0:
			return nil, err
		case err != nil:
			k.cfg.Log.ErrorContext(ctx, "earlier root not opened: rows that were signed under it do not count", "row", row.Key, "error", err)
			continue
		case i == 0:
			cfg = rootkey.Config{Partition: k.cfg.Partition, Installation: d.Installation, Current: secret, UnsignedUntil: d.UnsignedUntil}
		default:
			cfg.Others = append(cfg.Others, secret)
		}
		opened.docs = append(opened.docs, d)
	}
	var err error
	opened.keys, err = rootkey.New(cfg)
	return opened, err
}

// openRow verifies the root in a row, and unwraps its secret.
func (k *Keeper) openRow(ctx context.Context, row store.Row) (*document, rootkey.Secret, error) {
	if row.Err != nil {
		return nil, rootkey.Secret{}, row.Err
	}
	d, err := parse(row.Doc)
	if err != nil {
		return nil, rootkey.Secret{}, err
	}
	secret, err := k.unwrap(ctx, d)
	return d, secret, err
}

func (k *Keeper) unwrap(ctx context.Context, d *document) (rootkey.Secret, error) {
	if err := k.verify(ctx, d); err != nil {
		return rootkey.Secret{}, fmt.Errorf("root %s: %w", d.ID, err)
	}
	secret, err := k.cfg.KEK.Unwrap(ctx, d.KEK, d.Wrapped)
	if err != nil {
		return rootkey.Secret{}, fmt.Errorf("root %s: %w", d.ID, err)
	}
	return rootkey.Secret{ID: d.ID, Value: secret}, nil
}

// newID is 32 random hexadecimal digits.
func (k *Keeper) newID() (string, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(k.cfg.Rand, b); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(b), nil
}
