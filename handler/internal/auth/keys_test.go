package auth_test

// Signing keys of tokens: rotation, outages, and how often they are fetched.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certwright/certwright/handler/internal/auth"
)

// authenticate presents a good token that names kid and is signed with
// testKeys()[key].
func authenticate(t testing.TB, v *auth.Validator, c *clock, kid string, key int) error {
	t.Helper()
	_, err := v.Authenticate(t.Context(), bearer(sign(t, map[string]any{"kid": kid}, key, goodClaims(c))))
	return err
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	v := i.validator(t, c)
	if err := authenticate(t, v, c, "k0", 0); err != nil {
		t.Fatal(err)
	}
	i.set(func() { i.keys = append(i.keys, publicJWK("k1", &testKeys()[1].PublicKey)) })

	c.advance(time.Minute - 1)
	wantTokenError(t, "new key within a minute of the last fetch", authenticate(t, v, c, "k1", 1), "AKV10046")
	c.advance(1)
	if err := authenticate(t, v, c, "k1", 1); err != nil {
		t.Errorf("new key after a minute: %v", err)
	}
	if err := authenticate(t, v, c, "k0", 0); err != nil {
		t.Errorf("old key: %v", err)
	}
	if got := i.count(); got != 2 {
		t.Errorf("%d fetches, want 2", got)
	}

	// A key that was taken back is refused once the cache is old.
	i.set(func() { i.keys = i.keys[1:] })
	c.advance(12*time.Hour - 1)
	if err := authenticate(t, v, c, "k0", 0); err != nil {
		t.Errorf("withdrawn key while the cache is fresh: %v", err)
	}
	c.advance(1)
	wantTokenError(t, "withdrawn key", authenticate(t, v, c, "k0", 0), "AKV10046")
	if err := authenticate(t, v, c, "k1", 1); err != nil {
		t.Errorf("remaining key: %v", err)
	}
}

func TestUnknownKeysDoNotFloodTheIssuer(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	v := i.validator(t, c)
	flood := func() {
		var wg sync.WaitGroup
		for n := range 20 {
			token := sign(t, map[string]any{"kid": fmt.Sprint("unknown-", n)}, 1, goodClaims(c))
			wg.Go(func() {
				for range 10 {
					_, err := v.Authenticate(t.Context(), bearer(token))
					wantTokenError(t, "unknown key", err, "AKV10046")
				}
			})
		}
		wg.Wait()
	}
	for minute := 1; minute <= 3; minute++ {
		flood()
		if got := i.count(); got != minute {
			t.Errorf("%d fetches in %d intervals", got, minute)
		}
		c.advance(time.Minute)
	}
	i.set(func() { i.answer = status(500) })
	flood()
	if got := i.count(); got != 4 {
		t.Errorf("failing fetches: %d, want 4", got)
	}
}

func TestStrangersCauseNoFetch(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	v := i.validator(t, c)
	stranger := goodClaims(c, map[string]any{"iss": "https://evil.example.com"})
	_, err := v.Authenticate(t.Context(), bearer(sign(t, k0, 1, stranger)))
	wantTokenError(t, "stranger", err, "AKV10032")
	if got := i.count(); got != 0 {
		t.Errorf("a stranger's token caused %d fetches", got)
	}
}

func TestKeysUnavailable(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	var log bytes.Buffer
	cfg := i.config(c)
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	v := newValidator(t, cfg)
	large := `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`
	fetches := 0
	for _, tt := range []struct {
		why    string
		answer http.HandlerFunc
	}{
		{"broken", status(500)},
		{"not found", status(404)},
		{"redirect to the keys", http.RedirectHandler("/moved", http.StatusFound).ServeHTTP},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }},
		{"no keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) }},
		{"too large", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, large) }},
		{"cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		i.set(func() { i.answer = tt.answer })
		err := authenticate(t, v, c, "k0", 0)
		if _, isTokenError := errors.AsType[*auth.TokenError](err); isTokenError || !errors.Is(err, auth.ErrKeysUnavailable) {
			t.Errorf("%s: Authenticate = %v, want ErrKeysUnavailable", tt.why, err)
		}
		if fetches++; i.count() != fetches {
			t.Errorf("%s: %d fetches, want %d", tt.why, i.count(), fetches)
		}
		c.advance(5*time.Second - 1)
		if err := authenticate(t, v, c, "k0", 0); !errors.Is(err, auth.ErrKeysUnavailable) || i.count() != fetches {
			t.Errorf("%s, soon after: Authenticate = %v, %d fetches, want ErrKeysUnavailable without another fetch", tt.why, err, i.count())
		}
		c.advance(1)
	}

	i.set(func() { i.answer = nil })
	if err := authenticate(t, v, c, "k0", 0); err != nil {
		t.Errorf("after the issuer came back: %v", err)
	}
	if text := log.String(); !strings.Contains(text, "level=WARN") || strings.Contains(text, "eyJ") {
		t.Errorf("log has no warning or shows a token:\n%s", text)
	}
}

