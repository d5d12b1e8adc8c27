package pbe

import (
	"context"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

// der is asn1.Marshal of values in a SEQUENCE.
func der(t testing.TB, values ...any) asn1.RawValue {
	t.Helper()
	var content []byte
	for _, value := range values {
		element, err := asn1.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, element...)
	}
	return asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: content}
}

var (
	oidPBES2   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBMAC1  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidPBKDF2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidMD5DES  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 3}
	oidAES256  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidHMAC512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
	oidSHA512  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	salt       = []byte("saltsalt")
)

// pbes2 is a scheme of AES-256 under a derivation.
func pbes2(t testing.TB, derivation asn1.RawValue) asn1.RawValue {
	return der(t, oidPBES2, der(t, derivation, der(t, oidAES256, make([]byte, 16))))
}

func pbkdf2Of(t testing.TB, iterations any, more ...any) asn1.RawValue {
	return der(t, oidPBKDF2, der(t, append([]any{salt, iterations}, more...)...))
}

func scryptOf(t testing.TB, n, r, p int) asn1.RawValue {
	return der(t, oidScrypt, der(t, salt, n, r, p))
}

func read(t testing.TB, scheme asn1.RawValue) (*Scheme, error) {
	t.Helper()
	data, err := asn1.Marshal(scheme)
	if err != nil {
		t.Fatal(err)
	}
	input := cryptobyte.String(data)
	return ReadScheme(&input)
}

func TestSchemeCosts(t *testing.T) {
	t.Parallel()
	huge := new(big.Int).Lsh(big.NewInt(1), 80)
	for name, c := range map[string]struct {
		scheme asn1.RawValue
		hashes int64 // 0: refused
	}{
		"PBKDF2, a key of two blocks":    {pbes2(t, pbkdf2Of(t, 1000)), 4000},
		"PBKDF2, HMAC-SHA-512":           {pbes2(t, pbkdf2Of(t, 1000, der(t, oidHMAC512))), 6000},
		"PBKDF2, the most":               {pbes2(t, pbkdf2Of(t, maxIterations)), 4 * maxIterations},
		"PBKDF2, one more":               {pbes2(t, pbkdf2Of(t, maxIterations+1)), 0},
		"PBKDF2, 2^31-1":                 {pbes2(t, pbkdf2Of(t, 1<<31-1)), 0},
		"PBKDF2, 2^80":                   {pbes2(t, pbkdf2Of(t, huge)), 0},
		"Triple DES: key, twice, and IV": {der(t, oidTripleDES, der(t, salt, 1000)), 3000},
		"Triple DES, one more":           {der(t, oidTripleDES, der(t, salt, maxIterations+1)), 0},
		"PBES1":                          {der(t, oidMD5DES, der(t, salt, 1000)), 1000},
		"PBES1, 2^80":                    {der(t, oidMD5DES, der(t, salt, huge)), 0},
		"scrypt as OpenSSL has it":       {pbes2(t, scryptOf(t, 16384, 8, 1)), 4 * 16384 * 8},
		"scrypt, all memory":             {pbes2(t, scryptOf(t, 32768, 8, 1)), 4 * 32768 * 8},
		"scrypt, more memory":            {pbes2(t, scryptOf(t, 65536, 8, 1)), 0},
		"scrypt, large blocks":           {pbes2(t, scryptOf(t, 2, 1<<18, 1)), 0},
		"scrypt, very parallel":          {pbes2(t, scryptOf(t, 2, 8, 1<<16)), 0},
		"scrypt, 2^40":                   {pbes2(t, scryptOf(t, 1<<40, 8, 1)), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := read(t, c.scheme)
			switch {
			case c.hashes == 0 && !errors.Is(err, ErrTooCostly):
				t.Errorf("%v, want %v", err, ErrTooCostly)
			case c.hashes > 0 && (err != nil || s.hashes != c.hashes):
				t.Errorf("%v, %v, want %d hashes", s, err, c.hashes)
			}
		})
	}
}

