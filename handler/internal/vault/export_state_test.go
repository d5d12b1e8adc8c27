package vault

// The state behind rows, for tests that compare stores.

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/store"
)

// State is what the rows of a vault say about one certificate.
type State struct {
	Exists, Deleted, Purging, Restoring bool
	PurgeAt                             time.Time // when Deleted
	Policy                              policy.Policy
	Operation                           *Operation
	Leaf                                []byte // of the latest version, DER
	Latest                              string // version id
	Versions                            int
	ToldNearExpiry, ToldExpired         bool // of the latest version
}

// StateOf reads a certificate's state from the rows of a vault.
func StateOf(rows []store.Row, n Name) (State, error) {
	var s State
	var errs []error
	for _, r := range rows {
		switch {
		case r.Key == headKey(n):
			h := new(head)
			errs = append(errs, json.Unmarshal(r.Doc, h))
			s.Exists, s.Deleted, s.Purging, s.Operation = true, h.Deletion != nil, h.Purging, h.Operation
			s.Restoring, s.Policy = h.Restore != nil, h.Policy
			if h.Deletion != nil {
				s.PurgeAt = h.Deletion.PurgeAt
			}
			if h.Latest != nil {
				s.Leaf, s.Latest = h.Latest.Leaf, h.Latest.ID
				s.ToldNearExpiry, s.ToldExpired = h.Told.NearExpiry, h.Told.Expired
			}
		case strings.HasPrefix(r.Key, versionKey(n, "")):
			s.Versions++
		}
	}
	return s, errors.Join(errs...)
}

// Names of the certificates that rows hold, deleted ones included.
func Names(rows []store.Row) []Name {
	var names []Name
	for _, r := range rows {
		if key, ok := strings.CutPrefix(r.Key, "c:"); ok {
			names = append(names, Name{key})
		}
	}
	return names
}

// DueKey is the key of a revocation's due row.
func DueKey(r Revocation) string { return r.due()[0].key() }
