package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// Revocation is the wish that a CA revokes a version: a row of its own, which
// ticks work on. It holds all that this takes, so that it outlives a purge of
// the certificate, and is kept until the version expires.
type Revocation struct {
	Schema  int    `json:"schema"`
	Name    string `json:"name"` // of the certificate, as first written
	Version string `json:"version"`
	Leaf    []byte `json:"leaf"` // DER

	Issuer   string `json:"issuer"`
	Provider string `json:"provider"`
	IssuerID string `json:"issuerId"`

	Reason    int       `json:"reason"` // CRLReason, RFC 5280 section 5.3.1
	Status    Status    `json:"status"` // StatusFailed: it was given up
	Requested time.Time `json:"requested"`
	Completed time.Time `json:"completed,omitzero"`
	Expires   time.Time `json:"expires"` // of the version

	Due      time.Time `json:"due"`
	Attempts int       `json:"attempts,omitempty"` // claims so far
	Failures int       `json:"failures,omitempty"` // in a row
	Answer   string    `json:"answer,omitempty"`   // what went wrong last
}

// revocationRow is the document of a revocation's row.
type revocationRow struct {
	Revocation
	dueList
}

// revokeLimit is how long a revocation is tried.
const revokeLimit = 7 * 24 * time.Hour

// id is the revocation's in keys.
func (r *Revocation) id() string { return revocationID(Name{r.Name}, r.Version) }

func revocationID(n Name, version string) string { return n.key() + ":" + version }

// due is the next try, and in the end the removal of the row.
func (r *Revocation) due() []due {
	if r.Status == StatusInProgress {
		return []due{{classAdvance, r.Due, r.id(), kindRevoke, r.Issuer}}
	}
	return []due{{classPurge, r.Expires, r.id(), kindRevoke, ""}}
}

// Revoke asks the issuer that obtained a version to revoke it, for a CRLReason of
// RFC 5280 section 5.3.1. What was asked for before goes on, for the new reason if
// that is another one, and is tried again if it was given up. The version itself stays
// as it is, enabled or not: its users decide when it goes.
func (v *Vault) Revoke(ctx context.Context, n Name, version string, reason int) (Revocation, error) {
	h, ver, err := v.headAndVersion(ctx, n, version)
	if err != nil {
		return Revocation{}, err
	}
	now := v.now()
	switch {
	case ver == nil:
		return Revocation{}, &Error{Reason: CertificateNotFound, Name: n.text + "/" + version}
	case ver.Provider == "":
		return Revocation{}, actionRefused(n, "No issuer of this vault obtained the version: revoke it where it was obtained.")
	case !now.Before(ver.Expires):
		return Revocation{}, actionRefused(n, "The version has expired.")
	}
	ca, known := v.cfg.Providers[ver.Provider]
	if _, ok := ca.(provider.Revoker); known && !ok {
		return Revocation{}, actionRefused(n, "The provider %s of the issuer %s does not revoke certificates.", ver.Provider, ver.Issuer)
	}
	issuerID, err := v.successor(ctx, n, ver.Issuer, ver.Provider)
	if err != nil {
		return Revocation{}, err
	}
	return v.changeRevocation(ctx, revocationID(n, version), func(r *revocationRow) (*revocationRow, error) {
		switch {
		case r != nil && r.Status == StatusInProgress && r.Reason != reason:
			// A try that is under way does not count any more: the next one, if only to
			// learn that the certificate is revoked, has the new reason.
			r.Reason, r.Due = reason, now
			return r, nil
		case r != nil && r.Status != StatusFailed:
			return r, nil
		}
		return &revocationRow{Revocation: Revocation{
			Schema: store.Schema, Name: h.Name, Version: ver.ID, Leaf: ver.Leaf,
			Issuer: ver.Issuer, Provider: ver.Provider, IssuerID: issuerID,
			Reason: reason, Status: StatusInProgress, Requested: now, Expires: ver.Expires, Due: now,
		}}, nil
	})
}

