package pbe

import (
	"encoding/hex"
	"testing"
)

// RFC 2268 section 5.
func TestRC2(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key       string
		effective int
		plain     string
		cipher    string
	}{
		{"0000000000000000", 63, "0000000000000000", "ebb773f993278eff"},
		{"ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"},
		{"88", 64, "0000000000000000", "61a8a244adacccf0"},
		{"88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"},
		{"88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"},
		{"88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"},
		{"88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000", "5b78d3a43dfff1f1"},
	} {
		key, err := hex.DecodeString(c.key)
		if err != nil {
			t.Fatal(err)
		}
		block, err := hex.DecodeString(c.plain)
		if err != nil {
			t.Fatal(err)
		}
		cipher := newRC2(key, c.effective)
		cipher.Encrypt(block, block)
		if got := hex.EncodeToString(block); got != c.cipher {
			t.Errorf("%s of %s, %d bits: %s, want %s", c.plain, c.key, c.effective, got, c.cipher)
		}
		cipher.Decrypt(block, block)
		if got := hex.EncodeToString(block); got != c.plain {
			t.Errorf("and back: %s, want %s", got, c.plain)
		}
	}
}
