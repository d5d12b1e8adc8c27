package vault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/field"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Key is the public half of a version's backing key.
type Key struct {
	Certificate
	Type       string           // policy.KeyRSA, policy.KeyEC or their -HSM forms
	Curve      string           // of an EC key: P-256, P-384 or P-521
	Public     crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey
	Operations []string         // JWK key_ops (RFC 7517 section 4.3)
}

// Key returns the backing key of a version, of the latest when id is empty.
//
// REST page: Get Key.
func (v *Vault) Key(ctx context.Context, n Name, id string) (Key, error) {
	k, _, err := v.key(ctx, n, id, "get")
	return k, err
}

// key finds a version's key for an operation.
func (v *Vault) key(ctx context.Context, n Name, id, operation string) (Key, *version, error) {
	h, ver, err := v.completed(ctx, n, id, KeyNotFound)
	if err != nil {
		return Key{}, nil, err
	}
	if !ver.Enabled {
		return Key{}, nil, &Error{Reason: KeyDisabled, Name: n.text, Detail: operation}
	}
	k, err := v.keyOf(h, ver)
	return k, ver, err
}

func (v *Vault) keyOf(h *head, ver *version) (Key, error) {
	leaf, err := bounded.Certificate(ver.Leaf)
	if err != nil {
		return Key{}, fmt.Errorf("reading a certificate of %q: %w", h.Name, err)
	}
	return Key{
		Certificate: v.ofVersion(h, ver),
		Type:        ver.Key.Type,
		Curve:       ver.Key.Curve,
		Public:      leaf.PublicKey,
		Operations:  keyOperations(leaf),
	}, nil
}

// DeletedKey returns the backing key of a soft-deleted certificate's latest version.
//
// REST page: Get Deleted Key.
func (v *Vault) DeletedKey(ctx context.Context, n Name) (Key, error) {
	h, err := v.head(ctx, n)
	if err == nil {
		err = h.checkDeleted(n)
	}
	if err == nil && h.Latest == nil {
		err = &Error{Reason: DeletedNotFound, Name: n.text}
	}
	if err != nil {
		return Key{}, err
	}
	return v.keyOf(h, h.Latest)
}

// keyOperations are what a certificate's key usage allows its key. A certificate
// without the extension allows everything; an EC key does nothing but sign. They are
// in the live service's order.
//
// Key Vault page: About certificates, Mapping X.509 usage to key operations.
func keyOperations(leaf *x509.Certificate) []string {
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	usage := leaf.KeyUsage
	if usage == 0 {
		usage = signing | x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment
	}
	operations := []string{}
	allow := func(bits x509.KeyUsage, names ...string) {
		if usage&bits != 0 {
			operations = append(operations, names...)
		}
	}
	_, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	if isRSA {
		allow(x509.KeyUsageDataEncipherment|x509.KeyUsageEncipherOnly, "encrypt")
		allow(x509.KeyUsageDataEncipherment|x509.KeyUsageDecipherOnly, "decrypt")
	}
	allow(signing, "sign", "verify")
	if isRSA {
		allow(x509.KeyUsageKeyEncipherment, "wrapKey", "unwrapKey")
	}
	return operations
}

// signatureAlgorithm is one of JWA's (RFC 7518 section 3.1), or RSNULL, which signs
// what it gets in PKCS #1's padding, without the name of a digest (RFC 8017 section
// 9.2, step 2 left out).
type signatureAlgorithm struct {
	hash  crypto.Hash // zero: RSNULL
	curve string      // ECDSA on this curve; empty: RSA
	pss   bool        // RSASSA-PSS; otherwise RSASSA-PKCS1-v1_5
}

var signatureAlgorithms = map[string]signatureAlgorithm{
	"RS256":  {hash: crypto.SHA256},
	"RS384":  {hash: crypto.SHA384},
	"RS512":  {hash: crypto.SHA512},
	"RSNULL": {},
	"PS256":  {hash: crypto.SHA256, pss: true},
	"PS384":  {hash: crypto.SHA384, pss: true},
	"PS512":  {hash: crypto.SHA512, pss: true},
	"ES256":  {hash: crypto.SHA256, curve: "P-256"},
	"ES384":  {hash: crypto.SHA384, curve: "P-384"},
	"ES512":  {hash: crypto.SHA512, curve: "P-521"},
}

// Sign signs a digest with the key of a version, of the latest when id is empty,
// so that a key which is not exportable is of use. algorithm is JWA's name. The
// signature has JWA's form: for ECDSA r and s, each of the curve's size (RFC
// 7518 section 3.4). The Key says which version has signed.
//
// REST page: Sign.
func (v *Vault) Sign(ctx context.Context, n Name, id, algorithm string, digest []byte) (Key, []byte, error) {
	k, ver, alg, err := v.keyFor(ctx, n, id, "sign", algorithm, digest)
	if err != nil {
		return Key{}, nil, err
	}
	if err := v.checkKeyTime(n, ver, "sign"); err != nil {
		return Key{}, nil, err
	}
	signer, err := v.privateKey(ctx, n, ver.KeyID)
	if err != nil {
		return Key{}, nil, err
	}
	var options crypto.SignerOpts = alg.hash
	if alg.pss {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: alg.hash}
	}
	signature, err := signer.Sign(rand.Reader, digest, options)
	if pub, isEC := k.Public.(*ecdsa.PublicKey); isEC && err == nil {
		signature, err = fixedSignature(signature, pub)
	}
	if err != nil {
		return Key{}, nil, fmt.Errorf("signing with the key of %q: %w", n.text, err)
	}
	return k, signature, nil
}

