package seal

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"golang.org/x/sync/singleflight"

	"github.com/certwright/certwright/handler/internal/keyvault"
)

const (
	// callTimeout bounds one call to the vault, its retries and the time to get a
	// token for it included.
	callTimeout = 10 * time.Second
	tryTimeout  = 4 * time.Second

	cachedDEKs = 1024      // about 200 kB
	dekMaxAge  = time.Hour // a KEK that is disabled or revoked is in effect at most this much later
)

// KeyVaultConfig describes a key encryption key in Azure Key Vault or Managed HSM.
type KeyVaultConfig struct {
	// KeyID is the key's id, "https://VAULT/keys/NAME" or ".../NAME/VERSION", an
	// RSA key that allows unwrapKey and sign. Without a version, a root is wrapped
	// and signed by the version that is current when the first one is. What any
	// version of the key wrapped or signed can be opened, as long as that version
	// is enabled.
	KeyID string

	// Credential gets tokens for the vault. It needs the permissions get, unwrapKey
	// and sign (role "Key Vault Crypto User", on this key alone).
	Credential azcore.TokenCredential

	// HTTPClient makes the calls.
	HTTPClient *http.Client

	// Now tells the time. Nil means time.Now.
	Now func() time.Time
}

// A KeyVaultKEK is an RSA key in Azure Key Vault. It wraps with RSA-OAEP-256 on
// this machine, using the public half, which is fetched on first use and kept
// for the life of the process; rotating the key takes effect in processes
// started later. It unwraps by the vault's unwrapKey
// (https://learn.microsoft.com/rest/api/keyvault/keys/unwrap-key) and remembers
// the results in memory for an hour. It signs by the vault's sign, with PS256 (RFC
// 7518 section 3.5), and verifies with the public half of the version that signed,
// which is fetched once.
type KeyVaultKEK struct {
	client  *azkeys.Client
	keyURL  string // without version or trailing slash
	name    string
	version string // "" is the current one

	public  atomic.Pointer[publicKey] // what wraps
	publics sync.Map                  // *publicKey, by version: what verifies
	deks    *dekCache
	flights singleflight.Group
}

// publicKey is the public half of one version of the key.
type publicKey struct {
	id  string
	rsa *rsa.PublicKey
}

