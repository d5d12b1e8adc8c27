package policy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/certwright/certwright/handler/internal/bounded"
)

// curves are the EC keys that can be made, by curve name as in a JWK (RFC 7518
// section 6.2.1.1).
var curves = map[string]elliptic.Curve{
	"P-256": elliptic.P256(),
	"P-384": elliptic.P384(),
	"P-521": elliptic.P521(),
}

// rsaSizes are the RSA moduli that can be made, in bits.
var rsaSizes = []int{2048, 3072, 4096}

// GenerateKey makes a key pair of the kind that k says. An RSA key may take
// seconds.
func GenerateKey(k KeyProperties) (crypto.Signer, error) {
	switch k.Type {
	case KeyRSA, KeyRSAHSM:
		key, err := rsa.GenerateKey(rand.Reader, k.Size)
		if err != nil {
			return nil, fmt.Errorf("generating an RSA key of %d bits: %w", k.Size, err)
		}
		return key, nil
	case KeyEC, KeyECHSM:
		curve, ok := curves[k.Curve]
		if !ok {
			return nil, fmt.Errorf("generating an EC key: no curve %q", k.Curve)
		}
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("generating an EC key on %s: %w", k.Curve, err)
		}
		return key, nil
	}
	return nil, fmt.Errorf("generating a key: no type %q", k.Type)
}

// MarshalKey encodes a private key as PKCS #8. The caller clears the result.
func MarshalKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	return der, nil
}

// ParseKey reads a private key from PKCS #8.
func ParseKey(der []byte) (crypto.Signer, error) {
	key, err := bounded.PKCS8(der)
	if err != nil {
		return nil, fmt.Errorf("decoding a private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("decoding a private key: %T does not sign", key)
	}
	return signer, nil
}

// SamePublicKey reports whether a and b are the same public key.
func SamePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// KeyPropertiesOf describes a public key. The error says why a certificate of
// this vault cannot have it.
func KeyPropertiesOf(pub crypto.PublicKey) (KeyProperties, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		size := pub.N.BitLen()
		if !slices.Contains(rsaSizes, size) {
			return KeyProperties{}, fmt.Errorf("an RSA key has 2048, 3072 or 4096 bits, not %d", size)
		}
		return KeyProperties{Type: KeyRSA, Size: size}, nil
	case *ecdsa.PublicKey:
		for name, curve := range curves {
			if pub.Curve == curve {
				return KeyProperties{Type: KeyEC, Size: curve.Params().BitSize, Curve: name}, nil
			}
		}
		return KeyProperties{}, fmt.Errorf("an EC key is on P-256, P-384 or P-521, not on %s", pub.Params().Name)
	}
	return KeyProperties{}, errors.New("a key is RSA or EC")
}
