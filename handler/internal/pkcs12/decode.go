package pkcs12

import (
	"context"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/ber"
	"github.com/certwright/certwright/handler/internal/pbe"
)

// File is what a PKCS #12 file holds, each kind in the file's order. CRLs and
// secrets of other kinds are passed over.
type File struct {
	Keys         []Key
	Certificates []Certificate
}

// Key is a private key, not encrypted any more.
type Key struct {
	PKCS8 []byte // PrivateKeyInfo as DER; not checked but for its outermost form
	Attributes
}

// Certificate is an X.509 certificate.
type Certificate struct {
	DER []byte // not checked
	Attributes
}

// Attributes say what belongs together.
type Attributes struct {
	LocalKeyID   []byte // the same on a key and its certificate; nil: none
	FriendlyName string
}

// Limits of a file.
const (
	maxParts = 500 // content infos and bags together
	maxDepth = 8   // of safe contents within safe contents
)

var errParts = errors.New("it has too many parts, or they are nested too deeply")

// Decode reads a file of BER. An empty password stands for the null password too.
// What follows the file is passed over, as Windows does.
//
// The error is pbe.ErrWrongPassword or pbe.ErrMissingPassword, pbe.ErrTooCostly, a
// *pbe.UnsupportedError, a *pbe.MalformedError or the error of ctx.
func Decode(ctx context.Context, file []byte, password string) (*File, error) {
	d := &decoder{ctx: ctx, work: pbe.NewWork(pbe.MaxHashes), passwords: pbe.Passwords(password)}
	err := d.file(file)
	if errors.Is(err, pbe.ErrWrongPassword) {
		err = pbe.Refused(password)
	}
	if err != nil {
		return nil, err
	}
	return &d.found, nil
}

// Is reports whether data starts like a PKCS #12 file: a SEQUENCE whose first
// element is the version 3. Neither a certificate nor PKCS #7 does.
func Is(data []byte) bool {
	der, _, err := ber.ToDER(data)
	pfx := cryptobyte.String(der)
	return err == nil && pfx.ReadASN1(&pfx, cbasn1.SEQUENCE) && isVersion(&pfx)
}

const version = 3

func isVersion(pfx *cryptobyte.String) bool {
	var v int
	return pfx.ReadASN1Integer(&v) && v == version
}

type decoder struct {
	ctx       context.Context // of one call of Decode
	work      *pbe.Work
	passwords []pbe.Password // the likeliest first
	parts     int
	found     File
}

func malformed(part string, err error) error { return &pbe.MalformedError{Part: part, Err: err} }

// countPart counts a part of the file.
func (d *decoder) countPart() error {
	if d.parts++; d.parts > maxParts {
		return malformed("PKCS #12 file", errParts)
	}
	return nil
}

// Content types of PKCS #7. RFC 2315 section 14.
var (
	oidData      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncrypted = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
)

// file reads a PFX. RFC 7292 section 4.
func (d *decoder) file(data []byte) error {
	der, _, err := ber.ToDER(data)
	pfx := cryptobyte.String(der)
	if err != nil || !pfx.ReadASN1(&pfx, cbasn1.SEQUENCE) || !isVersion(&pfx) {
		return malformed("PKCS #12 file", err)
	}
	id, content, err := contentInfo(&pfx)
	switch {
	case err != nil:
		return err
	case !id.Equal(oidData): // signed: the integrity of a public key
		return &pbe.UnsupportedError{What: "type of the file's content", Name: id.String()}
	}
	authenticated, ok := octets(content)
	if !ok {
		return malformed("authenticated safe", nil)
	}
	if !pfx.Empty() {
		mac, err := pbe.ReadMAC(&pfx)
		if err != nil {
			return err
		}
		if err := mac.Try(d.ctx, d.work, d.passwords, authenticated); err != nil {
			return err
		}
	}
	safes, err := sequence(authenticated)
	if err != nil {
		return malformed("authenticated safe", err)
	}
	for !safes.Empty() {
		if err := d.safe(&safes); err != nil {
			return err
		}
	}
	return nil
}

