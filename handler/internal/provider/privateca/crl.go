package privateca

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// Limits of a CRL.
const (
	maxCRL   = 8 << 20 // bytes
	maxTries = 5       // of a change
)

// Revoke puts a certificate on the CRL and publishes it. reason is a CRLReason
// (RFC 5280 section 5.3.1) that is for good. That the certificate is revoked
// already is no error. Without a CRL the error wraps errors.ErrUnsupported.
//
// An entry stays on the CRL, also when its certificate has expired: the CRL is
// the only record of it.
func (i *Issuer) Revoke(ctx context.Context, _ provider.Issuer, certificate *x509.Certificate, reason int) error {
	serial := certificate.SerialNumber
	if err := certificate.CheckSignatureFrom(i.authority.chain[0]); err != nil {
		return fmt.Errorf("revoking %x: it was not issued by %q: %w", serial, i.authority.chain[0].Subject, err)
	}
	if !slices.Contains([]int{0, 1, 2, 3, 4, 5, 9, 10}, reason) {
		return fmt.Errorf("revoking %x: reason %d is unknown, or not for good", serial, reason)
	}
	err := i.changeCRL(ctx, func(last *x509.RevocationList, now time.Time) ([]x509.RevocationListEntry, bool) {
		entries := entriesOf(last)
		for _, e := range entries {
			if e.SerialNumber.Cmp(serial) == 0 {
				return nil, false
			}
		}
		return append(entries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: now, ReasonCode: reason}), true
	})
	if err != nil {
		return fmt.Errorf("revoking %x: %w", serial, err)
	}
	i.cfg.Log.InfoContext(ctx, "certificate revoked", "serial", serial.Text(16), "reason", reason, "authority", i.authority.chain[0].Subject.String())
	return nil
}

// PublishesCRL reports whether there is a place for a CRL.
func (i *Issuer) PublishesCRL() bool { return i.cfg.LoadCRL != nil }

// RefreshCRL publishes a new CRL when there is none or the last one is in the
// second half of its life. While the last one that was seen is not, it costs
// nothing, so it may be called often. Without a place for a CRL it does nothing.
func (i *Issuer) RefreshCRL(ctx context.Context) error {
	due := func(last *x509.RevocationList, now time.Time) bool {
		return last == nil || !now.Before(last.NextUpdate.Add(-i.cfg.CRLLifetime/2))
	}
	if seen := i.last.Load(); !i.PublishesCRL() || seen != nil && !due(seen.crl, i.cfg.Now()) {
		return nil
	}
	err := i.changeCRL(ctx, func(last *x509.RevocationList, now time.Time) ([]x509.RevocationListEntry, bool) {
		return entriesOf(last), due(last, now)
	})
	if err != nil {
		return fmt.Errorf("refreshing the CRL of %q: %w", i.authority.chain[0].Subject, err)
	}
	return nil
}

// sighting is a CRL as it was published at a time; nil when there was none.
type sighting struct {
	crl *x509.RevocationList
	at  time.Time
}

// sightingAge is how long CRL does not look again.
const sightingAge = time.Minute

// CRL is the CRL that was published last, for others to fetch; nil when there is
// none. It may be a minute old, and older, up to its NextUpdate, while its place
// cannot be reached.
func (i *Issuer) CRL(ctx context.Context) (*x509.RevocationList, error) {
	if !i.PublishesCRL() {
		return nil, nil
	}
	seen, now := i.last.Load(), i.cfg.Now()
	if seen != nil && now.Before(seen.at.Add(sightingAge)) {
		return seen.crl, nil
	}
	crl, _, err := i.lastCRL(ctx)
	if err != nil && seen != nil && seen.crl != nil && now.Before(seen.crl.NextUpdate) {
		i.cfg.Log.WarnContext(ctx, "CRL served from memory", "authority", i.authority.chain[0].Subject.String(), "error", err)
		i.last.Store(&sighting{seen.crl, now})
		return seen.crl, nil
	}
	return crl, err
}

func entriesOf(crl *x509.RevocationList) []x509.RevocationListEntry {
	if crl == nil {
		return nil
	}
	return crl.RevokedCertificateEntries
}

// changeCRL reads the last CRL, decides on it and publishes the next, again when
// others were faster. decide gets nil when there is none, and returns the entries
// of the next, or false when none is needed.
func (i *Issuer) changeCRL(ctx context.Context, decide func(last *x509.RevocationList, now time.Time) ([]x509.RevocationListEntry, bool)) error {
	if !i.PublishesCRL() {
		return fmt.Errorf("the CA has no place for a CRL: %w", errors.ErrUnsupported)
	}
	for range maxTries {
		last, etag, err := i.lastCRL(ctx)
		if err != nil {
			return err
		}
		entries, needed := decide(last, i.cfg.Now())
		if !needed {
			return nil
		}
		next, err := i.signCRL(ctx, last, entries)
		if err != nil {
			return fmt.Errorf("signing the CRL: %w", err)
		}
		if err = i.cfg.SaveCRL(ctx, next.Raw, etag); err == nil {
			i.last.Store(&sighting{next, i.cfg.Now()})
			return nil
		}
		if _, others := errors.AsType[*store.ConflictError](err); !others {
			return fmt.Errorf("publishing the CRL: %w", err)
		}
	}
	return errors.New("others keep publishing CRLs")
}

// lastCRL is the CRL that was published last, nil when there is none. Another
// CA's is an error: a list of its own would forget what that one revoked.
func (i *Issuer) lastCRL(ctx context.Context) (*x509.RevocationList, string, error) {
	der, etag, err := i.cfg.LoadCRL(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("loading the CRL: %w", err)
	}
	if der == nil {
		i.last.Store(&sighting{nil, i.cfg.Now()})
		return nil, etag, nil
	}
	crl, err := x509.ParseRevocationList(der)
	if err == nil {
		err = crl.CheckSignatureFrom(i.authority.chain[0])
	}
	if err != nil {
		return nil, "", fmt.Errorf("reading the CRL of %q: %w", i.authority.chain[0].Subject, err)
	}
	i.last.Store(&sighting{crl, i.cfg.Now()})
	return crl, etag, nil
}

// signCRL makes the CRL that follows last.
func (i *Issuer) signCRL(ctx context.Context, last *x509.RevocationList, entries []x509.RevocationListEntry) (*x509.RevocationList, error) {
	now := i.cfg.Now().UTC().Truncate(time.Second)
	// Numbers must grow (RFC 5280 section 5.2.3), also when the last CRL was lost: the
	// time is ahead of any number that was counted from one.
	number := big.NewInt(now.Unix())
	if last != nil && last.Number != nil && last.Number.Cmp(number) >= 0 {
		number.Add(last.Number, big.NewInt(1))
	}
	key, err := i.cfg.Key(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the CA's key: %w", err)
	}
	ca := i.authority.chain[0]
	der, err := x509.CreateRevocationList(nil, &x509.RevocationList{
		Number:                    number,
		ThisUpdate:                now,
		NextUpdate:                now.Add(i.cfg.CRLLifetime),
		RevokedCertificateEntries: entries,
	}, ca, key)
	if err != nil {
		return nil, err
	}
	if len(der) > maxCRL {
		return nil, fmt.Errorf("it would have %d bytes, more than %d", len(der), maxCRL)
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	// Unlike CreateCertificate, CreateRevocationList takes any key.
	return crl, crl.CheckSignatureFrom(ca)
}
