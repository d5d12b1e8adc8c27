// Package ber brings BER to DER, so that what reads it needs one grammar alone.
//
// PKCS #7 and PKCS #12 allow BER (RFC 7292 section 4), and Bouncy Castle, NSS and
// others write it: indefinite lengths, strings in pieces, lengths that are longer
// than they need to be.
package ber

import (
	"errors"

	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxDepth bounds how deeply elements are nested. PKCS #12 needs fewer than ten
// levels between two OCTET STRINGs, whose content counts anew.
const maxDepth = 32

var (
	errCut     = errors.New("an element is longer than what holds it")
	errLength  = errors.New("a length cannot be read")
	errTag     = errors.New("a tag is not one that these formats use")
	errDepth   = errors.New("elements are nested too deeply")
	errStrings = errors.New("the pieces of an OCTET STRING are not OCTET STRINGs")
)

const constructed = 0x20

// ToDER returns the first element of data with definite lengths of the shortest
// form, every OCTET STRING in one piece, and what follows the element. What an
// OCTET STRING holds stays as it is. The time that it takes is linear in the size
// of data. ITU-T X.690 sections 8.1 and 8.7.
func ToDER(data []byte) (der, rest []byte, err error) {
	tag, content, rest, err := element(data, 0)
	if err != nil {
		return nil, nil, err
	}
	return appendElement(nil, tag, content), rest, nil
}

// element reads an element, of which the content comes back as DER.
func element(data []byte, depth int) (tag byte, content, rest []byte, err error) {
	if depth == maxDepth {
		return 0, nil, nil, errDepth
	}
	if len(data) < 2 {
		return 0, nil, nil, errCut
	}
	tag = data[0]
	if tag == 0 || tag&0x1f == 0x1f { // the end of contents, a tag of several bytes
		return 0, nil, nil, errTag
	}
	length, rest, indefinite, err := readLength(data[1:])
	switch {
	case err != nil:
		return 0, nil, nil, err
	case indefinite && tag&constructed == 0:
		return 0, nil, nil, errLength
	case indefinite:
		tag, content, rest, err = elements(tag, rest, true, depth)
		return tag, content, rest, err
	}
	inner := rest[:length]
	rest = rest[length:]
	if tag&constructed == 0 {
		return tag, inner, rest, nil
	}
	tag, content, _, err = elements(tag, inner, false, depth)
	return tag, content, rest, err
}

// elements reads what a constructed element of the tag holds, up to the end of
// data or up to the end of contents.
func elements(tag byte, data []byte, toEnd bool, depth int) (_ byte, content, rest []byte, err error) {
	pieces := tag == byte(asn1.OCTET_STRING)|constructed
	if pieces {
		tag = byte(asn1.OCTET_STRING)
	}
	content = []byte{}
	for {
		if toEnd && len(data) >= 2 && data[0] == 0 && data[1] == 0 {
			return tag, content, data[2:], nil
		}
		if !toEnd && len(data) == 0 {
			return tag, content, nil, nil
		}
		var innerTag byte
		var inner []byte
		innerTag, inner, data, err = element(data, depth+1)
		switch {
		case err != nil:
			return 0, nil, nil, err
		case pieces && innerTag != byte(asn1.OCTET_STRING):
			return 0, nil, nil, errStrings
		case pieces:
			content = append(content, inner...)
		default:
			content = appendElement(content, innerTag, inner)
		}
	}
}

// readLength reads the length bytes of an element, which is not longer than what
// follows them.
func readLength(data []byte) (length int, rest []byte, indefinite bool, err error) {
	first := data[0]
	data = data[1:]
	switch {
	case first == 0x80:
		return 0, data, true, nil
	case first < 0x80:
		length = int(first)
	default:
		n := int(first & 0x7f)
		if n > len(data) {
			return 0, nil, false, errCut
		}
		for _, b := range data[:n] {
			if length > len(data) {
				return 0, nil, false, errCut
			}
			length = length<<8 | int(b)
		}
		data = data[n:]
	}
	if length > len(data) {
		return 0, nil, false, errCut
	}
	return length, data, false, nil
}

func appendElement(out []byte, tag byte, content []byte) []byte {
	out = append(out, tag)
	n := len(content)
	if n < 0x80 {
		out = append(out, byte(n))
		return append(out, content...)
	}
	size := 1
	for n>>(8*size) > 0 {
		size++
	}
	out = append(out, 0x80|byte(size))
	for i := size - 1; i >= 0; i-- {
		out = append(out, byte(n>>(8*i)&0xff))
	}
	return append(out, content...)
}
