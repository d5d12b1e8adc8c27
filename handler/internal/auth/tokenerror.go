package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"
)

// A TokenError says why a request's token was not accepted.
type TokenError struct {
	// Message is for the caller, in Key Vault's words where those are known. It
	// holds no part of the token other than the claim that it complains about.
	Message string
}

func (e *TokenError) Error() string { return e.Message }

var errNoToken = &TokenError{"AKV10000: Request is missing a Bearer or PoP token."}

// tokenError turns the parser's error about a token with the claims c into one to
// show. The parser's text is not used: it may quote what it could not parse.
func tokenError(err error, c *claims) error {
	if e, ok := errors.AsType[*TokenError](err); ok {
		return e
	}
	reason := "it is malformed"
	switch {
	case errors.Is(err, ErrKeysUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("validating token: %w", err)
	case errors.Is(err, errUnknownKey):
		return &TokenError{"AKV10046: Unable to resolve the key used for signature validation."}
	case errors.Is(err, jwt.ErrTokenExpired):
		reason = "it expired at " + stamp(c.ExpiresAt)
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		reason = "it is not valid before " + stamp(c.NotBefore)
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		reason = "it was issued in the future, at " + stamp(c.IssuedAt)
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		reason = "it has no time of expiry (exp)"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		reason = "it is not signed with RS256, or its signature is wrong"
	}
	return &TokenError{fmt.Sprintf("Error validating token: %s.", reason)}
}

func stamp(date *jwt.NumericDate) string { return date.UTC().Format(time.RFC3339) }

// clip makes a claim of a caller's token fit to be shown: short and printable.
func clip(s string) string {
	const limit = 200
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return s
}
