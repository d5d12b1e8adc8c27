package policy

import (
	"encoding/asn1"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/certwright/certwright/handler/internal/field"
)

// arcs are an object identifier.
type arcs = asn1.ObjectIdentifier

// attributeType is a type of naming attribute that has a keyword.
type attributeType struct {
	oid      arcs
	keywords string // separated by spaces; the first is the one that is printed
	syntax   attributeSyntax
}

// attributeSyntax says which ASN.1 string types an attribute may have.
type attributeSyntax uint8

const (
	directoryString attributeSyntax = iota // PrintableString where it fits, else UTF8String
	printableString
	ia5String
	countryName // PrintableString of two letters
)

// maxAttribute bounds an attribute in characters. The upper bounds of X.520, 64 for a
// common name, are the CA's to judge, as with Key Vault.
const maxAttribute = 512

// attributeTypes are the keywords of .NET, OpenSSL and RFC 4514 for the types
// of RFC 5280 appendix A.1, RFC 4519 and the CA/Browser Forum's EV Guidelines.
// What is printed is what Key Vault prints: .NET's choice, S for a state among
// them.
var attributeTypes = []attributeType{
	{arcs{2, 5, 4, 3}, "CN COMMONNAME", directoryString},
	{arcs{2, 5, 4, 4}, "SN SURNAME", directoryString},
	{arcs{2, 5, 4, 5}, "SERIALNUMBER", printableString},
	{arcs{2, 5, 4, 6}, "C COUNTRY COUNTRYNAME", countryName},
	{arcs{2, 5, 4, 7}, "L LOCALITY LOCALITYNAME", directoryString},
	{arcs{2, 5, 4, 8}, "S ST STATE STATEORPROVINCENAME", directoryString},
	{arcs{2, 5, 4, 9}, "STREET STREETADDRESS", directoryString},
	{arcs{2, 5, 4, 10}, "O ORGANIZATION ORGANIZATIONNAME", directoryString},
	{arcs{2, 5, 4, 11}, "OU ORGANIZATIONALUNIT ORGANIZATIONALUNITNAME", directoryString},
	{arcs{2, 5, 4, 12}, "T TITLE", directoryString},
	{arcs{2, 5, 4, 13}, "Description", directoryString},
	{arcs{2, 5, 4, 15}, "BusinessCategory", directoryString},
	{arcs{2, 5, 4, 17}, "PostalCode", directoryString},
	{arcs{2, 5, 4, 18}, "POBox POSTOFFICEBOX", directoryString},
	{arcs{2, 5, 4, 20}, "Phone TELEPHONENUMBER", printableString},
	{arcs{2, 5, 4, 41}, "Name", directoryString},
	{arcs{2, 5, 4, 42}, "G GN GIVENNAME", directoryString},
	{arcs{2, 5, 4, 43}, "I INITIALS", directoryString},
	{arcs{2, 5, 4, 44}, "GenerationQualifier", directoryString},
	{arcs{2, 5, 4, 46}, "dnQualifier DNQ", printableString},
	{arcs{2, 5, 4, 65}, "Pseudonym", directoryString},
	{arcs{2, 5, 4, 97}, "OrganizationIdentifier", directoryString},
	{arcs{0, 9, 2342, 19200300, 100, 1, 1}, "UID USERID", directoryString},
	{arcs{0, 9, 2342, 19200300, 100, 1, 25}, "DC DOMAINCOMPONENT", ia5String},
	{arcs{1, 2, 840, 113549, 1, 9, 1}, "E EMAIL EMAILADDRESS", ia5String},
	{arcs{1, 2, 840, 113549, 1, 9, 2}, "UnstructuredName", directoryString},
	{arcs{1, 2, 840, 113549, 1, 9, 8}, "UnstructuredAddress", directoryString},
	{arcs{1, 3, 6, 1, 4, 1, 311, 60, 2, 1, 1}, "jurisdictionL jurisdictionLocalityName", directoryString},
	{arcs{1, 3, 6, 1, 4, 1, 311, 60, 2, 1, 2}, "jurisdictionST jurisdictionS jurisdictionStateOrProvinceName", directoryString},
	{arcs{1, 3, 6, 1, 4, 1, 311, 60, 2, 1, 3}, "jurisdictionC jurisdictionCountryName", countryName},
}

