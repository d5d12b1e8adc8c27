package pkcs12

import (
	"encoding/asn1"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/ber"
	"github.com/certwright/certwright/handler/internal/pbe"
)

// Types of bags (RFC 7292 section 4.2), of certificates and of attributes (RFC
// 2985 section 5.5).
var (
	oidKeyBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidContentsBag  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 6}
	oidX509         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	oidLocalKeyID   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21}
)

// tag0 is [0], EXPLICIT where it is constructed but for encrypted contents.
var (
	tag0      = cbasn1.Tag(0).ContextSpecific()
	explicit0 = tag0.Constructed()
)

// bags reads what is in a SafeContents.
func (d *decoder) bags(der cryptobyte.String, depth int) error {
	if depth == maxDepth {
		return malformed("PKCS #12 file", errParts)
	}
	for !der.Empty() {
		if err := d.countPart(); err != nil {
			return err
		}
		var bag, value cryptobyte.String
		var id asn1.ObjectIdentifier
		if !der.ReadASN1(&bag, cbasn1.SEQUENCE) || !bag.ReadASN1ObjectIdentifier(&id) || !bag.ReadASN1(&value, explicit0) {
			return malformed("bag", nil)
		}
		attributes, err := readAttributes(bag)
		if err != nil {
			return err
		}
		switch {
		case id.Equal(oidKeyBag):
			d.found.Keys = append(d.found.Keys, Key{value, attributes})
		case id.Equal(oidShroudedBag):
			key, err := d.shrouded(value)
			if err != nil {
				return err
			}
			d.found.Keys = append(d.found.Keys, Key{key, attributes})
		case id.Equal(oidCertBag):
			cert, err := certificate(value)
			if err != nil {
				return err
			}
			if cert != nil {
				d.found.Certificates = append(d.found.Certificates, Certificate{cert, attributes})
			}
		case id.Equal(oidContentsBag):
			var inner cryptobyte.String
			if !value.ReadASN1(&inner, cbasn1.SEQUENCE) {
				return malformed("safe contents", nil)
			}
			if err := d.bags(inner, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// shrouded opens an EncryptedPrivateKeyInfo.
func (d *decoder) shrouded(der cryptobyte.String) ([]byte, error) {
	scheme, ciphertext, err := pbe.ReadEncryptedKey(der)
	if err != nil {
		return nil, err
	}
	key, err := scheme.Try(d.ctx, d.work, d.passwords, ciphertext, isSequence)
	if err != nil {
		return nil, err
	}
	key, _, err = ber.ToDER(key) // which is as isSequence found it
	return key, err
}

// certificate reads a CertBag. One that is not of X.509 is passed over.
func certificate(der cryptobyte.String) ([]byte, error) {
	var id asn1.ObjectIdentifier
	var value, cert cryptobyte.String
	if !der.ReadASN1(&der, cbasn1.SEQUENCE) || !der.ReadASN1ObjectIdentifier(&id) || !der.ReadASN1(&value, explicit0) {
		return nil, malformed("certificate bag", nil)
	}
	if !id.Equal(oidX509) {
		return nil, nil
	}
	if !value.ReadASN1(&cert, cbasn1.OCTET_STRING) {
		return nil, malformed("certificate bag", nil)
	}
	return cert, nil
}

// readAttributes reads the optional attributes of a bag.
func readAttributes(der cryptobyte.String) (Attributes, error) {
	var a Attributes
	var set cryptobyte.String
	if der.Empty() {
		return a, nil
	}
	if !der.ReadASN1(&set, cbasn1.SET) {
		return a, malformed("attributes of a bag", nil)
	}
	for !set.Empty() {
		var attribute, values, value cryptobyte.String
		var id asn1.ObjectIdentifier
		if !set.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&id) || !attribute.ReadASN1(&values, cbasn1.SET) {
			return a, malformed("attributes of a bag", nil)
		}
		switch {
		case id.Equal(oidLocalKeyID) && values.ReadASN1(&value, cbasn1.OCTET_STRING):
			a.LocalKeyID = value
		case id.Equal(oidFriendlyName) && values.ReadASN1(&value, tagBMPString):
			a.FriendlyName = readBMP(value)
		}
	}
	return a, nil
}

const tagBMPString = cbasn1.Tag(30)

func readBMP(text []byte) string {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = uint16(text[2*i])<<8 | uint16(text[2*i+1])
	}
	return string(utf16.Decode(units))
}
