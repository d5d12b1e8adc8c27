package pbe

import "unicode/utf16"

// Password is a password in the forms in which the schemes take it.
type Password struct {
	utf8 string
	bmp  []byte // UTF-16, big endian, ended by two zeros
}

// Null is no password at all, which PKCS #12 tells from the empty one: zero bytes
// instead of two (RFC 7292 appendix B.1 appends the end to every string).
var Null Password

// Passwords are what a text may stand for. Without a text it is the null or the
// empty password: programs write either, and few say which. A character beyond the
// Basic Multilingual Plane is a pair of surrogates, as in .NET, Java and OpenSSL.
func Passwords(text string) []Password {
	var bmp []byte
	for _, unit := range append(utf16.Encode([]rune(text)), 0) {
		bmp = append(bmp, byte(unit>>8), byte(unit))
	}
	p := Password{text, bmp}
	if text == "" {
		return []Password{Null, p}
	}
	return []Password{p}
}
