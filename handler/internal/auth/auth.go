// Package auth tells who is calling and what they may do: the challenge that
// Key Vault clients expect, the validation of their tokens, and permissions.
//
// A client sends its first request without a token and learns from the
// challenge in the 401 where to get one
// (https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses).
// The token is a JWT (RFC 7519) from Microsoft Entra ID, or from the local
// cloud's identity endpoint in development; both are validated alike. Its app
// roles, named like Key Vault's built-in roles, and a short list of grants in
// the settings give permissions. Nothing else does.
//
// No error or log line holds a token.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxToken bounds the Authorization header in bytes. Entra's largest tokens,
	// with 200 groups, have about 10 KiB.
	maxToken = 16 << 10

	// leeway is how far the clocks of issuer and handler may differ.
	leeway = 5 * time.Minute

	// farthest bounds times in tokens, in Unix seconds: some 30,000 years. Beyond
	// what an int64 holds, times wrap around and compare as anything.
	farthest = 1 << 40
)

// Config describes whose tokens are accepted. All fields without a default are
// required.
type Config struct {
	// Authority is where clients get tokens: "https://HOST/TENANT".
	Authority string

	// Resource is what clients ask a token for: "https://SUFFIX", where SUFFIX is
	// the parent domain of the vault's host. Clients verify that.
	Resource string

	// Issuers are the accepted values of the iss claim. Entra has two for a
	// tenant, by version of the token.
	Issuers []string

	// Audiences are the accepted values of the aud claim, compared exactly.
	Audiences []string

	// KeysURL publishes the issuer's signing keys as a JWK Set (RFC 7517). Plain
	// http is accepted for loopback only.
	KeysURL string

	// TenantID is the only accepted value of the tid claim. When it is empty, the
	// tenant that an issuer of Entra's form names is that of its tokens.
	TenantID string

	// Grants are permissions besides those that come from app roles.
	Grants Grants

	// HTTPClient fetches the keys. Its redirect policy is not used: redirects are
	// refused.
	HTTPClient *http.Client

	// Now tells the time. Nil means time.Now.
	Now func() time.Time

	// Log receives failed and successful fetches of keys. Nil discards them.
	Log *slog.Logger
}

// A Validator authenticates callers by bearer token. It may be used concurrently.
type Validator struct {
	challenge string
	issuers   []string
	audiences []string
	tenantID  string
	grants    Grants
	keys      *keySet
	parser    *jwt.Parser
}

var (
	authorityForm = regexp.MustCompile(`^https://[0-9A-Za-z.-]+(:[0-9]+)?/[0-9A-Za-z._-]+$`)
	resourceForm  = regexp.MustCompile(`^https://[0-9A-Za-z.-]+(:[0-9]+)?$`)
)

// New returns a Validator. It makes no network calls: the keys are fetched when
// the first token arrives.
func New(cfg Config) (*Validator, error) {
	switch {
	case !authorityForm.MatchString(cfg.Authority):
		// Clients take the tenant from the path; some crash when there is none.
		return nil, fmt.Errorf("authority %q is not of the form https://HOST/TENANT", cfg.Authority)
	case !resourceForm.MatchString(cfg.Resource):
		return nil, fmt.Errorf("resource %q is not of the form https://SUFFIX", cfg.Resource)
	case len(cfg.Issuers) == 0 || slices.Contains(cfg.Issuers, ""):
		return nil, errors.New("no issuer of tokens, or an empty one")
	case len(cfg.Audiences) == 0 || slices.Contains(cfg.Audiences, ""):
		return nil, errors.New("no audience of tokens, or an empty one")
	case cfg.HTTPClient == nil:
		return nil, errors.New("no HTTP client to fetch signing keys with")
	}
	if err := checkKeysURL(cfg.KeysURL); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Validator{
		challenge: fmt.Sprintf(`Bearer authorization="%s", resource="%s"`, cfg.Authority, cfg.Resource),
		issuers:   slices.Clone(cfg.Issuers),
		audiences: slices.Clone(cfg.Audiences),
		tenantID:  cfg.TenantID,
		grants:    cfg.Grants,
		keys:      newKeySet(cfg.KeysURL, cfg.HTTPClient, cfg.Now, cfg.Log),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
			jwt.WithStrictDecoding(),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(leeway),
			jwt.WithTimeFunc(cfg.Now),
		),
	}, nil
}

func checkKeysURL(keysURL string) error {
	u, err := url.Parse(keysURL)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("keys URL %q is not a URL", keysURL)
	}
	loopback := u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback) {
		return fmt.Errorf("keys URL %q is not https", keysURL)
	}
	return nil
}

// Challenge returns the value of the WWW-Authenticate header of every 401, in the
// one form that all of Key Vault's clients can parse.
func (v *Validator) Challenge() string { return v.challenge }

// Authenticate returns the caller whose bearer token header holds. It reads
// nothing but the Authorization field.
//
// A *[TokenError] says what is wrong with the token; it belongs in a 401 with the
// challenge. [ErrKeysUnavailable] says that no token can be judged now.
func (v *Validator) Authenticate(ctx context.Context, header http.Header) (Caller, error) {
	token, err := bearer(header)
	if err != nil {
		return Caller{}, err
	}
	var c claims
	if _, err := v.parser.ParseWithClaims(token, &c, v.keyFor(ctx, &c)); err != nil {
		return Caller{}, tokenError(err, &c)
	}
	if err := v.check(&c); err != nil {
		return Caller{}, err
	}
	return v.caller(&c), nil
}

