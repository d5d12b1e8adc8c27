package seal_test

// Sealed values: their format, and what does not open.

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

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
	s, err := seal.New(seal.Config{VaultID: vaultID, KEK: kek, Rand: random})
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

func TestFormatIsStable(t *testing.T) {
	t.Parallel()
	s := newSealer(t, vaultID, fileKEK(t, 7), new(counter))
	sealed, err := s.Seal(t.Context(), "key", "web", "0a1b", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(sealed); got != sealedV1 {
		t.Errorf("Seal:\n got %s\nwant %s", got, sealedV1)
	}
	stored, err := hex.DecodeString(sealedV1)
	if err != nil {
		t.Fatal(err)
	}
	plaintext, err := s.Open(t.Context(), "key", "web", "0a1b", stored)
	if err != nil || string(plaintext) != "secret" {
		t.Errorf("Open = %q, %v", plaintext, err)
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
		wrapped, rest := sealed[26:86], sealed[86:]
		for what, part := range map[string][]byte{"wrapped key": wrapped, "nonce": rest[:12], "ciphertext": rest[12:]} {
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
	s := newSealer(t, vaultID, fileKEK(t, 1), nil)
	sealed, err := s.Seal(t.Context(), "key", "web", "1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
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
	s := newSealer(t, vaultID, fileKEK(t, 1), nil)
	sealed, err := s.Seal(t.Context(), "key", "web", "1", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}

	_, err = newSealer(t, vaultID, fileKEK(t, 2), nil).Open(t.Context(), "key", "web", "1", sealed)
	if !errors.Is(err, seal.ErrUnknownKEK) || !strings.Contains(err.Error(), string(sealed[3:24])) {
		t.Errorf("Open with another key = %v, want ErrUnknownKEK that names %s", err, sealed[3:24])
	}

	newer := bytes.Clone(sealed)
	newer[0] = 2
	_, err = s.Open(t.Context(), "key", "web", "1", newer)
	if !errors.Is(err, seal.ErrFormat) || !strings.Contains(err.Error(), "format version 2") {
		t.Errorf("Open of a newer format = %v, want ErrFormat that names version 2", err)
	}
}

func TestSealFailsWithoutRandomness(t *testing.T) {
	t.Parallel()
	// 44 bytes make the DEK and its nonce, 12 more wrap it.
	for _, n := range []int{0, 43, 44, 55} {
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

func TestNewNeedsVaultAndKEK(t *testing.T) {
	t.Parallel()
	for _, cfg := range []seal.Config{{KEK: fileKEK(t, 1)}, {VaultID: vaultID}} {
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
	f.Add(stored)
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{1, 0xff, 0xff})
	f.Add(stored[:len(stored)-1])
	f.Fuzz(func(t *testing.T, sealed []byte) {
		got, err := s.Open(t.Context(), "key", "web", "0a1b", sealed)
		if err == nil && !bytes.Equal(sealed, stored) {
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
