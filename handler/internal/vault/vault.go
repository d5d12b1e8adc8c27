package vault

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// Vault is one vault: its certificates, their operations and its issuers. All
// state is in its Store; any number of Vaults, in any number of processes, may
// serve the same one at once. Its methods may be called concurrently.
type Vault struct {
	cfg      Config
	checkers map[string]*names.Checker // by provider; without one names are not limited
	reported reports
	upkeep   upkeep

	reading, making, restoring *bound // of what clients send, of RSA keys, of backups
}

// Config is what a Vault is made of. Store, Seal, Open and Providers are required.
type Config struct {
	// Store keeps the rows and blobs of this vault.
	Store store.Store

	// Seal encrypts what must not be readable in storage, Open is its reverse.
	// kind, name and id say what the data is: sealed data opens under the same
	// three only. A failure that may pass is an *Error with Reason Unavailable.
	Seal, Open func(ctx context.Context, kind, name, id string, data []byte) ([]byte, error)

	// Providers are the kinds of CA by lower-case name. "self" signs
	// certificates of the issuer Self.
	Providers map[string]provider.Provider

	// NameConstraints are what may be certified through one of the Providers, by
	// its name; one that is not here is not limited.
	NameConstraints map[string]*names.Permitted

	// Destinations are told of events, by name; nil: nobody is.
	Destinations map[string]Destination

	// RecoverableDays is how long a deleted certificate can be recovered, 7 to
	// 90; 90 when zero.
	RecoverableDays int

	// PurgeProtection leaves purging to the date alone: nobody can purge a
	// deleted certificate before it.
	PurgeProtection bool

	// MaxAge ends an operation that its CA has not answered by then; 30 days
	// when zero. Operations that wait for a person (issuer Unknown) have no
	// limit.
	MaxAge time.Duration

	// Concurrency is how many operations a tick advances at once, IssuerLimit
	// how many of one issuer; 8 and 4 when zero.
	Concurrency, IssuerLimit int

	// RenewalLimit is how many renewals of one issuer a tick begins, so that an
	// outage, or a CA that wants all renewed at once, makes no storm; 5 when
	// zero.
	RenewalLimit int

	// MaxFailing ends an operation whose every step failed for so long;
	// 3 days when zero.
	MaxFailing time.Duration

	// Migrated is called when everything stored is in this program's form, before
	// that is recorded, and again when it fails: from then on nothing of another
	// form need be accepted. Nil: nobody has to know.
	Migrated func(ctx context.Context) error

	// Root returns the id of the root under which Store signs and Seal seals, RootsOf
	// the ids of those under which a row says that it is signed or sealed: a root may
	// be replaced, and what is under the one before is then brought under it. Both are
	// nil where there is one for good.
	Root    func(ctx context.Context) (string, error)
	RootsOf func(store.Row) []string

	// NewKey makes a key pair; policy.GenerateKey when nil.
	NewKey func(policy.KeyProperties) (crypto.Signer, error)

	// RequestKey returns the key under which the vault recognises requests that
	// are sent again, the same for all its instances; nil: it recognises none.
	RequestKey func(ctx context.Context) ([]byte, error)

	// Now is the clock, Sleep waits on it until ctx ends; the real ones when
	// nil.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error

	// Rand is the source of identifiers; crypto/rand when nil. It must be safe
	// for concurrent use.
	Rand io.Reader

	// Log is discarded when nil.
	Log *slog.Logger
}

// New checks cfg and makes a Vault of it. It touches neither storage nor
// network.
func New(cfg Config) (*Vault, error) {
	switch {
	case cfg.Store == nil || cfg.Seal == nil || cfg.Open == nil:
		return nil, errors.New("a vault needs a store, a seal and its opener")
	case cfg.Providers[providerSelf] == nil:
		return nil, errors.New("a vault needs the provider self")
	case cfg.RecoverableDays != 0 && (cfg.RecoverableDays < 7 || cfg.RecoverableDays > 90):
		return nil, errors.New("recoverable days must be 7 to 90")
	}
	for provider := range cfg.Providers {
		if provider != strings.ToLower(provider) {
			return nil, errors.New("provider names are lower case")
		}
	}
	checkers, err := newCheckers(cfg)
	if err != nil {
		return nil, err
	}
	if err := checkDestinations(cfg.Destinations); err != nil {
		return nil, err
	}
	if cfg.RecoverableDays == 0 {
		cfg.RecoverableDays = 90
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 30 * 24 * time.Hour
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 8
	}
	if cfg.IssuerLimit == 0 {
		cfg.IssuerLimit = 4
	}
	if cfg.RenewalLimit == 0 {
		cfg.RenewalLimit = 5
	}
	if cfg.MaxFailing == 0 {
		cfg.MaxFailing = 3 * 24 * time.Hour
	}
	if cfg.NewKey == nil {
		cfg.NewKey = policy.GenerateKey
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Vault{
		cfg:       cfg,
		checkers:  checkers,
		reading:   newBound(maxReadings, maxWaiting, longestQueue),
		making:    newBound(maxMakings(), maxWaiting, longestQueue),
		restoring: newBound(maxRestores, maxWaiting, longestQueue),
	}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// now is the time as it is stored: UTC, whole milliseconds.
func (v *Vault) now() time.Time { return v.cfg.Now().UTC().Truncate(time.Millisecond) }

// newID is a fresh identifier of 32 hexadecimal digits: version, request, key.
func (v *Vault) newID() string { return v.random(16) }

func (v *Vault) random(n int) string {
	b := make([]byte, n)
	v.fill(b)
	return hex.EncodeToString(b)
}

// fill makes all of b random.
func (v *Vault) fill(b []byte) {
	if _, err := io.ReadFull(v.cfg.Rand, b); err != nil {
		panic("random source failed: " + err.Error())
	}
}

// recoveryLevel is the vault's soft-delete promise in Key Vault's words.
//
// REST page: Get Certificate, DeletionRecoveryLevel.
func (v *Vault) recoveryLevel() string {
	level := "Recoverable"
	if v.cfg.RecoverableDays != 90 {
		level = "CustomizedRecoverable"
	}
	if !v.cfg.PurgeProtection {
		level += "+Purgeable"
	}
	return level
}
