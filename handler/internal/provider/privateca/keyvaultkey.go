package privateca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/certwright/certwright/handler/internal/keyvault"
	"github.com/certwright/certwright/handler/internal/provider/egress"
)

// KeyVaultConfig describes a CA's key in Azure Key Vault or Managed HSM. KeyID and
// Credential are required.
type KeyVaultConfig struct {
	// KeyID is the key's id with its version, https://VAULT/keys/NAME/VERSION: a
	// CA's certificate belongs to one version.
	KeyID string

	// Credential gets tokens for the vault. It needs the permissions get and sign
	// (role "Key Vault Crypto User").
	Credential azcore.TokenCredential

	// HTTPClient makes the calls; nil: one that calls the vault and nobody else.
	HTTPClient *http.Client
}

// KeyVaultKey is a CA's key that Key Vault signs with
// (https://learn.microsoft.com/rest/api/keyvault/keys/sign/sign). Its public half
// is fetched on first use and kept for the life of the process.
type KeyVaultKey struct {
	id, name, version string
	client            *azkeys.Client
	public            atomic.Pointer[crypto.PublicKey]
}

// NewKeyVaultKey returns the key that cfg describes. It makes no calls.
func NewKeyVaultKey(cfg KeyVaultConfig) (*KeyVaultKey, error) {
	id, err := keyvault.ParseID(cfg.KeyID)
	switch {
	case err != nil || id.Version == "":
		return nil, fmt.Errorf("CA key %q is not of the form https://VAULT/keys/NAME/VERSION", cfg.KeyID)
	case cfg.Credential == nil:
		return nil, fmt.Errorf("CA key %q: no credential", cfg.KeyID)
	}
	if cfg.HTTPClient == nil {
		if cfg.HTTPClient, err = egress.NewClient(egress.Config{Hosts: []string{id.Host}}); err != nil {
			return nil, fmt.Errorf("CA key %q: %w", cfg.KeyID, err)
		}
	}
	client, err := keyvault.NewClient(id.Host, cfg.Credential, cfg.HTTPClient, tryTimeout)
	if err != nil {
		return nil, fmt.Errorf("CA key %q: %w", cfg.KeyID, err)
	}
	return &KeyVaultKey{id: cfg.KeyID, name: id.Name, version: id.Version, client: client}, nil
}

// tryTimeout bounds one try of a call, so that three are within a step's deadline.
const tryTimeout = 5 * time.Second

// Signer returns the key for use while ctx lasts: Config.Key.
func (k *KeyVaultKey) Signer(ctx context.Context) (crypto.Signer, error) {
	public := k.public.Load()
	if public == nil {
		resp, err := k.client.GetKey(ctx, k.name, k.version, nil)
		if err != nil {
			return nil, fmt.Errorf("fetching the public key of %q: %w", k.id, keyvault.Brief(err))
		}
		key, err := publicKey(resp.Key)
		if err != nil {
			return nil, fmt.Errorf("public key of %q: %w", k.id, err)
		}
		public = &key
		k.public.Store(public)
	}
	return &keyVaultSigner{k, ctx, *public}, nil
}

// keyVaultCurves are the curves of keys that certificates can be signed with.
var keyVaultCurves = map[azkeys.CurveName]elliptic.Curve{
	azkeys.CurveNameP256: elliptic.P256(),
	azkeys.CurveNameP384: elliptic.P384(),
	azkeys.CurveNameP521: elliptic.P521(),
}

// publicKey reads a JWK. RFC 7518 section 6.
func publicKey(jwk *azkeys.JSONWebKey) (crypto.PublicKey, error) {
	if jwk == nil || jwk.Kty == nil {
		return nil, errors.New("the answer holds no key")
	}
	switch *jwk.Kty {
	case azkeys.KeyTypeRSA, azkeys.KeyTypeRSAHSM:
		return keyvault.RSAPublicKey(jwk)
	case azkeys.KeyTypeEC, azkeys.KeyTypeECHSM:
		if jwk.Crv == nil || keyVaultCurves[*jwk.Crv] == nil {
			return nil, errors.New("an EC key on an unsupported curve")
		}
		curve := keyVaultCurves[*jwk.Crv]
		size := (curve.Params().BitSize + 7) / 8
		if len(jwk.X) > size || len(jwk.Y) > size {
			return nil, errors.New("an EC key with coordinates that are too long")
		}
		point := make([]byte, 1+2*size)
		point[0] = 4 // uncompressed, SEC 1 section 2.3.3
		copy(point[1+size-len(jwk.X):], jwk.X)
		copy(point[1+2*size-len(jwk.Y):], jwk.Y)
		return ecdsa.ParseUncompressedPublicKey(curve, point)
	default:
		return nil, fmt.Errorf("the key type is %s, want RSA or EC", *jwk.Kty)
	}
}

// keyVaultSigner is a KeyVaultKey for the time of a context, which crypto.Signer
// has no room for.
type keyVaultSigner struct {
	*KeyVaultKey
	ctx    context.Context
	public crypto.PublicKey
}

// Public implements crypto.Signer.
func (s *keyVaultSigner) Public() crypto.PublicKey { return s.public }

// Sign implements crypto.Signer. The randomness is Key Vault's own.
func (s *keyVaultSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	algorithm, err := s.algorithm(opts)
	if err != nil {
		return nil, fmt.Errorf("signing with %q: %w", s.id, err)
	}
	resp, err := s.client.Sign(s.ctx, s.name, s.version, azkeys.SignParameters{Algorithm: to.Ptr(algorithm), Value: digest}, nil)
	if err != nil {
		return nil, fmt.Errorf("signing with %q: %w", s.id, keyvault.Brief(err))
	}
	if _, ok := s.public.(*ecdsa.PublicKey); ok {
		return derSignature(resp.Result)
	}
	return resp.Result, nil
}

// algorithm is the JWA of a signature. RFC 7518 section 3.1.
func (s *keyVaultSigner) algorithm(opts crypto.SignerOpts) (azkeys.SignatureAlgorithm, error) {
	bits, ok := map[crypto.Hash]string{crypto.SHA256: "256", crypto.SHA384: "384", crypto.SHA512: "512"}[opts.HashFunc()]
	if !ok {
		return "", fmt.Errorf("no algorithm for the hash function %v", opts.HashFunc())
	}
	family := "RS"
	switch public := s.public.(type) {
	case *ecdsa.PublicKey:
		family = "ES"
		if curve := map[string]string{"P-256": "256", "P-384": "384", "P-521": "512"}[public.Params().Name]; curve != bits {
			return "", fmt.Errorf("a key on %s does not sign digests of %v", public.Params().Name, opts.HashFunc())
		}
	case *rsa.PublicKey:
		if _, ok := opts.(*rsa.PSSOptions); ok {
			family = "PS"
		}
	}
	return azkeys.SignatureAlgorithm(family + bits), nil
}

// derSignature turns the two numbers of a JWS (RFC 7518 section 3.4) into an
// ECDSA-Sig-Value (RFC 3279 section 2.2.3).
func derSignature(raw []byte) ([]byte, error) {
	if len(raw) == 0 || len(raw)%2 != 0 {
		return nil, fmt.Errorf("a signature of %d bytes", len(raw))
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:len(raw)/2]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[len(raw)/2:]))
	})
	return b.Bytes()
}
