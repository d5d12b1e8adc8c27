package seal_test

// Key encryption keys in Key Vault.

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/seal"
)

// tokenExpiry lies far enough ahead for the SDK, which reads the real clock.
var tokenExpiry = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

const masterKey = testVault + "/keys/master"

// newKeyVaultKEK returns a KEK over v, as a fresh process has it.
func newKeyVaultKEK(t testing.TB, v *keyVault, keyID string, now func() time.Time) *seal.KeyVaultKEK {
	t.Helper()
	kek, err := seal.NewKeyVaultKEK(seal.KeyVaultConfig{
		KeyID:      keyID,
		Credential: scopeCredential{},
		HTTPClient: v.client(),
		Now:        now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

func mustSeal(t testing.TB, s *seal.Sealer) []byte {
	t.Helper()
	sealed, err := s.Seal(t.Context(), "key", "web", "1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func open(t testing.TB, s *seal.Sealer, sealed []byte) error {
	t.Helper()
	got, err := s.Open(t.Context(), "key", "web", "1", sealed)
	if err == nil && string(got) != "secret" {
		t.Errorf("Open = %q, want %q", got, "secret")
	}
	return err
}

func TestKeyVaultKEK(t *testing.T) {
	t.Parallel()
	v := newKeyVault(t)
	s := newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, nil), nil)
	if got := v.count(""); got != 0 {
		t.Errorf("construction made %d requests", got)
	}

	first, second := mustSeal(t, s), mustSeal(t, s)
	if !bytes.Contains(first, []byte(masterKey+"/"+version1)) {
		t.Error("sealed value does not hold the full key id")
	}
	if got := v.count("get"); got != 1 {
		t.Errorf("two seals fetched the public key %d times, want once", got)
	}
	for _, sealed := range [][]byte{first, second, first, second} {
		if err := open(t, s, sealed); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.count("unwrapkey"); got != 2 {
		t.Errorf("two values opened twice took %d unwraps, want 2", got)
	}

	another := newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, nil), nil)
	if err := open(t, another, first); err != nil {
		t.Errorf("Open in another process: %v", err)
	}
}

func TestKeyVaultKEKRotation(t *testing.T) {
	t.Parallel()
	v := newKeyVault(t)
	old := mustSeal(t, newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, nil), nil))
	v.set(func() { v.versions[version2], v.current = testKeys()[1], version2 })

	s := newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, nil), nil)
	sealed := mustSeal(t, s)
	if !bytes.Contains(sealed, []byte(version2)) {
		t.Error("value sealed after the rotation does not name the new version")
	}
	for _, sealed := range [][]byte{old, sealed} {
		if err := open(t, s, sealed); err != nil {
			t.Error(err)
		}
	}

	pinned := newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey+"/"+version1, nil), nil)
	if sealed := mustSeal(t, pinned); !bytes.Contains(sealed, []byte(version1)) {
		t.Error("a pinned version is not the one that seals")
	}
	if err := open(t, pinned, sealed); err != nil {
		t.Errorf("a pinned version does not open what another version sealed: %v", err)
	}

	v.set(func() { delete(v.versions, version1) })
	err := open(t, newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, nil), nil), old)
	if !errors.Is(err, seal.ErrUnknownKEK) || !strings.Contains(err.Error(), version1) {
		t.Errorf("Open under a deleted version = %v, want ErrUnknownKEK that names it", err)
	}
}

func TestKeyVaultKEKRefusesEveryAlteration(t *testing.T) {
	t.Parallel()
	v := newKeyVault(t)
	s := newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, nil), nil)
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
	for _, kek := range []seal.KEK{fileKEK(t, 1), newKeyVaultKEK(t, v, testVault+"/keys/other", nil)} {
		if err := open(t, newSealer(t, vaultID, kek, nil), sealed); !errors.Is(err, seal.ErrUnknownKEK) {
			t.Errorf("Open with another KEK = %v, want ErrUnknownKEK", err)
		}
	}
}