// NewKeyVaultKEK returns the key that cfg describes. It makes no calls.
func NewKeyVaultKEK(cfg KeyVaultConfig) (*KeyVaultKEK, error) {
	id, err := keyvault.ParseID(cfg.KeyID)
	if err != nil {
		return nil, fmt.Errorf("key encryption key %q: %w", cfg.KeyID, err)
	}
	if cfg.Credential == nil {
		return nil, fmt.Errorf("key encryption key %q: no credential", cfg.KeyID)
	}
	if cfg.HTTPClient == nil {
		// The SDK's own client would obey proxy variables.
		return nil, fmt.Errorf("key encryption key %q: no HTTP client", cfg.KeyID)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	host := strings.ToLower(id.Host)
	client, err := keyvault.NewClient(host, cfg.Credential, cfg.HTTPClient, tryTimeout)
	if err != nil {
		return nil, fmt.Errorf("key encryption key %q: %w", cfg.KeyID, err)
	}
	return &KeyVaultKEK{
		client:  client,
		keyURL:  "https://" + host + "/keys/" + id.Name,
		name:    id.Name,
		version: id.Version,
		deks:    newDEKCache(cachedDEKs, dekMaxAge, cfg.Now),
	}, nil
}

// Wrap encrypts dek with RSA-OAEP-256 under the key's public half.
func (k *KeyVaultKEK) Wrap(ctx context.Context, random io.Reader, dek []byte) (id string, wrapped []byte, err error) {
	pub := k.public.Load()
	if pub == nil {
		pub, err = once(ctx, &k.flights, "public key", k.fetchPublic)
		if err != nil {
			return "", nil, fmt.Errorf("fetching public key of %q: %w", k.keyURL, err)
		}
	}
	wrapped, err = rsa.EncryptOAEP(sha256.New(), random, pub.rsa, dek, nil)
	if err != nil {
		return "", nil, fmt.Errorf("wrapping with %q: %w", pub.id, err)
	}
	return pub.id, wrapped, nil
}

// Unwrap has the vault decrypt a DEK, unless it did so within the last hour.
func (k *KeyVaultKEK) Unwrap(ctx context.Context, id string, wrapped []byte) ([]byte, error) {
	version, err := k.own(id)
	if err != nil {
		return nil, err
	}
	cacheKey := wrappedDEK(id, wrapped)
	if dek, ok := k.deks.get(cacheKey); ok {
		return dek, nil
	}
	dek, err := once(ctx, &k.flights, string(cacheKey[:]), func(ctx context.Context) ([]byte, error) {
		if dek, ok := k.deks.get(cacheKey); ok { // unwrapped since the caller looked
			return dek, nil
		}
		dek, err := k.unwrap(ctx, version, wrapped)
		if err == nil {
			k.deks.put(cacheKey, dek)
		}
		return dek, err
	})
	if err != nil {
		return nil, fmt.Errorf("unwrapping with %q: %w", id, err)
	}
	return dek, nil
}

func (k *KeyVaultKEK) fetchPublic(ctx context.Context) (*publicKey, error) {
	if pub := k.public.Load(); pub != nil { // fetched since the caller looked
		return pub, nil
	}
	pub, err := k.getPublic(ctx, k.version)
	if err != nil {
		return nil, err
	}
	k.public.Store(pub)
	return pub, nil
}

// getPublic fetches the public half of a version, the current one when empty.
func (k *KeyVaultKEK) getPublic(ctx context.Context, version string) (*publicKey, error) {
	resp, err := k.client.GetKey(ctx, k.name, version, nil)
	if err != nil {
		return nil, goneOr(err)
	}
	pub, err := k.checkPublic(resp.KeyBundle, version)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return pub, nil
}

// own is the version that an id of this key names.
func (k *KeyVaultKEK) own(id string) (version string, err error) {
	version, ok := strings.CutPrefix(id, k.keyURL+"/")
	if !ok || !keyvault.IsVersion(version) {
		return "", fmt.Errorf("sealed under %q, but the configured key is %q: %w", id, k.keyURL, ErrUnknownKEK)
	}
	return version, nil
}

// Check has the vault decrypt a DEK, whatever is remembered.
func (k *KeyVaultKEK) Check(ctx context.Context, id string, wrapped []byte) error {
	version, err := k.own(id)
	if err != nil {
		return err
	}
	_, err = once(ctx, &k.flights, "check "+id, func(ctx context.Context) ([]byte, error) {
		return k.unwrap(ctx, version, wrapped)
	})
	if err != nil {
		return fmt.Errorf("checking %q: %w", id, err)
	}
	return nil
}

// unwrap has the vault decrypt a DEK.
func (k *KeyVaultKEK) unwrap(ctx context.Context, version string, wrapped []byte) ([]byte, error) {
	resp, err := k.client.UnwrapKey(ctx, k.name, version, azkeys.KeyOperationParameters{
		Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256),
		Value:     wrapped,
	}, nil)
	if err != nil {
		return nil, refusal(err)
	}
	return resp.Result, nil
}