func TestOldKeysServeWhileTheIssuerIsDown(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	v := i.validator(t, c)
	if err := authenticate(t, v, c, "k0", 0); err != nil {
		t.Fatal(err)
	}
	i.set(func() { i.answer = status(503) })

	c.advance(48*time.Hour - 1)
	for range 3 {
		if err := authenticate(t, v, c, "k0", 0); err != nil {
			t.Errorf("just before 48 hours: %v", err)
		}
	}
	if got := i.count(); got != 2 {
		t.Errorf("%d fetches, want 2: the first and one that failed", got)
	}
	wantTokenError(t, "unknown key, issuer down", authenticate(t, v, c, "k1", 1), "AKV10046")
	c.advance(1)
	if err := authenticate(t, v, c, "k0", 0); !errors.Is(err, auth.ErrKeysUnavailable) {
		t.Errorf("after 48 hours: Authenticate = %v, want ErrKeysUnavailable", err)
	}
	i.set(func() { i.answer = nil })
	c.advance(5 * time.Second)
	if err := authenticate(t, v, c, "k0", 0); err != nil {
		t.Errorf("after the issuer came back: %v", err)
	}
}

// TestOneFetchForMany has many first requests at once, and the one that started
// the fetch gives up.
func TestOneFetchForMany(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	hold := make(chan struct{})
	i.set(func() { i.hold = hold })
	v := i.validator(t, c)
	header := bearer(sign(t, k0, 0, goodClaims(c)))

	hasty, giveUp := context.WithCancel(t.Context())
	var gaveUp, patient sync.WaitGroup
	gaveUp.Go(func() {
		_, err := v.Authenticate(hasty, header)
		if _, isTokenError := errors.AsType[*auth.TokenError](err); isTokenError || !errors.Is(err, context.Canceled) {
			t.Errorf("Authenticate of a caller that gave up = %v, want context.Canceled", err)
		}
	})
	waitFor(t, func() bool { return i.count() == 1 })
	for range 20 {
		patient.Go(func() {
			if _, err := v.Authenticate(t.Context(), header); err != nil {
				t.Error(err)
			}
		})
	}
	giveUp()
	gaveUp.Wait()
	close(hold)
	patient.Wait()
	if got := i.count(); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

// waitFor waits until condition holds, or fails the test.
func waitFor(t testing.TB, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatal("condition never held")
		case <-tick.C:
		}
	}
}

func TestUnsuitableKeysArePassedOver(t *testing.T) {
	t.Parallel()
	for why, change := range map[string]map[string]any{
		"no kid":              {"kid": ""},
		"elliptic":            {"kty": "EC", "crv": "P-256"},
		"for encryption":      {"use": "enc"},
		"for another method":  {"alg": "RS512"},
		"short":               {"n": strings.Repeat("_", 171)}, // 1024 bits
		"huge":                {"n": strings.Repeat("_", 2731)},
		"modulus not base64":  {"n": "!"},
		"even modulus":        {"n": strings.Repeat("_", 341) + "g"},
		"exponent 1":          {"e": "AQ"},
		"even exponent":       {"e": "AQAC"},
		"exponent too large":  {"e": "AQAAAAAB"},
		"exponent not base64": {"e": "="},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			i, c := newIssuer(t), newClock()
			odd := publicJWK("k1", &testKeys()[1].PublicKey)
			for member, value := range change {
				odd[member] = value
			}
			i.set(func() { i.keys = append([]map[string]any{odd}, i.keys...) })
			v := i.validator(t, c)
			wantTokenError(t, "odd key", authenticate(t, v, c, "k1", 1), "AKV10046")
			if err := authenticate(t, v, c, "k0", 0); err != nil {
				t.Errorf("good key beside it: %v", err)
			}
			i.set(func() { i.keys = i.keys[:1] })
			c.advance(12 * time.Hour)
			if err := authenticate(t, v, c, "k0", 0); err != nil {
				t.Errorf("old key, after a set without usable keys: %v", err)
			}
		})
	}
}

// roundTrip is an http.RoundTripper made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFetchTakesFiveSecondsAtMost(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t), newClock()
	header := bearer(sign(t, k0, 0, goodClaims(c)))
	synctest.Test(t, func(t *testing.T) { // in fake time
		cfg := i.config(c)
		cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		start := time.Now()
		if _, err := newValidator(t, cfg).Authenticate(t.Context(), header); !errors.Is(err, auth.ErrKeysUnavailable) {
			t.Errorf("Authenticate = %v, want ErrKeysUnavailable", err)
		}
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("gave up after %v, want 5s", got)
		}
	})
}