// bearer returns the token in the Authorization field (RFC 6750 section 2.1).
func bearer(header http.Header) (string, error) {
	fields := header.Values("Authorization")
	switch {
	case len(fields) == 0:
		return "", errNoToken
	case len(fields) > 1:
		return "", &TokenError{"Request has more than one Authorization header."}
	case len(fields[0]) > maxToken:
		return "", &TokenError{fmt.Sprintf("Authorization header is larger than %d bytes.", maxToken)}
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(fields[0]), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", errNoToken
	}
	return token, nil
}

// claims are the parts of an access token that matter here
// (https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference).
type claims struct {
	jwt.RegisteredClaims
	ObjectID        string           `json:"oid"`
	AppID           string           `json:"appid"` // tokens of version 1.0
	AuthorizedParty string           `json:"azp"`   // tokens of version 2.0
	TenantID        string           `json:"tid"`
	Roles           jwt.ClaimStrings `json:"roles"`
	Groups          jwt.ClaimStrings `json:"groups"`

	// Those that ID tokens have, and access tokens do not
	// (OpenID Connect Core 1.0 sections 2, 3.1.3.6 and 3.3.2.11).
	Nonce           any `json:"nonce"`
	AccessTokenHash any `json:"at_hash"`
	CodeHash        any `json:"c_hash"`
}

// isAccess reports whether the claims are those of an access token. One names the
// application that it was issued to; an ID token is for that application itself.
func (c *claims) isAccess() bool {
	return (c.AppID != "" || c.AuthorizedParty != "") && c.Nonce == nil && c.AccessTokenHash == nil && c.CodeHash == nil
}

// tenantForm is how the issuers of Entra's tokens name the tenant.
var tenantForm = regexp.MustCompile(`^https://[^/]+/([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?:/|$)`)

// tenant is the only accepted value of the tid claim, of the issuer of the claims;
// empty: any.
func (v *Validator) tenant(c *claims) string {
	if v.tenantID != "" {
		return v.tenantID
	}
	if found := tenantForm.FindStringSubmatch(c.Issuer); found != nil {
		return found[1]
	}
	return ""
}

// keyFor returns the function by which the parser finds the key of a token whose
// claims it has read, but not verified, into c. A stranger's token is turned away
// here, so that it cannot cause a fetch of keys.
func (v *Validator) keyFor(ctx context.Context, c *claims) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		if !slices.Contains(v.issuers, c.Issuer) {
			return nil, &TokenError{fmt.Sprintf("AKV10032: Invalid issuer. Expected one of %s, found %s.",
				strings.Join(v.issuers, ", "), clip(c.Issuer))}
		}
		if _, ok := token.Header["crit"]; ok { // RFC 7515 section 4.1.11
			return nil, &TokenError{"Error validating token: it has critical header parameters that are not understood."}
		}
		// RFC 9068 section 2.1; a token of another type is for another purpose.
		if typ, ok := token.Header["typ"]; ok {
			if text, _ := typ.(string); !strings.EqualFold(text, "JWT") && !strings.EqualFold(text, "at+jwt") && !strings.EqualFold(text, "application/at+jwt") {
				return nil, &TokenError{"Error validating token: its type (typ) is not that of an access token."}
			}
		}
		kid, _ := token.Header["kid"].(string)
		if kid == "" {
			return nil, &TokenError{"Error validating token: it does not name its signing key (kid)."}
		}
		return v.keys.find(ctx, kid)
	}
}

// check judges the claims of a token with a good signature, within its time.
func (v *Validator) check(c *claims) error {
	if !slices.ContainsFunc(c.Audience, func(aud string) bool { return slices.Contains(v.audiences, aud) }) {
		return &TokenError{fmt.Sprintf("AKV10022: Invalid audience. Expected %s, found: %s.",
			strings.Join(v.audiences, " or "), clip(strings.Join(c.Audience, ", ")))}
	}
	if tenant := v.tenant(c); tenant != "" && !strings.EqualFold(c.TenantID, tenant) {
		return &TokenError{fmt.Sprintf("Error validating token: expected tenant (tid) %s, found %s.", tenant, clip(c.TenantID))}
	}
	for _, at := range []*jwt.NumericDate{c.ExpiresAt, c.NotBefore, c.IssuedAt} {
		if at != nil && (at.Unix() < 0 || at.Unix() > farthest) {
			return &TokenError{"Error validating token: it has a time of the wrong form."}
		}
	}
	if c.ObjectID == "" && c.AppID == "" && c.AuthorizedParty == "" {
		return &TokenError{"Error validating token: it names no caller (oid, appid or azp)."}
	}
	if !c.isAccess() {
		return &TokenError{"Error validating token: it is not an access token, which names its client application (appid or azp) and has no nonce. An ID token is not accepted."}
	}
	return nil
}
