package seal_test

// Key encryption keys in Key Vault.

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/seal"
	"github.com/certwright/certwright/handler/internal/seal/kektest"
)

const masterKey = kektest.Key

func mustSeal(t testing.TB, s *v1Sealer) []byte {
	t.Helper()
	sealed, err := s.Seal(t.Context(), "key", "web", "1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func open(t testing.TB, s *v1Sealer, sealed []byte) error {
	t.Helper()
	got, err := s.Open(t.Context(), "key", "web", "1", sealed)
	if err == nil && string(got) != "secret" {
		t.Errorf("Open = %q, want %q", got, "secret")
	}
	return err
}

func TestKeyVaultKEK(t *testing.T) {
	t.Parallel()
	v := kektest.New(t)
	s := newV1Sealer(t, vaultID, v.KEK(t, masterKey, nil), nil)
	if got := v.Count(""); got != 0 {
		t.Errorf("construction made %d requests", got)
	}

	first, second := mustSeal(t, s), mustSeal(t, s)
	if !bytes.Contains(first, []byte(masterKey+"/"+kektest.Version1)) {
		t.Error("sealed value does not hold the full key id")
	}
	if got := v.Count("get"); got != 1 {
		t.Errorf("two seals fetched the public key %d times, want once", got)
	}
	for _, sealed := range [][]byte{first, second, first, second} {
		if err := open(t, s, sealed); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.Count("unwrapkey"); got != 2 {
		t.Errorf("two values opened twice took %d unwraps, want 2", got)
	}

	another := newV1Sealer(t, vaultID, v.KEK(t, masterKey, nil), nil)
	if err := open(t, another, first); err != nil {
		t.Errorf("Open in another process: %v", err)
	}
}

func TestKeyVaultKEKRotation(t *testing.T) {
	t.Parallel()
	v := kektest.New(t)
	old := mustSeal(t, newV1Sealer(t, vaultID, v.KEK(t, masterKey, nil), nil))
	v.Set(func() { v.Versions[kektest.Version2], v.Current = kektest.Keys()[1], kektest.Version2 })

	s := newV1Sealer(t, vaultID, v.KEK(t, masterKey, nil), nil)
	sealed := mustSeal(t, s)
	if !bytes.Contains(sealed, []byte(kektest.Version2)) {
		t.Error("value sealed after the rotation does not name the new version")
	}
	for _, sealed := range [][]byte{old, sealed} {
		if err := open(t, s, sealed); err != nil {
			t.Error(err)
		}
	}

	pinned := newV1Sealer(t, vaultID, v.KEK(t, masterKey+"/"+kektest.Version1, nil), nil)
	if sealed := mustSeal(t, pinned); !bytes.Contains(sealed, []byte(kektest.Version1)) {
		t.Error("a pinned version is not the one that seals")
	}
	if err := open(t, pinned, sealed); err != nil {
		t.Errorf("a pinned version does not open what another version sealed: %v", err)
	}

	v.Set(func() { delete(v.Versions, kektest.Version1) })
	err := open(t, newV1Sealer(t, vaultID, v.KEK(t, masterKey, nil), nil), old)
	if !errors.Is(err, seal.ErrUnknownKEK) || !strings.Contains(err.Error(), kektest.Version1) {
		t.Errorf("Open under a deleted version = %v, want ErrUnknownKEK that names it", err)
	}
}

func TestKeyVaultKEKRefusesEveryAlteration(t *testing.T) {
	t.Parallel()
	v := kektest.New(t)
	s := newV1Sealer(t, vaultID, v.KEK(t, masterKey, nil), nil)
	sealed := mustSeal(t, s)
	if err := open(t, s, sealed); err != nil { // now the DEK is cached
		t.Fatal(err)
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 0x01
		got, err := s.Open(t.Context(), "key", "web", "1", altered)
		if got != nil || err == nil {
			t.Fatalf("byte %d altered: Open = %q, %v", i, got, err)
		}
		if !errors.Is(err, seal.ErrFormat) && !errors.Is(err, seal.ErrUnknownKEK) && !errors.Is(err, seal.ErrRefused) {
			t.Fatalf("byte %d altered: error of no known kind: %v", i, err)
		}
	}
	for _, kek := range []seal.KEK{fileKEK(t, 1), v.KEK(t, kektest.Vault+"/keys/other", nil)} {
		if err := open(t, newV1Sealer(t, vaultID, kek, nil), sealed); !errors.Is(err, seal.ErrUnknownKEK) {
			t.Errorf("Open with another KEK = %v, want ErrUnknownKEK", err)
		}
	}
}

func TestKeyVaultKEKUnavailable(t *testing.T) {
	t.Parallel()
	v := kektest.New(t)
	sealed := mustSeal(t, newV1Sealer(t, vaultID, v.KEK(t, masterKey, nil), nil))
	s := newV1Sealer(t, vaultID, v.KEK(t, masterKey, nil), nil)

	for _, tt := range []struct {
		why    string
		change func()
	}{
		{"disabled", func() { v.Disabled = true }},
		{"access denied", func() { v.Status = http.StatusForbidden }},
		{"broken", func() { v.Status = http.StatusNotImplemented }}, // a 5xx that the SDK does not retry
	} {
		v.Set(func() { v.Disabled, v.Status = false, 0; tt.change() })
		if err := open(t, s, sealed); !errors.Is(err, seal.ErrUnavailable) {
			t.Errorf("%s: Open = %v, want ErrUnavailable", tt.why, err)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error is a dump: %v", tt.why, err)
		}
		if _, err := s.Seal(t.Context(), "key", "web", "1", nil); !errors.Is(err, seal.ErrUnavailable) {
			t.Errorf("%s: Seal = %v, want ErrUnavailable", tt.why, err)
		}
	}

	v.Set(func() { v.Disabled, v.Status = false, 0 })
	if err := open(t, s, sealed); err != nil {
		t.Errorf("Open after the vault came back: %v", err)
	}
	mustSeal(t, s)

	v.Close()
	if err := open(t, s, sealed); err != nil {
		t.Errorf("Open of a cached key without the vault: %v", err)
	}
}

func TestKeyVaultKEKForgetsAfterAnHour(t *testing.T) {
	t.Parallel()
	v := kektest.New(t)
	var elapsed atomic.Int64
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return start.Add(time.Duration(elapsed.Load())) }
	s := newV1Sealer(t, vaultID, v.KEK(t, masterKey, now), nil)
	sealed := mustSeal(t, s)
	if err := open(t, s, sealed); err != nil {
		t.Fatal(err)
	}
	v.Set(func() { v.Disabled = true })

	elapsed.Store(int64(time.Hour - 1))
	if err := open(t, s, sealed); err != nil {
		t.Errorf("Open just before an hour is over: %v", err)
	}
	elapsed.Store(int64(time.Hour))
	if err := open(t, s, sealed); !errors.Is(err, seal.ErrUnavailable) {
		t.Errorf("Open after an hour = %v, want ErrUnavailable", err)
	}
}

func TestKeyVaultKEKRefusesUnsuitableKeys(t *testing.T) {
	t.Parallel()
	v := kektest.New(t)
	for _, tt := range []struct {
		why string
		key map[string]any
	}{
		{"no unwrapKey", map[string]any{"key_ops": []string{"wrapKey", "sign"}}},
		{"no sign", map[string]any{"key_ops": []string{"wrapKey", "unwrapKey"}}},
		{"elliptic", map[string]any{"kty": "EC"}},
		{"short", map[string]any{"n": strings.Repeat("_", 171)}}, // 1024 bits
		{"exponent zero", map[string]any{"e": "AA"}},
		{"another name", map[string]any{"kid": kektest.Vault + "/keys/other/" + kektest.Version1}},
		{"another vault", map[string]any{"kid": "https://other.example.com/keys/master/" + kektest.Version1}},
		{"no version", map[string]any{"kid": masterKey}},
		{"another version than pinned", map[string]any{"kid": masterKey + "/" + kektest.Version2}},
	} {
		v.Set(func() { v.JWK = tt.key })
		s := newV1Sealer(t, vaultID, v.KEK(t, masterKey+"/"+kektest.Version1, nil), nil)
		if _, err := s.Seal(t.Context(), "key", "web", "1", nil); !errors.Is(err, seal.ErrUnavailable) {
			t.Errorf("%s: Seal = %v, want ErrUnavailable", tt.why, err)
		}
	}
}

func TestNewKeyVaultKEKRefusesOddIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"", "master", "http://kek.example.com/keys/master", "https://kek.example.com", "https://kek.example.com/keys/",
		"https://kek.example.com/secrets/master", "https://kek.example.com/keys/master/1", "https:///keys/master",
		"https://u:p@kek.example.com/keys/master", "https://kek.example.com/keys/master?x=1", "https://kek.example.com/keys/a%2Fb",
		"https://kek.example.com/keys/master/" + kektest.Version1 + "/x", "https://kek.example.com/keys/master#f",
	} {
		if _, err := seal.NewKeyVaultKEK(seal.KeyVaultConfig{KeyID: id, Credential: kektest.Credential{}, HTTPClient: http.DefaultClient}); err == nil {
			t.Errorf("NewKeyVaultKEK(%q) succeeded", id)
		}
	}
	for what, cfg := range map[string]seal.KeyVaultConfig{
		"a credential":   {KeyID: masterKey, HTTPClient: http.DefaultClient},
		"an HTTP client": {KeyID: masterKey, Credential: kektest.Credential{}},
	} {
		if _, err := seal.NewKeyVaultKEK(cfg); err == nil {
			t.Errorf("NewKeyVaultKEK succeeded without %s", what)
		}
	}
}

