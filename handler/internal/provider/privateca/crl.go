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
// (RFC 5280 section 5.3.1) that is permanent. A certificate that is revoked
// already is not an error. Without a CRL the error wraps errors.ErrUnsupported.
//
// An entry stays on the CRL, also when its certificate has expired: the CRL is
// the only record of it.
func (p *Provider) Revoke(ctx context.Context, _ provider.Issuer, certificate *x509.Certificate, reason int) error {
	serial := certificate.SerialNumber
	if err := certificate.CheckSignatureFrom(p.authority.chain[0]); err != nil {
		return fmt.Errorf("revoking %x: it was not issued by %q: %w", serial, p.authority.chain[0].Subject, err)
	}
	if !slices.Contains([]int{0, 1, 2, 3, 4, 5, 9, 10}, reason) {
		return fmt.Errorf("revoking %x: reason %d is unknown, or is not permanent", serial, reason)
	}
	err := p.changeCRL(ctx, func(last *x509.RevocationList, now time.Time) ([]x509.RevocationListEntry, bool) {
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
	p.cfg.Log.InfoContext(ctx, "certificate revoked", "serial", serial.Text(16), "reason", reason, "authority", p.authority.chain[0].Subject.String())
	return nil
}

// PublishesCRL reports whether there is a place for a CRL.
func (p *Provider) PublishesCRL() bool { return p.cfg.LoadCRL != nil }

// RefreshCRL publishes a new CRL when there is none or the last one is in the
// second half of its life. While the last one that was seen is not, it costs
// nothing, so it may be called often. Without a place for a CRL it does nothing.
func (p *Provider) RefreshCRL(ctx context.Context) error {
	due := func(last *x509.RevocationList, now time.Time) bool {
		return last == nil || !now.Before(last.NextUpdate.Add(-p.cfg.CRLLifetime/2))
	}
	if seen := p.last.Load(); !p.PublishesCRL() || seen != nil && !due(seen.crl, p.cfg.Now()) {
		return nil
	}
	err := p.changeCRL(ctx, func(last *x509.RevocationList, now time.Time) ([]x509.RevocationListEntry, bool) {
		return entriesOf(last), due(last, now)
	})
	if err != nil {
		return fmt.Errorf("refreshing the CRL of %q: %w", p.authority.chain[0].Subject, err)
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
func (p *Provider) CRL(ctx context.Context) (*x509.RevocationList, error) {
	if !p.PublishesCRL() {
		return nil, nil
	}
	seen, now := p.last.Load(), p.cfg.Now()
	if seen != nil && now.Before(seen.at.Add(sightingAge)) {
		return seen.crl, nil
	}
	crl, _, err := p.lastCRL(ctx)
	if err != nil && seen != nil && seen.crl != nil && now.Before(seen.crl.NextUpdate) {
		p.cfg.Log.WarnContext(ctx, "CRL served from memory", "authority", p.authority.chain[0].Subject.String(), "error", err)
		p.last.Store(&sighting{seen.crl, now})
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
func (p *Provider) changeCRL(ctx context.Context, decide func(last *x509.RevocationList, now time.Time) ([]x509.RevocationListEntry, bool)) error {
	if !p.PublishesCRL() {
		return fmt.Errorf("the CA has no place for a CRL: %w", errors.ErrUnsupported)
	}
	for range maxTries {
		last, etag, err := p.lastCRL(ctx)
		if err != nil {
			return err
		}
		entries, needed := decide(last, p.cfg.Now())
		if !needed {
			return nil
		}
		next, err := p.signCRL(ctx, last, entries)
		if err != nil {
			return fmt.Errorf("signing the CRL: %w", err)
		}
		if err = p.cfg.SaveCRL(ctx, next.Raw, etag); err == nil {
			p.last.Store(&sighting{next, p.cfg.Now()})
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
func (p *Provider) lastCRL(ctx context.Context) (*x509.RevocationList, string, error) {
	der, etag, err := p.cfg.LoadCRL(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("loading the CRL: %w", err)
	}
	if der == nil {
		p.last.Store(&sighting{nil, p.cfg.Now()})
		return nil, etag, nil
	}
	crl, err := x509.ParseRevocationList(der)
	if err == nil {
		err = crl.CheckSignatureFrom(p.authority.chain[0])
	}
	if err != nil {
		return nil, "", fmt.Errorf("reading the CRL of %q: %w", p.authority.chain[0].Subject, err)
	}
	p.last.Store(&sighting{crl, p.cfg.Now()})
	return crl, etag, nil
}

// signCRL makes the CRL that follows last.
func (p *Provider) signCRL(ctx context.Context, last *x509.RevocationList, entries []x509.RevocationListEntry) (*x509.RevocationList, error) {
	now := p.cfg.Now().UTC().Truncate(time.Second)
	// Numbers must grow (RFC 5280 section 5.2.3), also when the last CRL was lost: the
	// time is ahead of any number that was counted from one.
	number := big.NewInt(now.Unix())
	if last != nil && last.Number != nil && last.Number.Cmp(number) >= 0 {
		number.Add(last.Number, big.NewInt(1))
	}
	key, err := p.cfg.Key(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the CA's key: %w", err)
	}
	ca := p.authority.chain[0]
	der, err := x509.CreateRevocationList(nil, &x509.RevocationList{
		Number:                    number,
		ThisUpdate:                now,
		NextUpdate:                now.Add(p.cfg.CRLLifetime),
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
