package kvhttp

import (
	"encoding/base64"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/vault"
)

// The JSON of the REST API: names and casing are Key Vault's, mixed by history.
// Each resource has one type for both directions where requests and answers
// share fields; what is nil was not sent, or is not shown. Conversions to and
// from package vault are here and in the other wire files, nowhere else.

// attributes are the attributes of a certificate, policy or issuer. Times are
// Unix seconds. Created, Updated the recovery fields and
// HSMPlatform are ignored in requests.
type attributes struct {
	Enabled         *bool  `json:"enabled,omitempty"`
	NotBefore       *int64 `json:"nbf,omitempty"`
	Expires         *int64 `json:"exp,omitempty"`
	Created         *int64 `json:"created,omitempty"`
	Updated         *int64 `json:"updated,omitempty"`
	RecoveryLevel   string `json:"recoveryLevel,omitempty"`
	RecoverableDays *int   `json:"recoverableDays,omitempty"`
	HSMPlatform     string `json:"hsmPlatform,omitempty"` // of keys only
}

func (a *attributes) params() (vault.AttributeParams, error) {
	if a == nil {
		return vault.AttributeParams{}, nil
	}
	notBefore, err := timeParam("attributes.nbf", a.NotBefore)
	if err != nil {
		return vault.AttributeParams{}, err
	}
	expires, err := timeParam("attributes.exp", a.Expires)
	return vault.AttributeParams{Enabled: a.Enabled, NotBefore: notBefore, Expires: expires}, err
}

// latestTime is the end of the year 9999, the last that X.509 can say.
var latestTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()

func timeParam(field string, seconds *int64) (*time.Time, error) {
	if seconds == nil {
		return nil, nil
	}
	if *seconds < 0 || *seconds > latestTime {
		return nil, badProperty(field, "must be a time in seconds since 1970-01-01")
	}
	return new(time.Unix(*seconds, 0).UTC()), nil
}

func unixTime(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	return new(t.Unix())
}

// timeOrNone is nil for the zero time.
func timeOrNone(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return unixTime(&t)
}

// list is a page of a collection.
type list[T any] struct {
	Value    []T     `json:"value"`
	NextLink *string `json:"nextLink"` // null on the last page
}

// link is a reference to another object.
type link struct {
	ID string `json:"id"`
}

func stdBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func urlBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// parseBase64 reads binary in a field of a body: base64url, or base64 as some
// clients send it all the same.
func parseBase64(name, s string) ([]byte, error) {
	out, ok := field.Base64(s)
	if !ok {
		return nil, badProperty(name, "must be base64url")
	}
	return out, nil
}
