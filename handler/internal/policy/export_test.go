package policy

// What the external tests see of the package beyond its exported names.

import (
	"encoding/asn1"
	"strings"
)

// Limits and defaults.
const (
	MaxSubject        = maxSubject
	MaxValidityMonths = maxValidityMonths
)

// Values that the tests compare with.
var (
	DefaultEKUs         = defaultEKUs
	DefaultKeyUsage     = defaultKeyUsage
	KeyUsages           = keyUsages
	OIDBasicConstraints = oidBasicConstraints
	OIDExtKeyUsage      = oidExtKeyUsage
	OIDKeyUsage         = oidKeyUsage
	OIDAuthorityKeyID   = oidAuthorityKeyID
	OIDSubjectKeyID     = oidSubjectKeyID
)

// Functions whose rules have tests of their own.
var (
	DecodeString     = decodeString
	ParseSubject     = parseSubject
	ValidityMonths   = validityMonths
	X509PropertiesOf = x509PropertiesOf
)

// RDNSet is one RDN of a subject.
type RDNSet = rdnSET

// Deref is what p points at, the zero value when it is nil.
func Deref[T any](p *T) T { return deref(p) }

// Count is the number of names.
func (s *SANs) Count() int { return s.count() }

// AttributeType is a type of attributes in subjects.
type AttributeType struct {
	OID      asn1.ObjectIdentifier
	Keywords []string // that are read
	Printed  string   // the one that is printed
}

// AttributeTypes are the known types.
func AttributeTypes() []AttributeType {
	all := make([]AttributeType, 0, len(attributeTypes))
	for _, t := range attributeTypes {
		all = append(all, AttributeType{asn1.ObjectIdentifier(t.oid), strings.Fields(t.keywords), t.keyword()})
	}
	return all
}
