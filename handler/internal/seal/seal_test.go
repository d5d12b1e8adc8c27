package seal_test

// Sealed values: their format, and what does not open.

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/rootkey"
	"github.com/certwright/certwright/handler/internal/seal"
)

const vaultID = "6f9c2b1e"

// writeKEK writes a key file with 32 times the byte b and returns its path.
func writeKEK(t testing.TB, b byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kek")
	text := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32))
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func fileKEK(t testing.TB, b byte) *seal.FileKEK {
	t.Helper()
	kek, err := seal.NewFileKEK(writeKEK(t, b))
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

func newSealer(t testing.TB, vaultID string, kek seal.KEK, random io.Reader) *seal.Sealer {
	t.Helper()
	return newSealerWith(t, vaultID, kek, random, func(cfg *rootkey.Config) { cfg.UnsignedUntil = now.Add(time.Hour) })
}

// now is the time of all sealers.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var (
	rootA = strings.Repeat("0a", 16)
	rootB = strings.Repeat("0b", 16)
)

// newSealerWith is newSealer with other keys than those of root A.
func newSealerWith(t testing.TB, vaultID string, kek seal.KEK, random io.Reader, change func(*rootkey.Config)) *seal.Sealer {
	t.Helper()
	cfg := rootkey.Config{
		Partition: vaultID, Installation: rootB,
		Current: rootkey.Secret{ID: rootA, Value: bytes.Repeat([]byte{7}, 32)},
	}
	if change != nil {
		change(&cfg)
	}
	keys, err := rootkey.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.New(seal.Config{
		VaultID: vaultID, KEK: kek, Rand: random, Now: func() time.Time { return now },
		Keys: func(context.Context) (*rootkey.Keys, error) { return keys, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counter is a source of "randomness" that counts: 0, 1, 2, ...
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(*c)
		*c++
	}
	return len(p), nil
}

// sealedV1 is "secret", sealed by the first version of the format with a file
// key of 32 bytes 0x07 and counting randomness. It must open for ever. Another
// implementation, in Python, made the same bytes from the package comment.
const sealedV1 = "01" + // version
	"0015" + "66696c653a39326461613966636530623935306562" + // KEK id
	"003c" + "2c2d2e2f3031323334353637" + // wrapped DEK: nonce,
	"017d5155d5674a18ac902e2e868ad7e2bfaeaf50a10941a06130b30e86953920f43f66a94fd681f87bfa0d8ff2cee14d" + // ciphertext and tag
	"202122232425262728292a2b" + // nonce
	"a15fc50209ec6eff50230d052021aa9a0ac4020f2a91" // ciphertext and tag

// sealedV2 is "secret", sealed by the second version with counting randomness and
// the keys of root A. Another implementation, in Python, made the same bytes from the
// package comments.
const sealedV2 = "020a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2bdc293ab131e74d509a73fb4d16e88a98bce25f12286e"

func TestFormatsAreStable(t *testing.T) {
	t.Parallel()
	kek := fileKEK(t, 7)
	s := newSealer(t, vaultID, kek, new(counter))
	for what, test := range map[string]struct {
		seal func(ctx context.Context, kind, name, id string, plaintext []byte) ([]byte, error)
		want string
	}{
		"version 1": {newV1Sealer(t, vaultID, kek, new(counter)).Seal, sealedV1},
		"version 2": {s.Seal, sealedV2},
	} {
		sealed, err := test.seal(t.Context(), "key", "web", "0a1b", []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(sealed); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", what, got, test.want)
		}
		stored, err := hex.DecodeString(test.want)
		if err != nil {
			t.Fatal(err)
		}
		plaintext, err := s.Open(t.Context(), "key", "web", "0a1b", stored)
		if err != nil || string(plaintext) != "secret" {
			t.Errorf("%s: Open = %q, %v", what, plaintext, err)
		}
	}
}

// What 0.1.0 sealed, anybody can seal who knows the public half of a Key Vault key:
// it counts as long as rows without a MAC do. A backup comes from a caller.
func TestVersion1CountsForAWhile(t *testing.T) {
	t.Parallel()
	kek := fileKEK(t, 7)
	old := newV1Sealer(t, vaultID, kek, nil)
	for until, counts := range map[time.Duration]bool{time.Nanosecond: true, 0: false, -time.Hour: false} {
		s := newSealerWith(t, vaultID, kek, nil, func(cfg *rootkey.Config) { cfg.UnsignedUntil = now.Add(until) })
		for _, kind := range []string{"key", "credential", "account", seal.Backup} {
			sealed, err := old.Seal(t.Context(), kind, "web", "1", []byte("secret"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Open(t.Context(), kind, "web", "1", sealed)
			if want := counts || kind == seal.Backup; (err == nil) != want || err != nil && !errors.Is(err, seal.ErrRefused) {
				t.Errorf("a %s of version 1, which counts for %v more: %v", kind, until, err)
			}
		}
	}
}

// TestEarlierRoot: a value says under which root it was sealed.
func TestEarlierRoot(t *testing.T) {
	t.Parallel()
	kek := fileKEK(t, 7)
	second := func(cfg *rootkey.Config) {
		cfg.Others = []rootkey.Secret{cfg.Current}
		cfg.Current = rootkey.Secret{ID: rootB, Value: bytes.Repeat([]byte{8}, 32)}
	}
	only := func(cfg *rootkey.Config) { second(cfg); cfg.Others = nil }
	old := mustSeal(t, newV1Sealer(t, vaultID, kek, nil))
	first, err := newSealer(t, vaultID, kek, nil).Seal(t.Context(), "key", "web", "1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSealerWith(t, vaultID, kek, nil, second)
	current, err := s.Seal(t.Context(), "key", "web", "1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for i, roots := range [][2]string{{seal.RootOf(old), ""}, {seal.RootOf(nil), ""}, {seal.RootOf(first[:20]), ""}, {seal.RootOf(first), rootA}, {seal.RootOf(current), rootB}} {
		if roots[0] != roots[1] {
			t.Errorf("%d: root %q, want %q", i, roots[0], roots[1])
		}
	}
	if plain, err := s.Open(t.Context(), "key", "web", "1", first); err != nil || string(plain) != "secret" {
		t.Errorf("under an earlier root: %q, %v", plain, err)
	}
	if _, err := newSealerWith(t, vaultID, kek, nil, only).Open(t.Context(), "key", "web", "1", first); !errors.Is(err, seal.ErrUnknownKEK) {
		t.Errorf("Open under a root that is gone = %v, want ErrUnknownKEK", err)
	}
}

// A backup opens in every vault of the installation, and in no other.
func TestBackupsBelongToTheInstallation(t *testing.T) {
	t.Parallel()
	kek := fileKEK(t, 1)
	sealed, err := newSealer(t, "v1", kek, nil).Seal(t.Context(), seal.Backup, "", "V2", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newSealer(t, "v2", kek, nil).Open(t.Context(), seal.Backup, "", "V2", sealed); err != nil || string(got) != "secret" {
		t.Errorf("in another vault: %q, %v", got, err)
	}
	foreign := newSealerWith(t, "v1", kek, nil, func(cfg *rootkey.Config) { cfg.Installation = rootA })
	if _, err := foreign.Open(t.Context(), seal.Backup, "", "V2", sealed); !errors.Is(err, seal.ErrRefused) {
		t.Errorf("in another installation: %v, want ErrRefused", err)
	}
}

func TestWithoutKeysNothingIsSealed(t *testing.T) {
	t.Parallel()
	away := errors.New("the keys are away")
	s, err := seal.New(seal.Config{VaultID: vaultID, KEK: fileKEK(t, 1), Keys: func(context.Context) (*rootkey.Keys, error) { return nil, away }})
	if err != nil {
		t.Fatal(err)
	}
	_, sealing := s.Seal(t.Context(), "key", "web", "1", nil)
	_, opening := s.Open(t.Context(), "key", "web", "1", []byte{1})
	for what, err := range map[string]error{"Seal": sealing, "Open": opening} {
		if !errors.Is(err, away) {
			t.Errorf("%s = %v", what, err)
		}
	}
}

func TestCheckV1(t *testing.T) {
	t.Parallel()
	sealed := mustSeal(t, newV1Sealer(t, vaultID, fileKEK(t, 1), nil))
	v2, err := newSealer(t, vaultID, fileKEK(t, 1), nil).Seal(t.Context(), "key", "web", "1", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		kek    byte
		sealed []byte
		want   error
	}{{1, sealed, nil}, {2, sealed, seal.ErrUnknownKEK}, {2, v2, nil}, {1, sealed[:20], seal.ErrFormat}} {
		if err := seal.CheckV1(t.Context(), fileKEK(t, tt.kek), tt.sealed); !errors.Is(err, tt.want) {
			t.Errorf("CheckV1 of %d bytes = %v, want %v", len(tt.sealed), err, tt.want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	s := newSealer(t, vaultID, fileKEK(t, 1), nil)
	rapid.Check(t, func(rt *rapid.T) {
		kind, name, id := rapid.String().Draw(rt, "kind"), rapid.String().Draw(rt, "name"), rapid.String().Draw(rt, "id")
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(rt, "plaintext")
		sealed, err := s.Seal(t.Context(), kind, name, id, plaintext)
		if err != nil {
			rt.Fatal(err)
		}
		if len(plaintext) >= 8 && bytes.Contains(sealed, plaintext) {
			rt.Fatal("sealed value holds the plaintext")
		}
		got, err := s.Open(t.Context(), kind, name, id, sealed)
		if err != nil || !bytes.Equal(got, plaintext) {
			rt.Fatalf("Open = %x, %v, want %x", got, err, plaintext)
		}
	})
}

func TestEveryObjectHasItsOwnKeyAndNonce(t *testing.T) {
	t.Parallel()
	s := newSealer(t, vaultID, fileKEK(t, 1), nil)
	seen := make(map[string]bool)
	for range 100 {
		sealed, err := s.Seal(t.Context(), "key", "web", "1", []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		for what, part := range map[string][]byte{"salt": sealed[17:49], "nonce": sealed[49:61], "ciphertext": sealed[61:]} {
			if seen[what+string(part)] {
				t.Fatalf("%s %x twice", what, part)
			}
			seen[what+string(part)] = true
		}
	}
}

func TestOpenRefusesAnotherLabel(t *testing.T) {
	t.Parallel()
	kek := fileKEK(t, 1)
	s := newSealer(t, "v1", kek, nil)
	sealed, err := s.Seal(t.Context(), "key", "web", "1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ why, vaultID, kind, name, id string }{
		{"vault", "v2", "key", "web", "1"},
		{"kind", "v1", "backup", "web", "1"},
		{"name", "v1", "key", "api", "1"},
		{"id", "v1", "key", "web", "2"},
		{"case", "v1", "key", "Web", "1"},
		{"fields swapped", "v1", "web", "key", "1"},
		{"boundary moved", "v1", "key", "we", "b1"},
		{"boundary of the vault moved", "v", "1key", "web", "1"},
		{"empty", "v1", "", "", ""},
	} {
		got, err := newSealer(t, tt.vaultID, kek, nil).Open(t.Context(), tt.kind, tt.name, tt.id, sealed)
		if !errors.Is(err, seal.ErrRefused) || got != nil {
			t.Errorf("%s: Open = %q, %v, want ErrRefused", tt.why, got, err)
		}
	}
}

func TestOpenRefusesEveryAlteration(t *testing.T) {
	t.Parallel()
	kek := fileKEK(t, 1)
	s := newSealer(t, vaultID, kek, nil)
	v2, err := s.Seal(t.Context(), "key", "web", "1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	refusesEveryAlteration(t, s, v2)
	refusesEveryAlteration(t, s, mustSeal(t, newV1Sealer(t, vaultID, kek, nil)))
}

func refusesEveryAlteration(t *testing.T, s *seal.Sealer, sealed []byte) {
	t.Helper()
	refused := func(what string, altered []byte) {
		t.Helper()
		got, err := s.Open(t.Context(), "key", "web", "1", altered)
		if got != nil || err == nil {
			t.Errorf("%s: Open = %q, %v", what, got, err)
			return
		}
		if !errors.Is(err, seal.ErrFormat) && !errors.Is(err, seal.ErrUnknownKEK) && !errors.Is(err, seal.ErrRefused) {
			t.Errorf("%s: error of no known kind: %v", what, err)
		}
	}
	for i := range sealed {
		for bit := range 8 {
			altered := bytes.Clone(sealed)
			altered[i] ^= 1 << bit
			refused("flip", altered)
		}
		refused("cut short", sealed[:i])
		refused("byte taken out", append(bytes.Clone(sealed[:i]), sealed[i+1:]...))
	}
	refused("byte added", append(bytes.Clone(sealed), 0))
}

func TestOpenNamesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	sealed := mustSeal(t, newV1Sealer(t, vaultID, fileKEK(t, 1), nil))
	s := newSealer(t, vaultID, fileKEK(t, 2), nil)
	_, err := s.Open(t.Context(), "key", "web", "1", sealed)
	if !errors.Is(err, seal.ErrUnknownKEK) || !strings.Contains(err.Error(), string(sealed[3:24])) {
		t.Errorf("Open with another key = %v, want ErrUnknownKEK that names %s", err, sealed[3:24])
	}

	newer := bytes.Clone(sealed)
	newer[0] = 3
	_, err = s.Open(t.Context(), "key", "web", "1", newer)
	if !errors.Is(err, seal.ErrFormat) || !strings.Contains(err.Error(), "format version 3") {
		t.Errorf("Open of a newer format = %v, want ErrFormat that names version 3", err)
	}
}

func TestSealFailsWithoutRandomness(t *testing.T) {
	t.Parallel()
	// 44 bytes make salt and nonce.
	for _, n := range []int{0, 31, 43} {
		s := newSealer(t, vaultID, fileKEK(t, 1), bytes.NewReader(make([]byte, n)))
		if sealed, err := s.Seal(t.Context(), "key", "web", "1", []byte("secret")); err == nil {
			t.Errorf("with %d random bytes: Seal = %x, want an error", n, sealed)
		}
	}
}

func TestSealRefusesOversize(t *testing.T) {
	t.Parallel()
	s := newSealer(t, vaultID, fileKEK(t, 1), nil)
	if _, err := s.Seal(t.Context(), "backup", "web", "1", make([]byte, seal.MaxPlaintext+1)); err == nil {
		t.Error("Seal took more than MaxPlaintext")
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	keys := func(context.Context) (*rootkey.Keys, error) { return nil, nil }
	for _, cfg := range []seal.Config{{KEK: fileKEK(t, 1), Keys: keys}, {VaultID: vaultID, Keys: keys}, {VaultID: vaultID, KEK: fileKEK(t, 1)}} {
		if _, err := seal.New(cfg); err == nil {
			t.Errorf("New(%+v) succeeded", cfg)
		}
	}
}

func TestSealerConcurrently(t *testing.T) {
	t.Parallel()
	s := newSealer(t, vaultID, fileKEK(t, 1), nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			secret := bytes.Repeat([]byte{byte(i)}, 100)
			for range 50 {
				sealed, err := s.Seal(t.Context(), "key", "web", "1", secret)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := s.Open(t.Context(), "key", "web", "1", sealed); err != nil || !bytes.Equal(got, secret) {
					t.Errorf("Open = %x, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	s := newSealer(f, vaultID, fileKEK(f, 7), nil)
	stored, err := hex.DecodeString(sealedV1)
	if err != nil {
		f.Fatal(err)
	}
	second, err := hex.DecodeString(sealedV2)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stored)
	f.Add(second)
	f.Add(second[:len(second)-1])
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{1, 0xff, 0xff})
	f.Add(stored[:len(stored)-1])
	f.Fuzz(func(t *testing.T, sealed []byte) {
		got, err := s.Open(t.Context(), "key", "web", "0a1b", sealed)
		if err == nil && !bytes.Equal(sealed, stored) && !bytes.Equal(sealed, second) {
			t.Fatalf("Open accepted %x as %q", sealed, got)
		}
		if err != nil && got != nil {
			t.Fatalf("Open returned %q with error %v", got, err)
		}
	})
}

func BenchmarkSealOpen(b *testing.B) {
	s := newSealer(b, vaultID, fileKEK(b, 1), nil)
	key := make([]byte, 1200) // about an RSA 2048 key in PKCS#8
	for b.Loop() {
		sealed, err := s.Seal(b.Context(), "key", "web", "1", key)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Open(b.Context(), "key", "web", "1", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
