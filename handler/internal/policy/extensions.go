package policy

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Certificate extensions. RFC 5280 sections 4.2.1.1 to 4.2.1.12.
var (
	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	OIDSubjectAltName   = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidAuthorityKeyID   = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
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
	for _, e := range []struct {
		id                asn1.ObjectIdentifier
		present, critical bool
		add               func(*cryptobyte.Builder)
	}{
		{oidKeyUsage, len(x.KeyUsage) > 0, true, x.addKeyUsage},
		{oidExtKeyUsage, len(x.EKUs) > 0, false, x.addExtKeyUsage},
		// RFC 5280 section 4.2.1.6: without a subject the names are the identity.
		{OIDSubjectAltName, x.SANs.count() > 0, x.Subject == "", x.addSubjectAltName},
		// Key Vault leaves it non-critical for an end entity; RFC 5280 section
		// 4.2.1.9 wants it critical for a CA.
		{oidBasicConstraints, true, x.CA, x.addBasicConstraints},
	} {
		if !e.present {
			continue
		}
		var b cryptobyte.Builder
		e.add(&b)
		value, err := b.Bytes()
		if err != nil {
			return nil, fmt.Errorf("encoding extension %s: %w", e.id, err)
		}
		list = append(list, pkix.Extension{Id: e.id, Critical: e.critical, Value: value})
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
	b.AddASN1(der.BIT_STRING, func(b *cryptobyte.Builder) {
		b.AddUint8(uint8(7 - last%8))
		b.AddBytes(bits[:last/8+1])
	})
}

func (x X509Properties) addExtKeyUsage(b *cryptobyte.Builder) {
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
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
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, k := range sanKinds {
			for _, name := range *k.list(x.SANs) {
				k.add(b, name)
			}
		}
	})
}

func (x X509Properties) addBasicConstraints(b *cryptobyte.Builder) {
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		if x.CA { // DEFAULT FALSE
			b.AddASN1Boolean(true)
		}
	})
}
