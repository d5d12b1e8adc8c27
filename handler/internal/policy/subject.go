package policy

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxSubject bounds a subject in bytes as written.
const maxSubject = 1024

// attribute is an AttributeTypeAndValue. RFC 5280 section 4.1.2.4.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// rdnSET is a RelativeDistinguishedName: attributes of different types. The
// suffix makes encoding/asn1 treat it as a SET OF.
type rdnSET []attribute

// parseSubject reads a distinguished name as Key Vault's clients write it and
// returns the DER of a Name. Its RDNs are encoded from the last that is written to the
// first, as by .NET and by RFC 4514 section 2.1. An empty string is the empty name.
//
// The syntax is that of .NET's X500DistinguishedName and of RFC 4514: pairs
// key=value, separated by comma or semicolon, or by plus within an RDN; keys
// are keywords or OIDs; a value is plain, or quoted ("" is a quote), or # and
// the hexadecimal BER of a string; a backslash stands before a special
// character or two hexadecimal digits of a byte of UTF-8.
func parseSubject(s string) ([]byte, error) {
	if len(s) > maxSubject {
		return nil, fmt.Errorf("subject of %d bytes: must be at most %d", len(s), maxSubject)
	}
	p := subjectParser{rest: strings.TrimLeft(s, " ")}
	var name []rdnSET
	for within := false; p.rest != "" || len(name) > 0; {
		a, err := p.attribute()
		if err != nil {
			return nil, err
		}
		if !within {
			name = append(name, nil)
		}
		rdn := &name[len(name)-1]
		if slices.ContainsFunc(*rdn, func(b attribute) bool { return b.Type.Equal(a.Type) }) {
			return nil, fmt.Errorf("attribute %s appears twice in one RDN", a.Type)
		}
		*rdn = append(*rdn, a)
		if p.rest == "" {
			break
		}
		within = p.rest[0] == '+'
		p.rest = p.rest[1:]
	}
	slices.Reverse(name)
	return asn1.Marshal(name)
}

// CommonNames are the values of CN in the subject, in the written order.
func (x X509Properties) CommonNames() []string {
	der, err := parseSubject(x.Subject)
	var name []rdnSET
	if err == nil {
		_, err = asn1.Unmarshal(der, &name)
	}
	if err != nil {
		return nil // the subject of a Policy has been read before
	}
	var values []string
	for _, rdn := range slices.Backward(name) {
		for _, a := range rdn {
			if !a.Type.Equal(oidCommonName) {
				continue
			}
			if text, ok := decodeString(a.Value.FullBytes); ok {
				values = append(values, text)
			}
		}
	}
	return values
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// subjectParser consumes a subject from the front.
type subjectParser struct{ rest string }

// attribute consumes one pair with the spaces around it, up to the separator
// or the end.
func (p *subjectParser) attribute() (attribute, error) {
	key, rest, ok := strings.Cut(p.rest, "=")
	if !ok {
		return attribute{}, fmt.Errorf("no = in %q", p.rest)
	}
	t, err := parseAttributeType(strings.Trim(key, " "))
	if err != nil {
		return attribute{}, err
	}
	p.rest = strings.TrimLeft(rest, " ")
	var text string
	switch {
	case strings.HasPrefix(p.rest, `"`):
		text, err = p.quoted()
	case strings.HasPrefix(p.rest, "#"):
		text, err = p.hexadecimal()
	default:
		text, err = p.plain()
	}
	if err != nil {
		return attribute{}, fmt.Errorf("value of %s: %w", t.keyword(), err)
	}
	if p.rest != "" && !strings.ContainsRune(separators, rune(p.rest[0])) {
		return attribute{}, fmt.Errorf("value of %s is followed by %q", t.keyword(), p.rest)
	}
	value, err := t.encode(text)
	return attribute{t.oid, value}, err
}

const separators = ",;+"

// plain consumes an unquoted value.
func (p *subjectParser) plain() (string, error) {
	var b []byte
	end := 0 // of b without the spaces before the separator
	for p.rest != "" && !strings.ContainsRune(separators, rune(p.rest[0])) {
		switch c := p.rest[0]; c {
		case '\\':
			c, err := p.escaped()
			if err != nil {
				return "", err
			}
			b = append(b, c)
			end = len(b)
		case '"':
			return "", errors.New("quote inside of an unquoted value")
		default:
			b = append(b, c)
			if c != ' ' {
				end = len(b)
			}
			p.rest = p.rest[1:]
		}
	}
	return string(b[:end]), nil
}

// quoted consumes a value in quotes and the spaces behind it.
func (p *subjectParser) quoted() (string, error) {
	var b []byte
	p.rest = p.rest[1:]
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == '\\':
			c, err := p.escaped()
			if err != nil {
				return "", err
			}
			b = append(b, c)
		case strings.HasPrefix(p.rest, `""`):
			b = append(b, '"')
			p.rest = p.rest[2:]
		case c == '"':
			p.rest = strings.TrimLeft(p.rest[1:], " ")
			return string(b), nil
		default:
			b = append(b, c)
			p.rest = p.rest[1:]
		}
	}
	return "", errors.New("quote without end")
}

