// Package identity gives programs on this machine tokens the way App Service
// gives them to a managed identity
// (https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference),
// and publishes the key that verifies them.
package identity

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Paths of the endpoint.
const (
	// TokenPath is what IDENTITY_ENDPOINT ends with.
	TokenPath = "/msi/token"
	// ConfigurationPath is that of OpenID Connect Discovery 1.0.
	ConfigurationPath = "/.well-known/openid-configuration"
	// KeysPath serves the JSON Web Key Set (RFC 7517).
	KeysPath = "/discovery/keys"
)

const (
	// apiVersion is the protocol version that every Azure SDK uses.
	apiVersion = "2019-08-01"
	// tokenLifetime is how long a token is valid.
	tokenLifetime = time.Hour
	// role is the app role in every token: it has all permissions.
	role = "KeyVault.Administrator"
	// resourceLimit bounds the length of a requested resource.
	resourceLimit = 256
)

// Config says what an Endpoint serves.
type Config struct {
	// Directory signs the tokens.
	Directory *Directory
	// Issuer is the `iss` of the tokens, and the base URL at which the endpoint
	// is reached.
	Issuer string
	// Now is the clock.
	Now func() time.Time
}

// Endpoint is the HTTP handler.
type Endpoint struct {
	cfg Config
	mux *http.ServeMux
}

// New returns the endpoint.
func New(cfg Config) *Endpoint {
	e := &Endpoint{cfg: cfg, mux: http.NewServeMux()}
	e.mux.HandleFunc("GET "+TokenPath, e.token)
	e.mux.HandleFunc("GET "+ConfigurationPath, e.configuration)
	e.mux.HandleFunc("GET "+KeysPath, e.keys)
	return e
}

// ServeHTTP answers one request.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.mux.ServeHTTP(w, r) }

// token answers `GET /msi/token?resource=...&api-version=2019-08-01`. The ids by
// which a caller may choose one of several identities are accepted and ignored.
func (e *Endpoint) token(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	resource, err := resourceOf(query)
	switch {
	case !hmac.Equal([]byte(r.Header.Get("X-IDENTITY-HEADER")), []byte(e.cfg.Directory.header)):
		refuse(w, http.StatusUnauthorized, "X-IDENTITY-HEADER is not the value of IDENTITY_HEADER")
		return
	case query.Get("api-version") != apiVersion:
		refuse(w, http.StatusBadRequest, "api-version must be "+apiVersion)
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	token, expires, err := e.sign(resource)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "the token could not be signed")
		return
	}
	answer(w, http.StatusOK, map[string]string{
		"access_token": token,
		"expires_on":   strconv.FormatInt(expires.Unix(), 10),
		"resource":     resource,
		"token_type":   "Bearer",
		"client_id":    e.cfg.Directory.ClientID(),
	})
}

// resourceOf returns the requested resource. A scope, a resource with
// "/.default" appended, is taken for its resource, as Entra does.
func resourceOf(query url.Values) (string, error) {
	resource := strings.TrimSuffix(query.Get("resource"), "/.default")
	if u, err := url.Parse(resource); err != nil || u.Scheme != "https" || u.Host == "" || len(resource) > resourceLimit {
		return "", fmt.Errorf("resource must be an https URL of at most %d characters", resourceLimit)
	}
	return resource, nil
}

// sign returns a token for the resource with the claims of a version 1.0 access
// token (https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference).
func (e *Endpoint) sign(resource string) (token string, expires time.Time, err error) {
	now := e.cfg.Now()
	expires = now.Add(tokenLifetime)
	d := e.cfg.Directory
	unsigned := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss":   e.cfg.Issuer,
		"aud":   resource,
		"sub":   d.ObjectID(),
		"oid":   d.ObjectID(),
		"appid": d.ClientID(),
		"tid":   d.TenantID(),
		"idtyp": "app",
		"iat":   now.Unix(),
		"nbf":   now.Unix(),
		"exp":   expires.Unix(),
		"uti":   uuid.NewString(),
		"ver":   "1.0",
		"roles": []string{role},
	})
	unsigned.Header["kid"] = d.KeyID()
	token, err = unsigned.SignedString(d.key)
	return token, expires, err
}

func (e *Endpoint) configuration(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer":                                e.cfg.Issuer,
		"jwks_uri":                              e.cfg.Issuer + KeysPath,
		"token_endpoint":                        e.cfg.Issuer + TokenPath,
		"response_types_supported":              []string{"token"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{jwt.SigningMethodRS256.Alg()},
	})
}

func (e *Endpoint) keys(w http.ResponseWriter, _ *http.Request) {
	public := e.cfg.Directory.key.PublicKey
	answer(w, http.StatusOK, map[string]any{"keys": []map[string]string{{
		"kty": "RSA",
		"use": "sig",
		"alg": jwt.SigningMethodRS256.Alg(),
		"kid": e.cfg.Directory.KeyID(),
		"n":   base64.RawURLEncoding.EncodeToString(public.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes()),
	}}})
}

// refuse answers with an error in App Service's form.
func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"statusCode": status, "message": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// What fails here is the client's connection.
	json.NewEncoder(w).Encode(body)
}
