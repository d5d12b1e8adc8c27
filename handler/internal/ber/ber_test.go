package ber

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"testing"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestToDER(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte{7}, 300)
	for name, c := range map[string]struct{ ber, der, rest string }{
		"DER":                                {"3003020105", "3003020105", ""},
		"empty":                              {"3000", "3000", ""},
		"more than one element":              {"0500ff", "0500", "ff"},
		"indefinite length":                  {"30800201050000", "3003020105", ""},
		"nested indefinite lengths, closed":  {"3080a08002010500000000ee", "3005a003020105", "ee"},
		"a length of more bytes than needed": {"308400000003020105", "3003020105", ""},
		"a length of nine bytes":             {"3089000000000000000003020105", "3003020105", ""},
		"an OCTET STRING in pieces":          {"2480040101040202030000", "0403010203", ""},
		"pieces of a definite length":        {"24070401010402ffff", "040301ffff", ""},
		"pieces of pieces, closed":           {"248024030401010401020000", "04020102", ""},
		"no pieces":                          {"24800000", "0400", ""},
		"content that looks like BER":        {"040430800000", "040430800000", ""},
		"a length of two bytes":              {"0482012c" + hex.EncodeToString(long), "0482012c" + hex.EncodeToString(long), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der, rest, err := ToDER(unhex(t, c.ber))
			if err != nil {
				t.Fatal(err)
			}
			if hex.EncodeToString(der) != c.der || hex.EncodeToString(rest) != c.rest {
				t.Errorf("%x and %x, want %s and %s", der, rest, c.der, c.rest)
			}
		})
	}
}

func TestToDERRefuses(t *testing.T) {
	t.Parallel()
	deep := func(levels int) string {
		text := ""
		for range levels {
			text += "3080"
		}
		return text + "0500" + hex.EncodeToString(make([]byte, 2*levels))
	}
	for name, c := range map[string]struct {
		ber  string
		want error
	}{
		"nothing":                         {"", errCut},
		"a tag alone":                     {"30", errCut},
		"longer than the data":            {"0405ab", errCut},
		"longer than what holds it":       {"30030405ab", errCut},
		"a length of 2^63":                {"04887fffffffffffffff", errCut},
		"a length beyond the data":        {"0485", errCut},
		"not closed":                      {"3080020105", errCut},
		"closed once for two":             {"3080a0800201050000", errCut},
		"a primitive of no length":        {"0480ab0000", errLength},
		"a tag of several bytes":          {"bf8f0100", errTag},
		"the end of contents as element":  {"30020000", errTag},
		"pieces that are not strings":     {"2403020105", errStrings},
		"as deep as allowed and one more": {deep(maxDepth), errDepth},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := ToDER(unhex(t, c.ber)); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	if _, _, err := ToDER(unhex(t, deep(maxDepth-1))); err != nil {
		t.Errorf("as deep as allowed: %v", err)
	}
}

// What comes out is DER, and stays as it is when it goes in once more.
func FuzzToDER(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		der, _, err := ToDER(data)
		if err != nil {
			return
		}
		again, rest, err := ToDER(der)
		if err != nil || len(rest) > 0 || !bytes.Equal(again, der) {
			t.Fatalf("%x became %x and then %x, %x, %v", data, der, again, rest, err)
		}
		var raw asn1.RawValue
		if rest, err := asn1.Unmarshal(der, &raw); err != nil || len(rest) > 0 {
			t.Fatalf("%x became %x, which is not DER: %v", data, der, err)
		}
	})
}