// Sign has the vault sign a message.
func (k *KeyVaultKEK) Sign(ctx context.Context, id string, message []byte) ([]byte, error) {
	version, err := k.own(id)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	digest := sha256.Sum256(message)
	resp, err := k.client.Sign(ctx, k.name, version, azkeys.SignParameters{
		Algorithm: to.Ptr(azkeys.SignatureAlgorithmPS256),
		Value:     digest[:],
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("signing with %q: %w", id, refusal(err))
	}
	return resp.Result, nil
}

// Verify verifies a signature on this machine. It asks the vault for the public
// half, and nobody else: storage could name any.
func (k *KeyVaultKEK) Verify(ctx context.Context, id string, message, signature []byte) error {
	version, err := k.own(id)
	if err != nil {
		return err
	}
	pub, err := k.publicOf(ctx, version)
	if err != nil {
		return fmt.Errorf("fetching public key %q: %w", id, err)
	}
	digest := sha256.Sum256(message)
	options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	if err := rsa.VerifyPSS(pub.rsa, crypto.SHA256, digest[:], signature, options); err != nil {
		return fmt.Errorf("signature of %q: %w", id, ErrRefused)
	}
	return nil
}

// publicOf is the public half of a version.
func (k *KeyVaultKEK) publicOf(ctx context.Context, version string) (*publicKey, error) {
	if pub, ok := k.publics.Load(version); ok {
		return pub.(*publicKey), nil
	}
	return once(ctx, &k.flights, "public key "+version, func(ctx context.Context) (*publicKey, error) {
		pub, err := k.getPublic(ctx, version)
		if err == nil {
			k.publics.Store(version, pub)
		}
		return pub, err
	})
}

// checkPublic refuses a key under which a DEK could be wrapped and then not be
// unwrapped again, for wrapping does not ask the vault. wanted is the version that
// was asked for, empty: the current one.
func (k *KeyVaultKEK) checkPublic(bundle azkeys.KeyBundle, wanted string) (*publicKey, error) {
	jwk := bundle.Key
	if jwk == nil || jwk.KID == nil || jwk.Kty == nil {
		return nil, errors.New("answer holds no key")
	}
	version, ok := strings.CutPrefix(string(*jwk.KID), k.keyURL+"/")
	if !ok || !keyvault.IsVersion(version) || wanted != "" && version != wanted {
		return nil, fmt.Errorf("answer holds another key, %q", *jwk.KID)
	}
	if *jwk.Kty != azkeys.KeyTypeRSA && *jwk.Kty != azkeys.KeyTypeRSAHSM {
		return nil, fmt.Errorf("key type is %s, want RSA or RSA-HSM", *jwk.Kty)
	}
	if a := bundle.Attributes; a == nil || a.Enabled == nil || !*a.Enabled {
		return nil, errors.New("key is disabled")
	}
	for _, needed := range []azkeys.KeyOperation{azkeys.KeyOperationUnwrapKey, azkeys.KeyOperationSign} {
		if !slices.ContainsFunc(jwk.KeyOps, func(op *azkeys.KeyOperation) bool { return op != nil && *op == needed }) {
			return nil, fmt.Errorf("key does not allow %s: its operations must be wrapKey, unwrapKey, sign and verify", needed)
		}
	}
	public, err := keyvault.RSAPublicKey(jwk)
	if err != nil {
		return nil, err
	}
	return &publicKey{id: string(*jwk.KID), rsa: public}, nil
}

// refusal tells a refused or lost key from a vault that cannot serve now.
func refusal(err error) error {
	if resp, ok := errors.AsType[*azcore.ResponseError](err); ok && resp.StatusCode == http.StatusBadRequest {
		return fmt.Errorf("%w: %w", ErrRefused, keyvault.Brief(err))
	}
	return goneOr(err)
}

// goneOr tells a key that is gone, or may not be used, from a vault that cannot
// serve now.
func goneOr(err error) error {
	if resp, ok := errors.AsType[*azcore.ResponseError](err); ok {
		switch resp.StatusCode {
		case http.StatusNotFound:
			return fmt.Errorf("%w: %w", ErrUnknownKEK, keyvault.Brief(err))
		case http.StatusForbidden: // also of a disabled key
			return fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrDenied, keyvault.Brief(err))
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, keyvault.Brief(err))
}

// once runs call for all concurrent callers with the same key. The call outlives
// any one of them: a caller that gives up does not fail those who still wait.
func once[T any](ctx context.Context, flights *singleflight.Group, key string, call func(context.Context) (T, error)) (T, error) {
	results := flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		return call(ctx)
	})
	var none T
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case r := <-results:
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(T), nil
	}
}