// Verify reports whether signature, in JWA's form, is one of digest by the key
// of a version, of the latest when id is empty.
//
// REST page: Verify.
func (v *Vault) Verify(ctx context.Context, n Name, id, algorithm string, digest, signature []byte) (bool, error) {
	k, _, alg, err := v.keyFor(ctx, n, id, "verify", algorithm, digest)
	if err != nil {
		return false, err
	}
	switch pub := k.Public.(type) {
	case *ecdsa.PublicKey:
		size := coordinateSize(pub)
		if len(signature) != 2*size {
			return false, nil
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(pub, digest, r, s), nil
	case *rsa.PublicKey:
		if alg.pss {
			return rsa.VerifyPSS(pub, alg.hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil, nil
		}
		return rsa.VerifyPKCS1v15(pub, alg.hash, digest, signature) == nil, nil
	default:
		return false, fmt.Errorf("verifying with the key of %q: no algorithm for %T", n.text, pub)
	}
}

// keyFor finds the key of a version and refuses what it cannot, or must not, do.
func (v *Vault) keyFor(ctx context.Context, n Name, id, operation, algorithm string, digest []byte) (Key, *version, signatureAlgorithm, error) {
	refuse := func(err error) (Key, *version, signatureAlgorithm, error) {
		return Key{}, nil, signatureAlgorithm{}, err
	}
	k, ver, err := v.permittedKey(ctx, n, id, operation)
	if err != nil {
		return refuse(err)
	}
	alg, known := signatureAlgorithms[algorithm]
	switch {
	case !known:
		return refuse(field.Errorf("alg", "%q: must be one of %s", algorithm, strings.Join(slices.Sorted(maps.Keys(signatureAlgorithms)), ", ")))
	case alg.curve != k.Curve:
		return refuse(field.Errorf("alg", "%q: must be an algorithm for a key of type %s", algorithm, strings.TrimSpace(k.Type+" "+k.Curve)))
	case alg.hash == 0:
		if pub, isRSA := k.Public.(*rsa.PublicKey); isRSA && (len(digest) == 0 || len(digest) > pub.Size()-11) {
			return refuse(&field.Error{
				Detail: fmt.Sprintf("Invalid length of 'value': %d bytes. %s with this key takes 1 to %d bytes, encoded with base64url.", len(digest), algorithm, pub.Size()-11),
			})
		}
	case len(digest) != alg.hash.Size():
		return refuse(&field.Error{
			Detail: fmt.Sprintf("Invalid length of 'value': %d bytes. %s requires %d bytes, encoded with base64url.", len(digest), algorithm, alg.hash.Size()),
		})
	}
	return k, ver, alg, nil
}

// permittedKey finds the key of a version for an operation that its key_ops list.
func (v *Vault) permittedKey(ctx context.Context, n Name, id, operation string) (Key, *version, error) {
	k, ver, err := v.key(ctx, n, id, operation)
	if err == nil && !slices.Contains(k.Operations, operation) {
		err = &Error{Reason: KeyOperationForbidden, Name: n.text, Detail: operation}
	}
	return k, ver, err
}

// checkKeyTime refuses to make outside of the certificate's validity what others
// would take for made in time.
func (v *Vault) checkKeyTime(n Name, ver *version, operation string) error {
	switch now := v.now(); {
	case now.Before(ver.NotBefore):
		return &Error{Reason: KeyNotYetValid, Name: n.text, Detail: operation}
	case now.After(ver.Expires):
		return &Error{Reason: KeyExpired, Name: n.text, Detail: operation}
	default:
		return nil
	}
}

// fixedSignature brings an Ecdsa-Sig-Value (RFC 3279 section 2.2.3) into JWA's
// form.
func fixedSignature(der cryptobyte.String, pub *ecdsa.PublicKey) ([]byte, error) {
	r, s := new(big.Int), new(big.Int)
	var sequence cryptobyte.String
	if !der.ReadASN1(&sequence, asn1.SEQUENCE) || !sequence.ReadASN1Integer(r) || !sequence.ReadASN1Integer(s) {
		return nil, fmt.Errorf("an ECDSA signature of %d bytes cannot be read", len(der))
	}
	size := coordinateSize(pub)
	signature := make([]byte, 2*size)
	r.FillBytes(signature[:size])
	s.FillBytes(signature[size:])
	return signature, nil
}

// coordinateSize is the size of a coordinate of a curve in bytes.
func coordinateSize(pub *ecdsa.PublicKey) int { return (pub.Curve.Params().BitSize + 7) / 8 }