func TestKeyVaultKEKUnavailable(t *testing.T) {
	t.Parallel()
	v := newKeyVault(t)
	sealed := mustSeal(t, newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, nil), nil))
	s := newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, nil), nil)

	for _, tt := range []struct {
		why    string
		change func()
	}{
		{"disabled", func() { v.disabled = true }},
		{"access denied", func() { v.status = http.StatusForbidden }},
		{"broken", func() { v.status = http.StatusNotImplemented }}, // a 5xx that the SDK does not retry
	} {
		v.set(func() { v.disabled, v.status = false, 0; tt.change() })
		if err := open(t, s, sealed); !errors.Is(err, seal.ErrUnavailable) {
			t.Errorf("%s: Open = %v, want ErrUnavailable", tt.why, err)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error is a dump: %v", tt.why, err)
		}
		if _, err := s.Seal(t.Context(), "key", "web", "1", nil); !errors.Is(err, seal.ErrUnavailable) {
			t.Errorf("%s: Seal = %v, want ErrUnavailable", tt.why, err)
		}
	}

	v.set(func() { v.disabled, v.status = false, 0 })
	if err := open(t, s, sealed); err != nil {
		t.Errorf("Open after the vault came back: %v", err)
	}
	mustSeal(t, s)

	v.server.Close()
	if err := open(t, s, sealed); err != nil {
		t.Errorf("Open of a cached key without the vault: %v", err)
	}
}

func TestKeyVaultKEKForgetsAfterAnHour(t *testing.T) {
	t.Parallel()
	v := newKeyVault(t)
	var elapsed atomic.Int64
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return start.Add(time.Duration(elapsed.Load())) }
	s := newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, now), nil)
	sealed := mustSeal(t, s)
	if err := open(t, s, sealed); err != nil {
		t.Fatal(err)
	}
	v.set(func() { v.disabled = true })

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
	v := newKeyVault(t)
	for _, tt := range []struct {
		why string
		key map[string]any
	}{
		{"no unwrapKey", map[string]any{"key_ops": []string{"wrapKey"}}},
		{"elliptic", map[string]any{"kty": "EC"}},
		{"short", map[string]any{"n": strings.Repeat("_", 171)}}, // 1024 bits
		{"exponent zero", map[string]any{"e": "AA"}},
		{"another name", map[string]any{"kid": testVault + "/keys/other/" + version1}},
		{"another vault", map[string]any{"kid": "https://other.example.com/keys/master/" + version1}},
		{"no version", map[string]any{"kid": masterKey}},
		{"another version than pinned", map[string]any{"kid": masterKey + "/" + version2}},
	} {
		v.set(func() { v.key = tt.key })
		s := newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey+"/"+version1, nil), nil)
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
		"https://kek.example.com/keys/master/" + version1 + "/x", "https://kek.example.com/keys/master#f",
	} {
		if _, err := seal.NewKeyVaultKEK(seal.KeyVaultConfig{KeyID: id, Credential: scopeCredential{}, HTTPClient: http.DefaultClient}); err == nil {
			t.Errorf("NewKeyVaultKEK(%q) succeeded", id)
		}
	}
	for what, cfg := range map[string]seal.KeyVaultConfig{
		"a credential":   {KeyID: masterKey, HTTPClient: http.DefaultClient},
		"an HTTP client": {KeyID: masterKey, Credential: scopeCredential{}},
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
	v := newKeyVault(t)
	sealed := mustSeal(t, newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, nil), nil))
	before := v.count("get")
	s := newSealer(t, vaultID, newKeyVaultKEK(t, v, masterKey, nil), nil)
	hold := make(chan struct{})
	v.set(func() { v.hold = hold })

	hasty, giveUp := context.WithCancel(t.Context())
	var gaveUp, patient sync.WaitGroup
	gaveUp.Go(func() {
		if _, err := s.Open(hasty, "key", "web", "1", sealed); !errors.Is(err, context.Canceled) {
			t.Errorf("Open of a caller that gave up = %v, want context.Canceled", err)
		}
	})
	waitFor(t, func() bool { return v.count("unwrapkey") == 1 })
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
	waitFor(t, func() bool { return v.count("get") == before+1 })
	close(hold)
	patient.Wait()
	if got := v.count("unwrapkey"); got != 1 {
		t.Errorf("one value opened at once by many took %d unwraps, want 1", got)
	}
	if got := v.count("get") - before; got != 1 {
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
