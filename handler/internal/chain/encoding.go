package chain

import (
	"bytes"
	"crypto"
	"crypto/sha3"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/pkcs12"
	"github.com/certwright/certwright/handler/internal/policy"
)

// Parse reads a chain from the DER of each certificate. The error is one of
// bounded.Certificate, or says that there is none.
func Parse(der [][]byte) ([]*x509.Certificate, error) {
	if len(der) == 0 {
		return nil, errors.New("the chain is empty")
	}
	var chain []*x509.Certificate
	for _, d := range der {
		c, err := bounded.Certificate(d)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// Secret is what a backing secret is made of.
type Secret struct {
	ContentType string // policy.ContentPKCS12 or policy.ContentPEM
	Chain       []*x509.Certificate
	Key         crypto.Signer // nil: it is not exportable
	KeepOrder   bool          // in PKCS #12 too the leaf comes first, and the chain in its order
}

// Encode makes the value of the secret.
func (s Secret) Encode() ([]byte, error) {
	var key []byte
	if s.Key != nil {
		var err error
		if key, err = policy.MarshalKey(s.Key); err != nil {
			return nil, err
		}
		defer clear(key)
	}
	if s.ContentType == policy.ContentPKCS12 {
		return s.encodePKCS12(key)
	}
	certs := EncodePEM(s.Chain)
	if key == nil {
		return certs, nil
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), certs...), nil
}

// encodePKCS12 writes as Key Vault does. What is random comes from the leaf, so that
// a secret has the same value however often it is read: who compares it with what
// it was learns whether the certificate is a new one.
func (s Secret) encodePKCS12(key []byte) ([]byte, error) {
	random := sha3.NewSHAKE256()
	random.Write(s.Chain[0].Raw)
	name, err := uuid.NewRandomFromReader(random)
	if err != nil {
		return nil, fmt.Errorf("naming a key: %w", err)
	}
	contents := pkcs12.Contents{Key: key, FriendlyName: name.String(), LeafFirst: s.KeepOrder}
	for _, c := range s.Chain {
		contents.Chain = append(contents.Chain, c.Raw)
	}
	return pkcs12.Encode(random, contents)
}

// EncodePEM is a chain as its blob has it.
func EncodePEM(chain []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range chain {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a Buffer takes everything
	}
	return b.Bytes()
}