// successor is the id of the issuer object that has this name and provider now:
// the one that obtained something, or one that took its place.
func (v *Vault) successor(ctx context.Context, n Name, issuer, provider string) (string, error) {
	r, err := v.issuerRecord(ctx, Name{issuer})
	switch {
	case reasonOf(err) == IssuerNotFound:
		return "", actionRefused(n, "The issuer %s was deleted. Set it again, with the provider %s.", issuer, provider)
	case err != nil:
		return "", err
	case !strings.EqualFold(r.Provider, provider):
		return "", actionRefused(n, "The issuer %s is one of the provider %s now, and was one of %s.", issuer, r.Provider, provider)
	}
	return r.ID, nil
}

// Revocation returns what has become of the wish to revoke a version.
func (v *Vault) Revocation(ctx context.Context, n Name, version string) (Revocation, error) {
	var r Revocation
	_, err := v.get(ctx, revocationKey(revocationID(n, version)), &r)
	if errors.Is(err, store.ErrNotFound) {
		return Revocation{}, &Error{Reason: RevocationNotFound, Name: n.text + "/" + version}
	}
	return r, err
}

// revoke makes one try of a revocation, or removes it when its version has
// expired.
func (v *Vault) revoke(ctx context.Context, id string, issuers *issuerCache) error {
	_, _, err := attempt(ctx, v, revocationKey(id),
		func(r *revocationRow) (*revocationRow, error) {
			now := v.now()
			switch {
			case r == nil:
				return nil, errLost
			case !now.Before(r.Expires):
				return nil, nil
			case r.Status != StatusInProgress || now.Before(r.Due):
				return nil, errLost
			}
			return r, nil
		},
		func(r *revocationRow) error { return v.runRevocation(ctx, &r.Revocation, issuers) },
		func(r *revocationRow, failure error) *revocationRow {
			v.revoked(ctx, &r.Revocation, failure)
			return r
		})
	return err
}

func (r *Revocation) claim(until time.Time) {
	r.Due = until
	r.Attempts++
}

func (r *Revocation) claimed(until time.Time) bool {
	return r.Status == StatusInProgress && r.Due.Equal(until)
}

// revoked decides what follows from an attempt; failure is nil when the
// certificate is revoked.
func (v *Vault) revoked(ctx context.Context, r *Revocation, failure error) {
	log, now := v.cfg.Log.With("certificate", r.Name, "version", r.Version), v.now()
	if failure == nil {
		r.Status, r.Completed, r.Failures, r.Answer = StatusCompleted, now, 0, ""
		log.InfoContext(ctx, "certificate revoked", "issuer", r.Issuer, "reason", r.Reason)
		return
	}
	r.Failures++
	r.Answer = words(failure.Error())
	r.Due = now.Add(v.backoff(r.Failures))
	_, lost := errors.AsType[issuerLost](failure)
	if lost || errors.Is(failure, errors.ErrUnsupported) || now.Sub(r.Requested) > revokeLimit {
		r.Status = StatusFailed
		log.ErrorContext(ctx, "revocation given up", "error", failure)
	} else {
		log.WarnContext(ctx, "revocation failed", "again", r.Due, "error", failure)
	}
}

func (v *Vault) runRevocation(ctx context.Context, r *Revocation, issuers *issuerCache) (err error) {
	defer v.recovered(ctx, "provider", r.Provider, &err, "certificate", r.Name)
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	issuer, object, err := v.pinnedIssuer(ctx, pin{r.Issuer, r.Provider, r.IssuerID}, r.Requested, issuers)
	if err != nil {
		return err
	}
	certificate, err := bounded.Certificate(r.Leaf)
	if err != nil {
		return fmt.Errorf("reading version %s: %w", r.Version, err)
	}
	revoker, ok := issuer.(provider.Revoker)
	if !ok {
		return fmt.Errorf("the provider %s: %w", r.Provider, errors.ErrUnsupported)
	}
	return revoker.Revoke(ctx, object, certificate, r.Reason)
}

// changeRevocation changes the row of a revocation and returns what it is then;
// the zero value when it is gone.
func (v *Vault) changeRevocation(ctx context.Context, id string, decide func(*revocationRow) (*revocationRow, error)) (Revocation, error) {
	r, err := changeRow(ctx, v, revocationKey(id), decide)
	if r == nil || err != nil {
		return Revocation{}, err
	}
	return r.Revocation, nil
}