// What a Scheme costs is taken from what is left, and nothing is derived that
// cannot be paid or that nobody waits for.
func TestWork(t *testing.T) {
	t.Parallel()
	spent := 0
	s := &Scheme{
		hashes: 4,
		derive: func(Password) (_, _ []byte, _ error) { spent++; return nil, nil, nil },
		open:   func(_, _, _ []byte) ([]byte, error) { return nil, ErrWrongPassword },
	}
	work := &Work{left: 10}
	none := func([]byte) bool { return false }
	for _, want := range []error{ErrWrongPassword, ErrWrongPassword, ErrTooCostly} {
		if _, err := s.Try(t.Context(), work, Passwords("pw"), nil, none); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if spent != 2 || work.left != 2 {
		t.Errorf("derived %d times, %d hashes left; want 2 and 2", spent, work.left)
	}
	gone := errors.New("the client is gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := s.Try(ctx, NewWork(MaxHashes), Passwords("pw"), nil, none); err != gone || spent != 2 {
		t.Errorf("%v, derived %d times; want %v and 2", err, spent, gone)
	}
	// Both forms of no password are paid.
	work = &Work{left: 8}
	if _, err := s.Try(t.Context(), work, Passwords(""), nil, none); err != ErrWrongPassword || work.left != 0 {
		t.Errorf("%v, %d hashes left; want %v and 0", err, work.left, ErrWrongPassword)
	}
	// Where they are one, once.
	s.utf8 = true
	work = &Work{left: 8}
	if _, err := s.Try(t.Context(), work, Passwords(""), nil, none); err != ErrWrongPassword || work.left != 4 {
		t.Errorf("%v, %d hashes left; want %v and 4", err, work.left, ErrWrongPassword)
	}
}

func TestMACCosts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mac    asn1.RawValue
		hashes int64
	}{
		"no iterations":    {der(t, der(t, der(t, oidSHA1), make([]byte, 20)), salt), 1},
		"SHA-512":          {der(t, der(t, der(t, oidSHA512), make([]byte, 64)), salt, 1000), 3000},
		"too many":         {der(t, der(t, der(t, oidSHA1), make([]byte, 20)), salt, maxIterations+1), 0},
		"PBMAC1":           {der(t, der(t, der(t, oidPBMAC1, der(t, pbkdf2Of(t, 1000, 64, der(t, oidHMAC512)), der(t, oidHMAC512))), make([]byte, 64)), salt, 1), 6000},
		"PBMAC1, too many": {der(t, der(t, der(t, oidPBMAC1, der(t, pbkdf2Of(t, maxIterations+1, 64), der(t, oidHMAC512))), make([]byte, 64)), salt, 1), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := asn1.Marshal(c.mac)
			if err != nil {
				t.Fatal(err)
			}
			input := cryptobyte.String(data)
			m, err := ReadMAC(&input)
			switch {
			case c.hashes == 0 && !errors.Is(err, ErrTooCostly):
				t.Errorf("%v, want %v", err, ErrTooCostly)
			case c.hashes > 0 && (err != nil || m.hashes != c.hashes):
				t.Errorf("%v, %v, want %d hashes", m, err, c.hashes)
			}
		})
	}
}

// What is not known is named; what has not its form is said to have not.
func TestReadSchemeRefuses(t *testing.T) {
	t.Parallel()
	gcm := asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46}
	tagged := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, Bytes: salt}
	for name, c := range map[string]struct {
		scheme asn1.RawValue
		want   string
	}{
		"an unknown scheme":        {der(t, gcm), "the encryption algorithm 2.16.840.1.101.3.4.1.46 is not supported"},
		"an unknown cipher":        {der(t, oidPBES2, der(t, pbkdf2Of(t, 1), der(t, gcm))), "the encryption scheme 2.16.840.1.101.3.4.1.46 is not supported"},
		"an unknown derivation":    {pbes2(t, der(t, gcm, der(t, salt))), "the key derivation function 2.16.840.1.101.3.4.1.46 is not supported"},
		"an unknown PRF":           {pbes2(t, pbkdf2Of(t, 1, der(t, gcm))), "the pseudorandom function 2.16.840.1.101.3.4.1.46 is not supported"},
		"a salt under another tag": {pbes2(t, der(t, oidPBKDF2, der(t, tagged, 1<<31-1))), "the salt of the key derivation function cannot be read"},
		"a key of another length":  {pbes2(t, pbkdf2Of(t, 1, 16)), "the length of the derived key cannot be read"},
		"no iterations":            {der(t, oidTripleDES, der(t, salt)), "the iteration count cannot be read"},
		"zero iterations":          {der(t, oidTripleDES, der(t, salt, 0)), "the iteration count cannot be read"},
		"fewer than none":          {pbes2(t, pbkdf2Of(t, -1)), "the iteration count cannot be read"},
		"scrypt of no power of 2":  {pbes2(t, scryptOf(t, 1000, 8, 1)), "the cost of scrypt cannot be read"},
		"a short vector":           {der(t, oidPBES2, der(t, pbkdf2Of(t, 1), der(t, oidAES256, salt))), "the initialisation vector cannot be read"},
		"nothing":                  {der(t), "the encryption algorithm cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := read(t, c.scheme); err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}
