package stepca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certwright/certwright/handler/internal/provider"
)

// provisioner makes tokens.
type provisioner struct {
	name   string
	keyID  string
	key    *ecdsa.PrivateKey
	method jwt.SigningMethod
}

// provisioner takes one out of an issuer object, or says what is wrong with its
// credentials.
func (p *Provider) provisioner(o provider.Issuer) (jwk provisioner, wrong string) {
	switch {
	case o.AccountID == "":
		return provisioner{}, fmt.Sprintf("The issuer %s needs credentials.account_id, the name of a JWK provisioner at %s.", o.Name, p.base.Host)
	case o.Password == "":
		return provisioner{}, fmt.Sprintf("The issuer %s needs credentials.pwd, the private key (a JWK in JSON) of its provisioner at %s.", o.Name, p.base.Host)
	}
	jwk, err := parseKey([]byte(o.Password))
	if err != nil {
		return provisioner{}, fmt.Sprintf("The password (credentials.pwd) of the issuer %s is not the private key of a JWK provisioner: %v.", o.Name, err)
	}
	jwk.name = o.AccountID
	return jwk, ""
}

// curves have an algorithm of JWS each. RFC 7518 section 3.4.
var curves = map[string]struct {
	curve  elliptic.Curve
	method jwt.SigningMethod
}{
	"P-256": {elliptic.P256(), jwt.SigningMethodES256},
	"P-384": {elliptic.P384(), jwt.SigningMethodES384},
	"P-521": {elliptic.P521(), jwt.SigningMethodES512},
}

// parseKey reads a private JWK. RFC 7518 section 6.2. Its errors quote nothing.
func parseKey(text []byte) (provisioner, error) {
	var k struct {
		KeyType    string `json:"kty"`
		KeyID      string `json:"kid"`
		Curve      string `json:"crv"`
		X, Y, D    string
		Ciphertext string
	}
	if json.Unmarshal(text, &k) != nil {
		if strings.Count(string(text), ".") == 4 {
			return provisioner{}, errEncrypted
		}
		return provisioner{}, errors.New("it is not a JWK in JSON")
	}
	alg, known := curves[k.Curve]
	switch {
	case k.Ciphertext != "":
		return provisioner{}, errEncrypted
	case k.KeyType != "EC" || !known:
		return provisioner{}, errors.New("its kty and crv are not EC and P-256, P-384 or P-521")
	case k.D == "":
		return provisioner{}, errors.New("it has no d: it is a public key")
	}
	d, err := base64.RawURLEncoding.DecodeString(k.D)
	if err != nil {
		return provisioner{}, errors.New("its d is not base64url")
	}
	key, err := ecdsa.ParseRawPrivateKey(alg.curve, d)
	if err != nil {
		return provisioner{}, errors.New("its d is not a number below the order of its curve")
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return provisioner{}, errors.New("its public key cannot be encoded")
	}
	coordinates := point[1:] // 4, for uncompressed, is first
	x, y := base64URL(coordinates[:len(d)]), base64URL(coordinates[len(d):])
	if k.X != "" && k.X != x || k.Y != "" && k.Y != y {
		return provisioner{}, errors.New("its x and y are of another key than its d")
	}
	if k.KeyID == "" { // step's own choice
		thumbprint := sha256.Sum256(fmt.Appendf(nil, `{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, k.Curve, x, y))
		k.KeyID = base64URL(thumbprint[:])
	}
	return provisioner{keyID: k.KeyID, key: key, method: alg.method}, nil
}

var errEncrypted = errors.New("it is encrypted (a JWE); `step crypto jwe decrypt` decrypts it")

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

const (
	// tokenLife is how long a token is good for.
	tokenLife = 5 * time.Minute

	// maxSkew is how far the server's clock may be behind.
	maxSkew = time.Minute
)

// token makes a token that is good once, at one path of the server. It has no
// iat: the server refuses tokens that are older than its own start, which a clock
// that is behind makes of any.
func (p *Provider) token(jwk provisioner, path string, claims jwt.MapClaims) (string, error) {
	var id [16]byte
	if _, err := io.ReadFull(p.cfg.Rand, id[:]); err != nil {
		return "", fmt.Errorf("drawing the id of a token: %w", err)
	}
	now := p.cfg.Now()
	maps.Copy(claims, jwt.MapClaims{
		"iss": jwk.name,
		"aud": "https://" + p.base.Host + path,
		"nbf": now.Add(-maxSkew).Unix(),
		"exp": now.Add(tokenLife).Unix(),
		"jti": hex.EncodeToString(id[:]),
	})
	t := jwt.NewWithClaims(jwk.method, claims)
	t.Header["kid"] = jwk.keyID
	signed, err := t.SignedString(jwk.key)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return signed, nil
}
