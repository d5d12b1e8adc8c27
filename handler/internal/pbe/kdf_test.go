package pbe

import (
	"encoding/hex"
	"slices"
	"testing"
)

// The vectors that Dr Stephen Henson computed for PKCS #12 ("smeg", "queeg"), as
// found in several implementations' tests.
func TestPKCS12Key(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		password, salt string
		iterations     int
		purpose        byte
		want           string
	}{
		{"smeg", "0a58cf64530d823f", 1, forKey, "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"},
		{"smeg", "0a58cf64530d823f", 1, forIV, "79993dfe048d3b76"},
		{"smeg", "3d83c0e4546ac140", 1, forMAC, "8d967d88f6caa9d714800ab3d48051d63f73a312"},
		{"queeg", "05dec959acff72f7", 1000, forKey, "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"},
		{"queeg", "05dec959acff72f7", 1000, forIV, "11dedad7758d4860"},
		{"queeg", "263216fcc2fab31c", 1000, forMAC, "5ec4c7a80df652294c3925b6489a7ab857c83476"},
	} {
		salt, err := hex.DecodeString(c.salt)
		if err != nil {
			t.Fatal(err)
		}
		got := hex.EncodeToString(pkcs12Key(sha1Hash, Passwords(c.password)[0].bmp, salt, c.iterations, c.purpose, len(c.want)/2))
		if got != c.want {
			t.Errorf("%s, %d: %s, want %s", c.password, c.purpose, got, c.want)
		}
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":  {"", "0000"},
		"a": {"00610000"},
		"é": {"00e90000", "00c300a90000"},             // the second of OpenSSL 1.0
		"😀": {"d83dde000000", "00f0009f009800800000"}, // a pair of surrogates
	} {
		var got []string
		for _, p := range Passwords(text) {
			got = append(got, hex.EncodeToString(p.bmp))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
