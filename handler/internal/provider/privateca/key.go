package privateca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/certwright/certwright/handler/internal/bounded"
)

// ErrNoKey says that a CA's key is not where it should be.
var ErrNoKey = errors.New("there is no key")

// SoftwareKey is a CA's key that this process signs with.
type SoftwareKey struct {
	// Load returns the key that Save keeps, PKCS #8, opened; nil when there is
	// none. It is called for each signature, and what it returns is cleared
	// afterwards.
	Load func(ctx context.Context) ([]byte, error)

	// Save seals and keeps a key; it must not take the place of another.
	Save func(ctx context.Context, pkcs8 []byte) error
}

// Signer opens the key: Config.Key. The error is ErrNoKey when there is none.
func (k SoftwareKey) Signer(ctx context.Context) (crypto.Signer, error) {
	der, err := k.Load(ctx)
	if err != nil {
		return nil, err
	}
	if der == nil {
		return nil, ErrNoKey
	}
	defer clear(der)
	return parsePKCS8(der)
}

// Store keeps a key.
func (k SoftwareKey) Store(ctx context.Context, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the CA's key: %w", err)
	}
	defer clear(der)
	if err := k.Save(ctx, der); err != nil {
		return fmt.Errorf("storing the CA's key: %w", err)
	}
	return nil
}

// ParseKey reads a CA's key from PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
// Blocks of other types are passed over. Errors hold nothing of the key.
func ParseKey(text []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PRIVATE KEY":
			return parsePKCS8(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err := bounded.PKCS1(block.Bytes)
			if err != nil || block.Headers["DEK-Info"] != "" {
				return nil, errors.New("the RSA key cannot be read; if it is encrypted, decrypt it first")
			}
			return checkKey(key)
		case "EC PRIVATE KEY":
			key, err := bounded.SEC1(block.Bytes)
			if err != nil || block.Headers["DEK-Info"] != "" {
				return nil, errors.New("the EC key cannot be read; if it is encrypted, decrypt it first")
			}
			return checkKey(key)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the key is encrypted: decrypt it first, with openssl pkey")
		}
	}
	return nil, errors.New("there is no private key in PEM")
}

func parsePKCS8(der []byte) (crypto.Signer, error) {
	key, err := bounded.PKCS8(der)
	if err != nil {
		return nil, errors.New("the key cannot be read as PKCS #8")
	}
	return checkKey(key)
}

// minRSABits is what verifiers of today ask of a CA's key.
const minRSABits = 2048

func checkKey(key any) (crypto.Signer, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits, fewer than %d", key.N.BitLen(), minRSABits)
		}
		return key, nil
	case *ecdsa.PrivateKey:
		return key, nil
	default:
		return nil, fmt.Errorf("a key of the type %T: must be RSA or ECDSA", key)
	}
}
