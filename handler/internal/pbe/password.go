package pbe

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
)

// Password is a password in the forms in which the schemes take it.
type Password struct {
	utf8 string
	bmp  []byte // UTF-16, big endian, ended by two zeros
}

// Null is no password at all, which PKCS #12 tells from the empty one: zero bytes
// instead of two (RFC 7292 appendix B.1 appends the end to every string).
var Null Password

// Passwords are what a text may stand for, the likeliest first. Without a text it
// is the null or the empty password: programs write either, and few say which. A
// character beyond the Basic Multilingual Plane is a pair of surrogates, as in
// .NET, Java and OpenSSL; but OpenSSL before 1.1 took each byte of UTF-8 for a
// character, and still reads what it wrote.
func Passwords(text string) []Password {
	p := Password{text, terminated(utf16.Encode([]rune(text)))}
	if text == "" {
		return []Password{Null, p}
	}
	old := make([]uint16, len(text))
	for i := range len(text) {
		old[i] = uint16(text[i])
	}
	if o := terminated(old); !bytes.Equal(o, p.bmp) {
		return []Password{p, {text, o}}
	}
	return []Password{p}
}

func terminated(units []uint16) []byte {
	var bmp []byte
	for _, unit := range append(units, 0) {
		bmp = binary.BigEndian.AppendUint16(bmp, unit)
	}
	return bmp
}
