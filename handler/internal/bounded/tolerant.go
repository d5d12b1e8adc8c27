package bounded

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"net"
	"net/url"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/names"
)

// Object identifiers of what is read here and not by crypto/x509. The last octet of
// each can be changed for one that nobody has.
var (
	oidECKey          = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// unknown takes the place of an object identifier's last octet.
const unknown = 0x7f

// parse reads a certificate as crypto/x509 does, and besides: a key on a curve that
// crypto/x509 does not have, which is left nil, and alternative names that it does
// not take for well-formed, UTF-8 in a DNS name or a URI's odd host. Of the URIs
// those are left out that net/url cannot read; the extension has them all.
//
// crypto/x509 passes over keys and extensions that it does not know. So they are made
// unknown to it in a copy, and known again in what it read.
func parse(der []byte) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err == nil {
		return c, nil
	}
	der = bytes.Clone(der)
	key, sans, ok := findOdd(der)
	if !ok || key == nil && sans == nil {
		return nil, err
	}
	for _, oid := range [][]byte{key, sans} {
		if oid != nil {
			defer func(last *byte, was byte) { *last = was }(&oid[len(oid)-1], oid[len(oid)-1])
			oid[len(oid)-1] = unknown
		}
	}
	c, still := x509.ParseCertificate(der)
	if still != nil {
		return nil, err
	}
	if sans != nil {
		readNames(c)
	}
	return c, nil
}

// findOdd finds the object identifiers, in place, of a key on another curve and of
// alternative names; nil: of none. RFC 5280 section 4.1.
func findOdd(der cryptobyte.String) (key, sans []byte, ok bool) {
	tag0, tag3 := cbasn1.Tag(0).ContextSpecific().Constructed(), cbasn1.Tag(3).ContextSpecific().Constructed()
	var tbs, spki, algorithm, oid, extensions cryptobyte.String
	var present bool
	if !der.ReadASN1(&der, cbasn1.SEQUENCE) || !der.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(tag0) || !tbs.SkipASN1(cbasn1.INTEGER) || // version, serial number
		!tbs.SkipASN1(cbasn1.SEQUENCE) || !tbs.SkipASN1(cbasn1.SEQUENCE) || // signature algorithm, issuer
		!tbs.SkipASN1(cbasn1.SEQUENCE) || !tbs.SkipASN1(cbasn1.SEQUENCE) || // validity, subject
		!tbs.ReadASN1(&spki, cbasn1.SEQUENCE) || !spki.ReadASN1(&algorithm, cbasn1.SEQUENCE) ||
		!algorithm.ReadASN1(&oid, cbasn1.OBJECT_IDENTIFIER) ||
		!tbs.SkipOptionalASN1(cbasn1.Tag(1).ContextSpecific()) || !tbs.SkipOptionalASN1(cbasn1.Tag(2).ContextSpecific()) ||
		!tbs.ReadOptionalASN1(&extensions, &present, tag3) {
		return nil, nil, false
	}
	if isOID(oid, oidECKey) && checkCurve(algorithm) != nil {
		key = oid
	}
	if present && !extensions.ReadASN1(&extensions, cbasn1.SEQUENCE) {
		return nil, nil, false
	}
	for !extensions.Empty() {
		var extension, value cryptobyte.String
		if !extensions.ReadASN1(&extension, cbasn1.SEQUENCE) || !extension.ReadASN1(&oid, cbasn1.OBJECT_IDENTIFIER) ||
			!extension.SkipOptionalASN1(cbasn1.BOOLEAN) || !extension.ReadASN1(&value, cbasn1.OCTET_STRING) {
			return nil, nil, false
		}
		if isOID(oid, oidSubjectAltName) {
			if _, err := names.ReadGeneralNames(value); err != nil {
				return nil, nil, false
			}
			sans = oid
		}
	}
	return key, sans, true
}

// isOID reports whether the contents of an OBJECT IDENTIFIER are those of id.
func isOID(contents []byte, id asn1.ObjectIdentifier) bool {
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(id)
	der, err := b.Bytes()
	return err == nil && bytes.Equal(der[2:], contents)
}

// readNames makes the extension of c that was unknown the one of its alternative
// names.
func readNames(c *x509.Certificate) {
	changed := slices.Clone(oidSubjectAltName)
	changed[len(changed)-1] = unknown
	c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions, changed.Equal)
	for i := range c.Extensions {
		if e := &c.Extensions[i]; e.Id.Equal(changed) {
			e.Id = slices.Clone(oidSubjectAltName)
			list, _ := names.ReadGeneralNames(e.Value) // as findOdd has read it
			for _, name := range list {
				addName(c, name)
			}
		}
	}
}

func addName(c *x509.Certificate, name names.GeneralName) {
	text := string(name.Value)
	switch name.Tag {
	case names.TagEmail:
		c.EmailAddresses = append(c.EmailAddresses, text)
	case names.TagDNS:
		c.DNSNames = append(c.DNSNames, text)
	case names.TagIP:
		if len(name.Value) == net.IPv4len || len(name.Value) == net.IPv6len {
			c.IPAddresses = append(c.IPAddresses, name.Value)
		}
	case names.TagURI:
		if u, err := url.Parse(text); err == nil {
			c.URIs = append(c.URIs, u)
		}
	}
}
