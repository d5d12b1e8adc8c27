package names

import (
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// GeneralName is one of the subject alternative names of a certificate or a CSR, as
// it is encoded. RFC 5280 section 4.2.1.6.
type GeneralName struct {
	Tag   cryptobyteasn1.Tag
	Value []byte // without tag and length
}

// Tags of the kinds of GeneralName that certificates of this vault may have.
var (
	TagOtherName = cryptobyteasn1.Tag(0).ContextSpecific().Constructed()
	TagEmail     = cryptobyteasn1.Tag(1).ContextSpecific() // rfc822Name
	TagDNS       = cryptobyteasn1.Tag(2).ContextSpecific() // dNSName
	TagURI       = cryptobyteasn1.Tag(6).ContextSpecific() // uniformResourceIdentifier
	TagIP        = cryptobyteasn1.Tag(7).ContextSpecific() // iPAddress
)

// OIDUPN is the type of an otherName that is a user principal name: Microsoft's
// szOID_NT_PRINCIPAL_NAME.
var OIDUPN = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}

// ReadGeneralNames reads the value of a subject alternative name extension.
func ReadGeneralNames(extension []byte) ([]GeneralName, error) {
	input := cryptobyte.String(extension)
	var list cryptobyte.String
	if !input.ReadASN1(&list, cryptobyteasn1.SEQUENCE) || !input.Empty() {
		return nil, errors.New("not a sequence of names")
	}
	var names []GeneralName
	for !list.Empty() {
		var value cryptobyte.String
		var tag cryptobyteasn1.Tag
		if !list.ReadAnyASN1(&value, &tag) {
			return nil, errors.New("not a sequence of names")
		}
		names = append(names, GeneralName{tag, value})
	}
	return names, nil
}

// UPN is the user principal name that n is, if it is one: an otherName with a
// UTF8String.
func (n GeneralName) UPN() (string, bool) {
	name := cryptobyte.String(n.Value)
	var kind asn1.ObjectIdentifier
	var wrapped, upn cryptobyte.String
	ok := n.Tag == TagOtherName && name.ReadASN1ObjectIdentifier(&kind) && kind.Equal(OIDUPN) &&
		name.ReadASN1(&wrapped, cryptobyteasn1.Tag(0).ContextSpecific().Constructed()) && name.Empty() &&
		wrapped.ReadASN1(&upn, cryptobyteasn1.UTF8String) && wrapped.Empty()
	return string(upn), ok
}