var (
	attributeByKeyword = map[string]attributeType{} // upper-case keyword
	attributeByOID     = map[string]attributeType{} // dotted
)

func init() {
	for _, t := range attributeTypes {
		attributeByOID[t.oid.String()] = t
		for k := range strings.FieldsSeq(t.keywords) {
			attributeByKeyword[strings.ToUpper(k)] = t
		}
	}
}

// parseAttributeType reads the key of a key=value pair: a keyword in any case,
// or an OID with or without the prefix "OID.".
func parseAttributeType(key string) (attributeType, error) {
	upper := strings.ToUpper(key)
	if t, ok := attributeByKeyword[upper]; ok {
		return t, nil
	}
	dotted := strings.TrimPrefix(upper, "OID.")
	oid, err := parseOID(dotted)
	if err != nil {
		return attributeType{}, fmt.Errorf("unknown attribute %q", key)
	}
	return attributeTypeOf(oid), nil
}

// attributeTypeOf is the type with this OID; types without a keyword are taken
// for a DirectoryString.
func attributeTypeOf(oid asn1.ObjectIdentifier) attributeType {
	if t, ok := attributeByOID[oid.String()]; ok {
		return t
	}
	return attributeType{oid: oid}
}

// keyword is the key that attributes of this type are printed with.
func (t attributeType) keyword() string {
	if t.keywords == "" {
		return "OID." + t.oid.String()
	}
	first, _, _ := strings.Cut(t.keywords, " ")
	return first
}

// encode makes the attribute's value from text. Its string type depends on
// nothing but the attribute and the text.
func (t attributeType) encode(text string) (asn1.RawValue, error) {
	refuse := func(why string) (asn1.RawValue, error) {
		return asn1.RawValue{}, fmt.Errorf("value of %s %s", t.keyword(), why)
	}
	switch {
	case text == "":
		return refuse("is empty")
	case !field.IsText(text):
		return refuse("is not UTF-8 or has a control character")
	case utf8.RuneCountInString(text) > maxAttribute:
		return refuse(fmt.Sprintf("has more than %d characters", maxAttribute))
	}
	value := asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(text)}
	switch t.syntax {
	case directoryString:
		if isPrintable(text) {
			value.Tag = asn1.TagPrintableString
		}
	case printableString:
		if !isPrintable(text) {
			return refuse("has a character outside of PrintableString")
		}
		value.Tag = asn1.TagPrintableString
	case countryName:
		if len(text) != 2 || strings.Trim(text, letters) != "" {
			return refuse("is not a country code of two letters")
		}
		value.Tag = asn1.TagPrintableString
	case ia5String:
		if !isASCII(text) {
			return refuse("has a character outside of ASCII")
		}
		value.Tag = asn1.TagIA5String
	}
	return value, nil
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// isPrintable reports whether s fits a PrintableString (X.680 section 41.4).
func isPrintable(s string) bool {
	return strings.Trim(s, letters+"0123456789 '()+,-./:=?") == ""
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// parseOID reads an object identifier in dotted form, as far as crypto/x509
// reads the encoded one: arcs of at most 31 bits.
func parseOID(s string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(s, ".") {
		n, err := strconv.ParseUint(arc, 10, 31)
		if err != nil || len(arc) > 1 && arc[0] == '0' || len(oid) == 32 {
			return nil, fmt.Errorf("%q is not an OID", field.Cut(s, 64))
		}
		oid = append(oid, int(n))
	}
	// X.660: three roots, the first two with 40 arcs. They share one encoded
	// number with the second arc.
	if len(oid) < 2 || oid[0] > 2 || oid[0] < 2 && oid[1] > 39 || oid[1] > math.MaxInt32-80 {
		return nil, fmt.Errorf("%q is not an OID", field.Cut(s, 64))
	}
	return oid, nil
}
