package chain

import (
	"bytes"
	"crypto"
	"crypto/sha3"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/certwright/certwright/handler/internal/policy"
)

func Parse(der [][]byte) ([]*x509.Certificate, error) {
	if len(der) == 0 {
		return nil, errors.New("the chain is empty")
	}
	var chain []*x509.Certificate
	for _, d := range der {
		c, err := x509.ParseCertificate(d)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// EncodeSecret makes the value of a backing secret, without a key when key is
// nil.
func EncodeSecret(contentType string, chain []*x509.Certificate, key crypto.Signer) ([]byte, error) {
	switch {
	case contentType == policy.ContentPEM && key == nil:
		return EncodePEM(chain), nil
	case contentType == policy.ContentPEM:
		der, err := policy.MarshalKey(key)
		if err != nil {
			return nil, err
		}
		defer clear(der)
		return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), EncodePEM(chain)...), nil
	case key == nil:
		return secretEncoder(chain[0]).EncodeTrustStore(chain, "")
	default:
		return secretEncoder(chain[0]).Encode(key, chain[0], chain[1:], "")
	}
}

// secretEncoder encrypts with 3DES and authenticates with HMAC-SHA-1, as Key
// Vault does, iterations included. Under an empty password no algorithm protects
// anything; these are the ones that every reader knows. Salts come from the leaf,
// so that a secret has the same value however often it is read: who compares it
// with what it was learns whether the certificate is a new one.
func secretEncoder(leaf *x509.Certificate) *pkcs12.Encoder {
	salts := sha3.NewSHAKE256()
	salts.Write(leaf.Raw)
	return pkcs12.LegacyDES.WithIterations(2000).WithRand(salts)
}

// EncodePEM is a chain as its blob has it.
func EncodePEM(chain []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range chain {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a Buffer takes everything
	}
	return b.Bytes()
}
