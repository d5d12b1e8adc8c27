package kvhttp

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"math/big"

	"github.com/certwright/certwright/handler/internal/vault"
)

// key is a KeyBundle.
type key struct {
	Key        jsonWebKey        `json:"key"`
	Attributes attributes        `json:"attributes"`
	Tags       map[string]string `json:"tags,omitzero"`
	Managed    bool              `json:"managed"` // always
}

// jsonWebKey is a public key. RFC 7518 section 6; all numbers are base64url.
type jsonWebKey struct {
	ID         string   `json:"kid"`
	Type       string   `json:"kty"`
	Operations []string `json:"key_ops"`
	Modulus    string   `json:"n,omitempty"`
	Exponent   string   `json:"e,omitempty"`
	Curve      string   `json:"crv,omitempty"`
	X          string   `json:"x,omitempty"`
	Y          string   `json:"y,omitempty"`
}

// deletedKey is a DeletedKeyBundle.
type deletedKey struct {
	deletion
	key
}

// keyItem is a KeyItem.
type keyItem struct {
	ID         string            `json:"kid"`
	Attributes attributes        `json:"attributes"`
	Tags       map[string]string `json:"tags,omitzero"`
	Managed    bool              `json:"managed"`
}

// signParams are KeySignParameters.
type signParams struct {
	Algorithm string `json:"alg"`
	Value     string `json:"value"` // the digest, base64url
}

// verifyParams are KeyVerifyParameters.
type verifyParams struct {
	Algorithm string `json:"alg"`
	Digest    string `json:"digest"` // base64url
	Signature string `json:"value"`  // base64url
}

// keyOperationParams are KeyOperationsParameters. What it has for AES is not here: no
// certificate has such a key.
type keyOperationParams struct {
	Algorithm string `json:"alg"`
	Value     string `json:"value"` // base64url
}

// value is what is to be encrypted or decrypted.
func (p keyOperationParams) value() ([]byte, error) { return parseBase64("value", p.Value) }

// digest is what is to be signed.
func (p signParams) digest() ([]byte, error) { return parseBase64("value", p.Value) }

// params are the digest that was signed and its signature.
func (p verifyParams) params() (digest, signature []byte, err error) {
	if digest, err = parseBase64("digest", p.Digest); err != nil {
		return nil, nil, err
	}
	signature, err = parseBase64("value", p.Signature)
	return digest, signature, err
}

// keyOperationResult is what an operation made.
type keyOperationResult struct {
	KeyID string `json:"kid"`
	Value string `json:"value"` // base64url
}

type keyVerifyResult struct {
	Value bool `json:"value"`
}

// keyResult shows what a key made.
func (v view) keyResult(k vault.Key, made []byte) keyOperationResult {
	return keyOperationResult{KeyID: v.links.keyVersion(k.Name, k.Version), Value: urlBase64(made)}
}

func (v view) key(k vault.Key) key {
	out := key{
		Key: jsonWebKey{
			ID:         v.links.keyVersion(k.Name, k.Version),
			Type:       k.Type,
			Operations: k.Operations,
			Curve:      k.Curve,
		},
		Attributes: v.keyAttributes(k.Attributes),
		Tags:       k.Tags,
		Managed:    true,
	}
	switch pub := k.Public.(type) {
	case *rsa.PublicKey:
		out.Key.Modulus = urlBase64(pub.N.Bytes())
		out.Key.Exponent = urlBase64(big.NewInt(int64(pub.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := pub.Bytes() // 4, x and y: SEC 1 section 2.3.3
		if err != nil {
			panic(err) // a certificate's key is a point of its curve
		}
		size := len(point) / 2
		out.Key.X, out.Key.Y = urlBase64(point[1:1+size]), urlBase64(point[1+size:])
	default:
		panic(fmt.Sprintf("no JSON Web Key for %T", pub)) // the vault has none such
	}
	return out
}

// keyAttributes are those of a key, which say that no security module has it.
func (v view) keyAttributes(a vault.Attributes) attributes {
	out := v.attributes(a)
	if v.api >= sinceHSMPlatform {
		out.HSMPlatform = "0"
	}
	return out
}

// keyItem shows the key of a certificate in a list, where its id has no version.
func (v view) keyItem(c vault.Certificate) keyItem {
	out := v.keyVersionItem(c)
	out.ID = v.links.key(c.Name)
	return out
}

// keyVersionItem shows the key of a version in a list.
func (v view) keyVersionItem(c vault.Certificate) keyItem {
	return keyItem{
		ID:         v.links.keyVersion(c.Name, c.Version),
		Attributes: v.keyAttributes(c.Attributes),
		Tags:       c.Tags,
		Managed:    true,
	}
}