// escaped consumes a backslash with what belongs to it.
func (p *subjectParser) escaped() (byte, error) {
	after := p.rest[1:]
	if after != "" && strings.ContainsRune(` "#+,;<=>\`, rune(after[0])) {
		p.rest = after[1:]
		return after[0], nil
	}
	if len(after) >= 2 {
		if b, err := hex.DecodeString(after[:2]); err == nil {
			p.rest = after[2:]
			return b[0], nil
		}
	}
	return 0, errors.New(`\ before neither a special character nor two hexadecimal digits`)
}

// hexadecimal consumes a value given as # and its BER. Only strings are taken,
// as readers of certificates take nothing else in a name; which string type
// holds the text is decided anew.
func (p *subjectParser) hexadecimal() (string, error) {
	end := strings.IndexAny(p.rest, separators)
	if end < 0 {
		end = len(p.rest)
	}
	ber, err := hex.DecodeString(strings.TrimRight(p.rest[1:end], " "))
	if err != nil {
		return "", fmt.Errorf("after #: %w", err)
	}
	text, ok := decodeString(ber)
	if !ok {
		return "", errors.New("the value after # is not the BER of a string")
	}
	p.rest = p.rest[end:]
	return text, nil
}

// decodeString reads the string types that a Name may hold.
func decodeString(ber []byte) (string, bool) {
	var v any
	rest, err := asn1.Unmarshal(ber, &v)
	s, ok := v.(string)
	return s, ok && err == nil && len(rest) == 0
}

// FormatSubject prints the DER of a Name in the syntax of parseSubject, its RDNs from
// the last that is encoded to the first.
func FormatSubject(der []byte) (string, error) {
	var name []rdnSET
	if rest, err := asn1.Unmarshal(der, &name); err != nil {
		return "", fmt.Errorf("reading a distinguished name: %w", err)
	} else if len(rest) != 0 {
		return "", errors.New("reading a distinguished name: trailing data")
	}
	var b strings.Builder
	for i, rdn := range slices.Backward(name) {
		if i < len(name)-1 {
			b.WriteString(", ")
		}
		for j, a := range rdn {
			if j > 0 {
				b.WriteString(" + ")
			}
			b.WriteString(a.String())
		}
	}
	return b.String(), nil
}

// String is the attribute as key=value.
func (a attribute) String() string {
	key := attributeTypeOf(a.Type).keyword()
	text, ok := decodeString(a.Value.FullBytes)
	if !ok {
		return key + "=#" + hex.EncodeToString(a.Value.FullBytes)
	}
	text = strings.ReplaceAll(text, `\`, `\\`)
	if text == "" || strings.Trim(text, " ") != text || strings.ContainsAny(text, `,;+"<>=#`) {
		text = `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	return key + "=" + text
}

// turned is a subject with its RDNs, as they are written, in the reverse order. It
// takes any text that FormatSubject prints, also of what parseSubject refuses.
func turned(s string) string {
	var rdns []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted // twice within a value, where it stands for one
		case !quoted && (c == ',' || c == ';'):
			rdns = append(rdns, s[start:i])
			start = i + 1
		}
	}
	if start == 0 {
		return s
	}
	rdns = append(rdns, s[start:])
	for i, rdn := range rdns {
		rdns[i] = strings.TrimLeft(rdn, " ")
	}
	slices.Reverse(rdns)
	return strings.Join(rdns, ", ")
}
