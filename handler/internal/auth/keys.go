package auth

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	keysTTL      = 12 * time.Hour  // after which keys are fetched again before use
	keysMaxStale = 48 * time.Hour  // up to which they serve when that fails
	keysInterval = time.Minute     // at least, between two fetches
	keysRetry    = 5 * time.Second // the same, when there are no keys to serve
	keysTimeout  = 5 * time.Second // for one fetch

	maxKeySet  = 1 << 20 // bytes of a JWK Set; Entra's has about 10 KiB
	maxKeys    = 100     // of those, the ones that are kept
	minRSABits = 2048
	maxRSABits = 8192
)

// ErrKeysUnavailable says that the issuer's signing keys cannot be fetched and
// none are cached, so tokens can be neither accepted nor refused. The same
// request may succeed later.
var ErrKeysUnavailable = errors.New("token signing keys are unavailable")

// errUnknownKey says that the issuer does not publish the key that a token names.
var errUnknownKey = errors.New("unknown signing key")

// A keySet is an issuer's published signing keys. They are fetched when a token
// needs them: at first, when they are old, and when a token names a key that is
// not among them, but then at most once in keysInterval, whatever tokens arrive.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time
	log    *slog.Logger

	flights singleflight.Group

	mu      sync.Mutex                // guards what follows
	keys    map[string]*rsa.PublicKey // by kid; replaced, never changed
	fetched time.Time                 // when keys were
	tried   time.Time                 // when the last fetch ended, good or bad
}

func newKeySet(url string, client *http.Client, now func() time.Time, log *slog.Logger) *keySet {
	// A redirect could lead to keys that are not the issuer's.
	refusing := *client
	refusing.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &keySet{url: url, client: &refusing, now: now, log: log}
}

// find returns the key that kid names, errUnknownKey, or ErrKeysUnavailable.
func (s *keySet) find(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	key, mustFetch, err := s.cached(kid)
	if !mustFetch {
		return key, err
	}
	fetched := s.flights.DoChan("", func() (any, error) {
		if _, mustFetch, _ := s.cached(kid); mustFetch { // still, now that no other fetch is under way
			s.refresh(context.WithoutCancel(ctx))
		}
		return nil, nil
	})
	select {
	case <-fetched:
		key, _, err = s.cached(kid)
		return key, err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for token signing keys: %w", ctx.Err())
	}
}

// cached answers from memory, or says that the keys must be fetched first. Soon
// after a fetch it always answers, with an old key if need be.
func (s *keySet) cached(kid string) (key *rsa.PublicKey, mustFetch bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	age := now.Sub(s.fetched)
	usable := s.keys != nil && age < keysMaxStale
	interval := keysRetry
	if usable {
		key = s.keys[kid]
		interval = keysInterval
	}
	switch {
	case key != nil && age < keysTTL:
		return key, false, nil
	case s.tried.IsZero() || now.Sub(s.tried) >= interval:
		return nil, true, nil
	case key != nil:
		return key, false, nil
	case usable:
		return nil, false, errUnknownKey
	default:
		return nil, false, ErrKeysUnavailable
	}
}

// refresh fetches the keys. When that fails the old ones stay.
func (s *keySet) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)
	if err != nil {
		s.log.Warn("fetching token signing keys failed", "url", s.url, "error", err)
	} else {
		s.log.Info("fetched token signing keys", "url", s.url, "keys", len(keys))
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = s.now()
	if err == nil {
		s.keys, s.fetched = keys, s.tried
	}
}

func (s *keySet) fetch(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxKeySet {
		return nil, fmt.Errorf("more than %d bytes", maxKeySet)
	}
	return parseKeySet(body)
}

// jwk is the part of a JSON Web Key (RFC 7517, RFC 7518 section 6.3.1) that an RSA
// signing key needs.
type jwk struct {
	KeyType  string `json:"kty"`
	Use      string `json:"use"`
	Alg      string `json:"alg"`
	ID       string `json:"kid"`
	Modulus  string `json:"n"`
	Exponent string `json:"e"`
}

// parseKeySet returns the keys of a JWK Set that can sign with RS256. Others are
// passed over, as RFC 7517 section 5 wants; a set without any is an error.
func parseKeySet(body []byte) (map[string]*rsa.PublicKey, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("reading JWK Set: %w", err)
	}
	keys := make(map[string]*rsa.PublicKey)
	for _, k := range set.Keys {
		if key := k.rsa(); key != nil && len(keys) < maxKeys {
			keys[k.ID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("JWK Set without RSA signing keys")
	}
	return keys, nil
}

// rsa returns the public key in k, or nil if it is not one for RS256.
func (k jwk) rsa() *rsa.PublicKey {
	if k.ID == "" || k.KeyType != "RSA" || k.Use != "" && k.Use != "sig" || k.Alg != "" && k.Alg != "RS256" {
		return nil
	}
	modulus, err := base64.RawURLEncoding.DecodeString(k.Modulus)
	if err != nil {
		return nil
	}
	exponent, err := base64.RawURLEncoding.DecodeString(k.Exponent)
	if err != nil || len(exponent) > 4 {
		return nil
	}
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent).Int64()
	if n.BitLen() < minRSABits || n.BitLen() > maxRSABits || n.Bit(0) == 0 || e < 3 || e > 1<<31-1 || e%2 == 0 {
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(e)}
}
