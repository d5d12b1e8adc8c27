package privateca_test

// Revocation and CRLs.

import (
	"context"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
	"github.com/certwright/certwright/handler/internal/store"
)

// memoryCRL is a place for a CRL.
type memoryCRL struct {
	mu    sync.Mutex
	der   []byte
	loads int
	saves int
	fails error // of save, once
	away  error // of load
}

func (m *memoryCRL) load(context.Context) ([]byte, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	if m.away != nil {
		return nil, "", m.away
	}
	return m.der, fmt.Sprint(m.saves), nil
}

func (m *memoryCRL) save(_ context.Context, crl []byte, etag string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fails; err != nil {
		m.fails = nil
		return err
	}
	if etag != fmt.Sprint(m.saves) {
		return &store.ConflictError{Key: "crl"}
	}
	m.der, m.saves = crl, m.saves+1
	return nil
}

func (m *memoryCRL) parsed(t testing.TB) *x509.RevocationList {
	t.Helper()
	crl, err := x509.ParseRevocationList(m.der)
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

// withCRL makes a Provider that keeps its CRL in m.
func withCRL(t testing.TB, c *ca, m *memoryCRL, now *time.Time) *privateca.Provider {
	t.Helper()
	cfg := c.config()
	cfg.LoadCRL, cfg.SaveCRL = m.load, m.save
	if now != nil {
		cfg.Now = func() time.Time { return *now }
	}
	return issuer(t, cfg)
}

var noIssuer provider.Issuer

func TestRevoke(t *testing.T) {
	t.Parallel()
	c, m, now := newPair(t), new(memoryCRL), start
	i := withCRL(t, c, m, &now)
	kept, revoked := issued(t, run(t, i, webRequest(t))), issued(t, run(t, i, webRequest(t)))
	if err := i.RefreshCRL(t.Context()); err != nil {
		t.Fatal(err)
	}
	empty := m.der
	now = start.Add(time.Hour)
	for range 2 { // the second time changes nothing
		if err := i.Revoke(t.Context(), noIssuer, revoked, 1); err != nil {
			t.Fatal(err)
		}
	}
	if m.saves != 2 {
		t.Errorf("%d CRLs", m.saves)
	}
	crl := m.parsed(t)
	entry := crl.RevokedCertificateEntries[0]
	if len(crl.RevokedCertificateEntries) != 1 || entry.SerialNumber.Cmp(revoked.SerialNumber) != 0 || entry.ReasonCode != 1 || !entry.RevocationTime.Equal(now) {
		t.Errorf("%+v", crl.RevokedCertificateEntries)
	}
	if crl.Number.Int64() != now.Unix() || !crl.ThisUpdate.Equal(now) || !crl.NextUpdate.Equal(now.Add(7*24*time.Hour)) {
		t.Errorf("number %d, %s to %s", crl.Number, crl.ThisUpdate, crl.NextUpdate)
	}
	// OpenSSL reads it.
	roots, between := writePEM(t, "CERTIFICATE", c.chain[1].Raw), writePEM(t, "CERTIFICATE", c.chain[0].Raw)
	check := func(crl []byte, leaf *x509.Certificate) string {
		text, _ := openssl(t, "verify", "-x509_strict", "-attime", fmt.Sprint(now.Unix()), "-crl_check", "-CRLfile", writePEM(t, "X509 CRL", crl),
			"-CAfile", roots, "-untrusted", between, writePEM(t, "CERTIFICATE", leaf.Raw))
		return text
	}
	for name, text := range map[string]string{
		"other, then": check(m.der, kept), "revoked, before": check(empty, revoked),
	} {
		if !strings.HasSuffix(text, ": OK\n") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if text := check(m.der, revoked); !strings.Contains(text, "certificate revoked") {
		t.Error(text)
	}
	text, err := openssl(t, "crl", "-noout", "-text", "-in", writePEM(t, "X509 CRL", m.der))
	if err != nil || !strings.Contains(text, fmt.Sprintf("X509v3 CRL Number:\n%d\n", now.Unix())) || !strings.Contains(text, "X509v3 CRL Reason Code:\nKey Compromise\n") {
		t.Errorf("%v\n%s", err, text)
	}
}

// An entry keeps its reason and time in later lists.
func TestEntriesStay(t *testing.T) {
	t.Parallel()
	c, m, now := newPair(t), new(memoryCRL), start
	i := withCRL(t, c, m, &now)
	for n, reason := range []int{0, 1, 2, 3, 4, 5, 9, 10} {
		leaf := issued(t, run(t, i, webRequest(t)))
		now = start.Add(time.Duration(n) * time.Minute)
		if err := i.Revoke(t.Context(), noIssuer, leaf, reason); err != nil {
			t.Fatal(err)
		}
	}
	now = start.AddDate(20, 0, 0) // all certificates have expired
	if err := i.RefreshCRL(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries := m.parsed(t).RevokedCertificateEntries
	if len(entries) != 8 {
		t.Fatalf("%d entries", len(entries))
	}
	for n, reason := range []int{0, 1, 2, 3, 4, 5, 9, 10} {
		if entries[n].ReasonCode != reason || !entries[n].RevocationTime.Equal(start.Add(time.Duration(n)*time.Minute)) {
			t.Errorf("%d: %+v", n, entries[n])
		}
	}
}

func TestRefreshCRL(t *testing.T) {
	t.Parallel()
	c, m, now := newPair(t), new(memoryCRL), start
	i := withCRL(t, c, m, &now)
	const half = 84 * time.Hour
	for _, step := range []struct {
		after time.Duration
		saves int
		loads int
	}{
		{0, 1, 1}, // the first
		{time.Hour, 1, 1},
		{half - time.Second, 1, 1},
		{half, 2, 2},
		{half + time.Hour, 2, 2},
		{10 * half, 3, 3}, // it had run out
	} {
		now = start.Add(step.after)
		if err := i.RefreshCRL(t.Context()); err != nil || m.saves != step.saves || m.loads != step.loads {
			t.Errorf("after %s: %d CRLs, read %d times, %v", step.after, m.saves, m.loads, err)
		}
	}
	// Another process looks once.
	i, now = withCRL(t, c, m, &now), now.Add(half-time.Second)
	for range 2 {
		if err := i.RefreshCRL(t.Context()); err != nil || m.saves != 3 || m.loads != 4 {
			t.Errorf("another process: %d CRLs, read %d times, %v", m.saves, m.loads, err)
		}
	}
	if n := m.parsed(t).Number.Int64(); n != start.Add(10*half).Unix() {
		t.Errorf("number %d", n)
	}
}

// Numbers grow in any case: counted on from a CRL of a clock that is ahead, and from
// a new beginning when the last CRL was lost.
func TestCRLNumbersGrow(t *testing.T) {
	t.Parallel()
	c, m, now := newPair(t), new(memoryCRL), start
	i := withCRL(t, c, m, &now)
	last := int64(0)
	for _, step := range []struct {
		after time.Duration
		lost  bool
		want  int64 // after start.Unix()
	}{
		{time.Hour, false, 3600},
		{-time.Hour, false, 3601}, // another instance's clock
		{2 * time.Hour, true, 7200},
		{2 * time.Hour, false, 7201},
	} {
		now = start.Add(step.after)
		if step.lost {
			m.der = nil
		}
		if err := i.Revoke(t.Context(), noIssuer, issued(t, run(t, i, webRequest(t))), 1); err != nil {
			t.Fatal(err)
		}
		n := m.parsed(t).Number.Int64()
		if n <= last || n != start.Unix()+step.want {
			t.Errorf("after %s, lost %t: number %d, want %d; the last was %d", step.after, step.lost, n, start.Unix()+step.want, last)
		}
		last = n
	}
}

// Workers that revoke at once lose none of it.
func TestRevokeTogether(t *testing.T) {
	t.Parallel()
	c, m := newPair(t), new(memoryCRL)
	var wg sync.WaitGroup
	for range 4 {
		leaf := issued(t, run(t, issuer(t, c.config()), webRequest(t)))
		wg.Go(func() {
			if err := withCRL(t, c, m, nil).Revoke(t.Context(), noIssuer, leaf, 4); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(m.parsed(t).RevokedCertificateEntries); n != 4 {
		t.Errorf("%d entries", n)
	}
}

func TestRevokeRefuses(t *testing.T) {
	t.Parallel()
	c, m := newPair(t), new(memoryCRL)
	i := withCRL(t, c, m, nil)
	leaf := issued(t, run(t, i, webRequest(t)))
	foreign := issued(t, run(t, issuer(t, newPair(t).config()), webRequest(t)))
	if err := i.Revoke(t.Context(), noIssuer, foreign, 0); err == nil || !strings.Contains(err.Error(), "it was not issued by") {
		t.Errorf("foreign: %v", err)
	}
	for _, reason := range []int{-1, 6, 7, 8, 11} {
		if err := i.Revoke(t.Context(), noIssuer, leaf, reason); err == nil {
			t.Errorf("reason %d is taken", reason)
		}
	}
	if m.saves != 0 {
		t.Errorf("%d CRLs", m.saves)
	}
	plain := issuer(t, c.config())
	if err := plain.Revoke(t.Context(), noIssuer, leaf, 0); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("without a CRL: %v", err)
	}
	if err := plain.RefreshCRL(t.Context()); err != nil {
		t.Errorf("without a CRL: %v", err)
	}
	if crl, err := plain.CRL(t.Context()); crl != nil || err != nil {
		t.Errorf("without a CRL: %v, %v", crl, err)
	}
}

// A CRL that is not this CA's, or cannot be read, is never replaced by one that
// forgets what it says.
func TestCRLIsNotForgotten(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	leaf := issued(t, run(t, issuer(t, c.config()), webRequest(t)))
	other := newPair(t)
	foreign, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: start, NextUpdate: start.Add(time.Hour)},
		other.chain[0], other.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{"garbage": []byte("CRL"), "another CA's": foreign, "nothing": {}} {
		m := &memoryCRL{der: der}
		if err := withCRL(t, c, m, nil).Revoke(t.Context(), noIssuer, leaf, 0); err == nil || m.saves != 0 {
			t.Errorf("%s: %v, %d CRLs", name, err, m.saves)
		}
		if err := withCRL(t, c, m, nil).RefreshCRL(t.Context()); err == nil || m.saves != 0 {
			t.Errorf("%s: %v, %d CRLs", name, err, m.saves)
		}
	}
}

func TestCRLFailures(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	leaf := issued(t, run(t, issuer(t, c.config()), webRequest(t)))
	away := errors.New("storage is away")
	m := &memoryCRL{fails: away}
	if err := withCRL(t, c, m, nil).Revoke(t.Context(), noIssuer, leaf, 0); !errors.Is(err, away) {
		t.Errorf("%v", err)
	}
	// Saved by a call whose answer was lost: then it is there.
	if err := withCRL(t, c, m, nil).Revoke(t.Context(), noIssuer, leaf, 0); err != nil || m.saves != 1 {
		t.Errorf("%v, %d CRLs", err, m.saves)
	}
	cfg := c.config()
	cfg.LoadCRL, cfg.SaveCRL = func(context.Context) ([]byte, string, error) { return nil, "", away }, m.save
	if err := issuer(t, cfg).Revoke(t.Context(), noIssuer, leaf, 0); !errors.Is(err, away) {
		t.Errorf("%v", err)
	}
	cfg.LoadCRL, cfg.SaveCRL = new(memoryCRL).load, func(context.Context, []byte, string) error { return new(store.ConflictError) }
	if err := issuer(t, cfg).Revoke(t.Context(), noIssuer, leaf, 0); err == nil || !strings.Contains(err.Error(), "others keep publishing CRLs") {
		t.Errorf("%v", err)
	}
	wrong := newCA(t, nil, ecKey(t, elliptic.P256()), nil)
	cfg = c.config()
	cfg.LoadCRL, cfg.SaveCRL, cfg.Key = m.load, m.save, wrong.open
	second := issued(t, run(t, issuer(t, c.config()), webRequest(t)))
	if err := issuer(t, cfg).Revoke(t.Context(), noIssuer, second, 0); err == nil || m.saves != 1 {
		t.Errorf("another key: %v, %d CRLs", err, m.saves)
	}
}

// What is served follows what is published, by whomever, within a minute, and
// outlives a short absence of its place.
func TestCRLForOthers(t *testing.T) {
	t.Parallel()
	c, m, now := newPair(t), new(memoryCRL), start
	here, elsewhere := withCRL(t, c, m, &now), withCRL(t, c, m, &now)
	away := errors.New("storage is away")
	refreshed := start.Add(7*24*time.Hour + 2*time.Second).Unix()
	number := func(crl *x509.RevocationList) int64 {
		if crl == nil {
			return 0
		}
		return crl.Number.Int64()
	}
	for _, step := range []struct {
		after  time.Duration
		before func() error
		number int64 // 0: none
		loads  int   // by here, so far
		fails  bool
	}{
		{0, nil, 0, 1, false},
		{time.Second, nil, 0, 1, false},
		{2 * time.Second, func() error { return elsewhere.RefreshCRL(t.Context()) }, 0, 1, false},
		{time.Minute, nil, start.Unix() + 2, 2, false},
		{2*time.Minute - time.Second, nil, start.Unix() + 2, 2, false},
		{time.Hour, func() error { m.away = away; return nil }, start.Unix() + 2, 3, false},
		{time.Hour + 59*time.Second, nil, start.Unix() + 2, 3, false},
		{7*24*time.Hour + 2*time.Second, nil, 0, 4, true}, // it has run out
		{7*24*time.Hour + 2*time.Second, func() error { m.away = nil; return here.RefreshCRL(t.Context()) }, refreshed, 5, false},
	} {
		now = start.Add(step.after)
		if step.before != nil {
			loads := m.loads
			if err := step.before(); err != nil {
				t.Fatal(err)
			}
			if step.number != refreshed {
				m.loads = loads // those are elsewhere's
			}
		}
		if crl, err := here.CRL(t.Context()); number(crl) != step.number || m.loads != step.loads || (err != nil) != step.fails {
			t.Errorf("after %s: number %d, %v, read %d times; want number %d, read %d times", step.after, number(crl), err, m.loads, step.number, step.loads)
		}
	}
	// Its own publications count at once.
	if err := here.Revoke(t.Context(), noIssuer, issued(t, run(t, here, webRequest(t))), 0); err != nil {
		t.Fatal(err)
	}
	if crl, err := here.CRL(t.Context()); number(crl) != refreshed+1 || err != nil {
		t.Errorf("number %d, %v", number(crl), err)
	}
}
