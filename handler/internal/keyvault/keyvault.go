// Package keyvault is what the users of a key in Azure Key Vault or Managed HSM have
// in common: its id, a client for its vault, its public half and its vault's
// refusals.
package keyvault

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// ID is the id of a key, https://VAULT/keys/NAME, or of one of its versions,
// https://VAULT/keys/NAME/VERSION.
type ID struct {
	Host    string // VAULT, as it is written
	Name    string
	Version string // empty: the id is that of the key
}

var (
	keyName    = regexp.MustCompile(`^[0-9A-Za-z-]{1,127}$`)
	keyVersion = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// IsVersion reports whether text has the form of a key's version.
func IsVersion(text string) bool { return keyVersion.MatchString(text) }

// ParseID reads an id.
func ParseID(text string) (ID, error) {
	u, err := url.Parse(text)
	if err != nil {
		return ID{}, errors.New("not a URL")
	}
	errForm := errors.New("not of the form https://VAULT/keys/NAME[/VERSION]")
	if u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return ID{}, errForm
	}
	segments := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if len(segments) == 2 {
		segments = append(segments, "")
	}
	if len(segments) != 3 || segments[0] != "keys" || !keyName.MatchString(segments[1]) ||
		segments[2] != "" && !IsVersion(segments[2]) {
		return ID{}, errForm
	}
	return ID{u.Host, segments[1], segments[2]}, nil
}

// NewClient makes a client for the vault at a host. It makes no calls. A call is
// tried three times at most, each time for tryTimeout.
func NewClient(host string, credential azcore.TokenCredential, transport *http.Client, tryTimeout time.Duration) (*azkeys.Client, error) {
	return azkeys.NewClient("https://"+host, credential, &azkeys.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: transport,
		Retry: policy.RetryOptions{
			MaxRetries:    2,
			TryTimeout:    tryTimeout,
			RetryDelay:    100 * time.Millisecond,
			MaxRetryDelay: time.Second,
		},
	}})
}

// minRSABits is what verifiers of today ask of a key.
const minRSABits = 2048

// RSAPublicKey reads the JWK of an RSA key. RFC 7518 section 6.3.
func RSAPublicKey(jwk *azkeys.JSONWebKey) (*rsa.PublicKey, error) {
	n, e := new(big.Int).SetBytes(jwk.N), new(big.Int).SetBytes(jwk.E)
	switch {
	case n.BitLen() < minRSABits:
		return nil, fmt.Errorf("an RSA key of %d bits, want at least %d", n.BitLen(), minRSABits)
	case !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1:
		return nil, fmt.Errorf("an RSA key of %d bits with a public exponent that is not from 3 to 2^31-1", n.BitLen())
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// Brief keeps status and code of a vault's refusal: the SDK's error text is a dump
// of the whole exchange. Any other error is returned as it is.
func Brief(err error) error {
	if resp, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return fmt.Errorf("the vault answered %d %s", resp.StatusCode, strings.TrimSpace(resp.ErrorCode))
	}
	return err
}
