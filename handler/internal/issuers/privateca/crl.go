package privateca

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

// ErrConflict is what SaveCRL returns when another CRL was published since.
var ErrConflict = errors.New("another CRL was published")

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
func (i *Issuer) Revoke(ctx context.Context, _ vault.IssuerObject, certificate *x509.Certificate, reason int) error {
	serial := certificate.SerialNumber
	if err := certificate.CheckSignatureFrom(i.authority.chain[0]); err != nil {
		return fmt.Errorf("revoking %x: it was not issued by %q: %w", serial, i.authority.chain[0].Subject, err)
	}
	if !slices.Contains([]int{0, 1, 2, 3, 4, 5, 9, 10}, reason) {
		return fmt.Errorf("revoking %x: reason %d is unknown, or not for good", serial, reason)
	}
	_, err := i.changeCRL(ctx, func(last *x509.RevocationList, now time.Time) ([]x509.RevocationListEntry, bool) {
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

// RefreshCRL publishes a new CRL when there is none or the last one is in the
// second half of its life, and returns when to call again.
func (i *Issuer) RefreshCRL(ctx context.Context) (time.Time, error) {
	half := i.cfg.CRLLifetime / 2
	last, err := i.changeCRL(ctx, func(last *x509.RevocationList, now time.Time) ([]x509.RevocationListEntry, bool) {
		return entriesOf(last), last == nil || !now.Before(last.NextUpdate.Add(-half))
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("refreshing the CRL: %w", err)
	}
	return last.NextUpdate.Add(-half), nil
}

func entriesOf(crl *x509.RevocationList) []x509.RevocationListEntry {
	if crl == nil {
		return nil
	}
	return crl.RevokedCertificateEntries
}

// changeCRL reads the last CRL, decides on it and publishes the next, again when
// others were faster. decide gets nil when there is none, and returns the entries
// of the next, or false when none is needed. changeCRL returns the one that holds
// then.
func (i *Issuer) changeCRL(ctx context.Context, decide func(last *x509.RevocationList, now time.Time) ([]x509.RevocationListEntry, bool)) (*x509.RevocationList, error) {
	if i.cfg.LoadCRL == nil {
		return nil, fmt.Errorf("the CA has no place for a CRL: %w", errors.ErrUnsupported)
	}
	for range maxTries {
		last, etag, err := i.lastCRL(ctx)
		if err != nil {
			return nil, err
		}
		entries, needed := decide(last, i.cfg.Now())
		if !needed {
			return last, nil
		}
		next, err := i.signCRL(ctx, last, entries)
		if err != nil {
			return nil, fmt.Errorf("signing the CRL: %w", err)
		}
		if err = i.cfg.SaveCRL(ctx, next.Raw, etag); err == nil {
			return next, nil
		}
		if !errors.Is(err, ErrConflict) {
			return nil, fmt.Errorf("publishing the CRL: %w", err)
		}
	}
	return nil, fmt.Errorf("others keep publishing CRLs: %w", ErrConflict)
}

// lastCRL is the CRL that was published last, nil when there is none. Another
// CA's is an error: a list of its own would forget what that one revoked.
func (i *Issuer) lastCRL(ctx context.Context) (*x509.RevocationList, string, error) {
	der, etag, err := i.cfg.LoadCRL(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("loading the CRL: %w", err)
	}
	if der == nil {
		return nil, etag, nil
	}
	crl, err := x509.ParseRevocationList(der)
	if err == nil {
		err = crl.CheckSignatureFrom(i.authority.chain[0])
	}
	if err != nil {
		return nil, "", fmt.Errorf("reading the CRL of %q: %w", i.authority.chain[0].Subject, err)
	}
	return crl, etag, nil
}

// signCRL makes the CRL that follows last.
func (i *Issuer) signCRL(ctx context.Context, last *x509.RevocationList, entries []x509.RevocationListEntry) (*x509.RevocationList, error) {
	number := big.NewInt(1)
	if last != nil && last.Number != nil {
		number.Add(last.Number, number)
	}
	key, err := i.cfg.Key(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the CA's key: %w", err)
	}
	ca, now := i.authority.chain[0], i.cfg.Now().UTC().Truncate(time.Second)
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
