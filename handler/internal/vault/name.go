package vault

import (
	"strings"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
)

// Name is a valid name of a certificate or an issuer: 1 to 127 letters, digits
// and hyphens. It keeps the case in which it was written; two names that differ
// in case only name the same thing.
type Name struct{ text string }

// reserved are the literals that stand where a certificate's name would.
var reserved = map[string]bool{"contacts": true, "issuers": true, "restore": true}

// ParseName checks a certificate's name.
func ParseName(s string) (Name, error) {
	n, err := parseName(s)
	if err == nil && reserved[n.key()] {
		err = &field.Error{Detail: "The request URI contains an invalid name: " + s}
	}
	return n, err
}

// ParseIssuerName checks an issuer's name. Self and Unknown are not issuer
// objects.
func ParseIssuerName(s string) (Name, error) {
	n, err := parseName(s)
	if err == nil && (strings.EqualFold(s, policy.IssuerSelf) || strings.EqualFold(s, policy.IssuerUnknown)) {
		err = &field.Error{Detail: "The issuer name " + s + " is reserved"}
	}
	return n, err
}

func parseName(s string) (Name, error) {
	if !policy.IsName(s) {
		return Name{}, &field.Error{Detail: "The request URI contains an invalid name: " + s}
	}
	return Name{s}, nil
}

// String is the name as it was written.
func (n Name) String() string { return n.text }

// key is the name as it stands in row keys and sealing labels.
func (n Name) key() string { return strings.ToLower(n.text) }

// ParseVersion checks a version id: 32 hexadecimal digits.
func ParseVersion(s string) (string, bool) {
	if len(s) != 32 {
		return "", false
	}
	s = strings.ToLower(s)
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", false
		}
	}
	return s, true
}
