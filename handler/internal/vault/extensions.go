package vault

import (
	"crypto/x509/pkix"
	encoding "encoding/asn1"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Certificate extensions. RFC 5280 sections 4.2.1.1 to 4.2.1.12.
var (
	oidSubjectKeyID     = encoding.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = encoding.ObjectIdentifier{2, 5, 29, 15}
	oidSubjectAltName   = encoding.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = encoding.ObjectIdentifier{2, 5, 29, 19}
	oidAuthorityKeyID   = encoding.ObjectIdentifier{2, 5, 29, 35}
	oidExtKeyUsage      = encoding.ObjectIdentifier{2, 5, 29, 37}
)

// keyUsages are Key Vault's names of the bits of KeyUsage, by bit number. RFC
// 5280 section 4.2.1.3.
var keyUsages = []string{
	"digitalSignature",
	"nonRepudiation",
	"keyEncipherment",
	"dataEncipherment",
	"keyAgreement",
	"keyCertSign",
	"cRLSign",
	"encipherOnly",
	"decipherOnly",
}

// extensions are what the certificate is asked to carry, in the order of Key
// Vault's own CSRs.
func (x X509Properties) extensions() ([]pkix.Extension, error) {
	var list []pkix.Extension
	add := func(id encoding.ObjectIdentifier, critical bool, build func(*cryptobyte.Builder)) error {
		var b cryptobyte.Builder
		build(&b)
		value, err := b.Bytes()
		if err != nil {
			return fmt.Errorf("encoding extension %s: %w", id, err)
		}
		list = append(list, pkix.Extension{Id: id, Critical: critical, Value: value})
		return nil
	}
	if len(x.KeyUsage) > 0 {
		if err := add(oidKeyUsage, true, x.addKeyUsage); err != nil {
			return nil, err
		}
	}
	if len(x.EKUs) > 0 {
		if err := add(oidExtKeyUsage, false, x.addExtKeyUsage); err != nil {
			return nil, err
		}
	}
	if x.SANs.count() > 0 {
		// RFC 5280 section 4.2.1.6: without a subject these are the identity.
		if err := add(oidSubjectAltName, x.Subject == "", x.addSubjectAltName); err != nil {
			return nil, err
		}
	}
	// Key Vault leaves it non-critical for an end entity; RFC 5280 section
	// 4.2.1.9 wants it critical for a CA.
	if err := add(oidBasicConstraints, x.CA, x.addBasicConstraints); err != nil {
		return nil, err
	}
	return list, nil
}

// addKeyUsage appends the named BIT STRING: bit 0 is the most significant,
// trailing zero bits are left out (X.690 section 11.2.2).
func (x X509Properties) addKeyUsage(b *cryptobyte.Builder) {
	var bits [2]byte
	last := 0
	for bit, name := range keyUsages {
		if slices.Contains(x.KeyUsage, name) {
			bits[bit/8] |= 0x80 >> (bit % 8)
			last = bit
		}
	}
	b.AddASN1(asn1.BIT_STRING, func(b *cryptobyte.Builder) {
		b.AddUint8(uint8(7 - last%8))
		b.AddBytes(bits[:last/8+1])
	})
}

func (x X509Properties) addExtKeyUsage(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, eku := range x.EKUs {
			oid, err := parseOID(eku)
			if err != nil {
				b.SetError(err)
				return
			}
			b.AddASN1ObjectIdentifier(oid)
		}
	})
}

func (x X509Properties) addSubjectAltName(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, k := range sanKinds {
			for _, name := range k.names(x.SANs) {
				k.add(b, name)
			}
		}
	})
}

func (x X509Properties) addBasicConstraints(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if x.CA { // DEFAULT FALSE
			b.AddASN1Boolean(true)
		}
	})
}