// sequence reads BER of one SEQUENCE. Nothing at all is an empty one: some programs
// write that.
func sequence(data []byte) (cryptobyte.String, error) {
	if len(data) == 0 {
		return nil, nil
	}
	der, rest, err := ber.ToDER(data)
	inner := cryptobyte.String(der)
	switch {
	case err != nil:
		return nil, err
	case !inner.ReadASN1(&inner, cbasn1.SEQUENCE):
		return nil, errors.New("it is not a SEQUENCE")
	case len(rest) > 0:
		return nil, errors.New("something follows it")
	}
	return inner, nil
}

// isSequence reports whether data is one SEQUENCE. What a wrong password makes of
// a content is not.
func isSequence(data []byte) bool {
	_, err := sequence(data)
	return err == nil && len(data) > 0
}

// contentInfo reads a type and the content, empty where there is none. RFC 2315
// section 7.
func contentInfo(der *cryptobyte.String) (id asn1.ObjectIdentifier, content cryptobyte.String, err error) {
	var info cryptobyte.String
	if !der.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&id) || !info.ReadOptionalASN1(&content, nil, explicit0) {
		return nil, nil, malformed("content info", nil)
	}
	return id, content, nil
}

// octets reads an OCTET STRING that may be absent.
func octets(der cryptobyte.String) ([]byte, bool) {
	if der.Empty() {
		return nil, true
	}
	var content cryptobyte.String
	ok := der.ReadASN1(&content, cbasn1.OCTET_STRING)
	return content, ok
}

// safe reads one content info of the authenticated safe.
func (d *decoder) safe(safes *cryptobyte.String) error {
	if err := d.countPart(); err != nil {
		return err
	}
	id, content, err := contentInfo(safes)
	if err != nil {
		return err
	}
	var contents []byte
	switch {
	case id.Equal(oidData):
		var ok bool
		if contents, ok = octets(content); !ok {
			return malformed("safe contents", nil)
		}
	case id.Equal(oidEncrypted):
		if contents, err = d.encrypted(content); err != nil {
			return err
		}
	default: // enveloped: the privacy of a public key
		return &pbe.UnsupportedError{What: "type of a safe", Name: id.String()}
	}
	bags, err := sequence(contents)
	if err != nil {
		return malformed("safe contents", err)
	}
	return d.bags(bags, 0)
}

// encrypted opens an EncryptedData. RFC 2315 section 13.
func (d *decoder) encrypted(der cryptobyte.String) ([]byte, error) {
	const part = "encrypted data"
	var version int
	var info cryptobyte.String
	var id asn1.ObjectIdentifier
	if !der.ReadASN1(&der, cbasn1.SEQUENCE) || !der.ReadASN1Integer(&version) ||
		!der.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&id) {
		return nil, malformed(part, nil)
	}
	if !id.Equal(oidData) {
		return nil, &pbe.UnsupportedError{What: "type of an encrypted content", Name: id.String()}
	}
	scheme, err := pbe.ReadScheme(&info)
	if err != nil {
		return nil, err
	}
	ciphertext, err := implicitOctets(info)
	if err != nil || len(ciphertext) == 0 {
		return nil, err
	}
	return scheme.Try(d.ctx, d.work, d.passwords, ciphertext, isSequence)
}

// implicitOctets reads the optional content of an EncryptedContentInfo: an OCTET
// STRING under the tag 0, in pieces where that is constructed.
func implicitOctets(der cryptobyte.String) ([]byte, error) {
	if der.Empty() {
		return nil, nil
	}
	var content cryptobyte.String
	var tag cbasn1.Tag
	if !der.ReadAnyASN1(&content, &tag) || !der.Empty() {
		return nil, malformed("encrypted content", nil)
	}
	switch tag {
	case tag0:
		return content, nil
	case tag0.Constructed():
	default:
		return nil, malformed("encrypted content", nil)
	}
	var whole []byte
	for !content.Empty() {
		var piece cryptobyte.String
		if !content.ReadASN1(&piece, cbasn1.OCTET_STRING) {
			return nil, malformed("encrypted content", nil)
		}
		whole = append(whole, piece...)
	}
	return whole, nil
}