// TestKeyVaultKEKSingleFlight has many callers want the same two things at once,
// while the first of them gives up.
func TestKeyVaultKEKSingleFlight(t *testing.T) {
	t.Parallel()
	v := kektest.New(t)
	sealed := mustSeal(t, newV1Sealer(t, vaultID, v.KEK(t, masterKey, nil), nil))
	before := v.Count("get")
	s := newV1Sealer(t, vaultID, v.KEK(t, masterKey, nil), nil)
	hold := make(chan struct{})
	v.Set(func() { v.Hold = hold })

	hasty, giveUp := context.WithCancel(t.Context())
	var gaveUp, patient sync.WaitGroup
	gaveUp.Go(func() {
		if _, err := s.Open(hasty, "key", "web", "1", sealed); !errors.Is(err, context.Canceled) {
			t.Errorf("Open of a caller that gave up = %v, want context.Canceled", err)
		}
	})
	waitFor(t, func() bool { return v.Count("unwrapkey") == 1 })
	for range 20 {
		patient.Go(func() {
			if err := open(t, s, sealed); err != nil {
				t.Error(err)
			}
		})
		patient.Go(func() {
			if _, err := s.Seal(t.Context(), "key", "web", "2", []byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	giveUp()
	gaveUp.Wait()
	waitFor(t, func() bool { return v.Count("get") == before+1 })
	close(hold)
	patient.Wait()
	if got := v.Count("unwrapkey"); got != 1 {
		t.Errorf("one value opened at once by many took %d unwraps, want 1", got)
	}
	if got := v.Count("get") - before; got != 1 {
		t.Errorf("many seals at once fetched the public key %d times, want 1", got)
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

func TestKeyVaultKEKSigns(t *testing.T) {
	t.Parallel()
	v := kektest.New(t)
	kek := v.KEK(t, masterKey, nil)
	id := masterKey + "/" + kektest.Version1
	signature, err := kek.Sign(t.Context(), id, []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	another := v.KEK(t, masterKey, nil)
	for range 3 {
		if err := another.Verify(t.Context(), id, []byte("message"), signature); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.Count("get"); got != 1 {
		t.Errorf("three verifications fetched the public key %d times, want once", got)
	}

	// The version that signed verifies, whichever is current.
	v.Set(func() { v.Versions[kektest.Version2], v.Current = kektest.Keys()[1], kektest.Version2 })
	if err := v.KEK(t, masterKey, nil).Verify(t.Context(), id, []byte("message"), signature); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	altered := bytes.Clone(signature)
	altered[7] ^= 1
	for _, tt := range []struct {
		why, id, message string
		signature        []byte
		want             error
	}{
		{"another message", id, "massage", signature, seal.ErrRefused},
		{"an altered signature", id, "message", altered, seal.ErrRefused},
		{"no signature", id, "message", nil, seal.ErrRefused},
		{"another version", masterKey + "/" + kektest.Version2, "message", signature, seal.ErrRefused},
		{"another key", kektest.Vault + "/keys/other/" + kektest.Version1, "message", signature, seal.ErrUnknownKEK},
		{"another vault's key", "https://evil.example.com/keys/master/" + kektest.Version1, "message", signature, seal.ErrUnknownKEK},
		{"no version", masterKey, "message", signature, seal.ErrUnknownKEK},
		{"a version that is gone", masterKey + "/" + strings.Repeat("c", 32), "message", signature, seal.ErrUnknownKEK},
	} {
		if err := another.Verify(t.Context(), tt.id, []byte(tt.message), tt.signature); !errors.Is(err, tt.want) {
			t.Errorf("%s: Verify = %v, want %v", tt.why, err, tt.want)
		}
	}
}

// TestKeyVaultKEKCheck asks the vault whatever is remembered, and tells its answers
// from its silence.
func TestKeyVaultKEKCheck(t *testing.T) {
	t.Parallel()
	v := kektest.New(t)
	kek := v.KEK(t, masterKey, nil)
	id, wrapped, err := kek.Wrap(t.Context(), rand.Reader, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kek.Unwrap(t.Context(), id, wrapped); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		why    string
		change func()
		want   error
		denied bool
	}{
		{"all is well", func() {}, nil, false},
		{"disabled", func() { v.Disabled = true }, seal.ErrUnavailable, true},
		{"access denied", func() { v.Status = http.StatusForbidden }, seal.ErrUnavailable, true},
		{"gone", func() { v.Status = http.StatusNotFound }, seal.ErrUnknownKEK, false},
		{"broken", func() { v.Status = http.StatusNotImplemented }, seal.ErrUnavailable, false},
	} {
		v.Set(func() { v.Disabled, v.Status = false, 0; tt.change() })
		err := kek.Check(t.Context(), id, wrapped)
		if !errors.Is(err, tt.want) || errors.Is(err, seal.ErrDenied) != tt.denied {
			t.Errorf("%s: Check = %v, want %v, denied %v", tt.why, err, tt.want, tt.denied)
		}
		if _, err := kek.Unwrap(t.Context(), id, wrapped); err != nil {
			t.Errorf("%s: Unwrap of what is remembered: %v", tt.why, err)
		}
	}
	v.Close()
	if err := kek.Check(t.Context(), id, wrapped); !errors.Is(err, seal.ErrUnavailable) || errors.Is(err, seal.ErrDenied) {
		t.Errorf("without the vault: Check = %v, want ErrUnavailable that nobody answered", err)
	}
}
