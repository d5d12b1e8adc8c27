package vault_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"sync"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
)

// A search makes thousands of certificates. Keys and leaves come from a pool, so
// that it spends its time on the vault.

// ellipticKeys are the keys that the makers of keys in a search have, a few
// each.
var ellipticKeys = sync.OnceValue(func() []*ecdsa.PrivateKey {
	keys := make([]*ecdsa.PrivateKey, 64)
	for i := range keys {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

// keysEach is how many keys a maker has before they come again.
const keysEach = 4

// keysOf is the maker's source of keys. A key that is not EC P-256 is new.
func keysOf(maker int) func(policy.KeyProperties) (crypto.Signer, error) {
	made := 0
	var mu sync.Mutex
	return func(p policy.KeyProperties) (crypto.Signer, error) {
		if p.Type != policy.KeyEC {
			return pooledKey(p)
		}
		mu.Lock()
		defer mu.Unlock()
		made++
		return ellipticKeys()[maker*keysEach+(made-1)%keysEach], nil
	}
}

// issued is the label of what an issuer of the searches made.
const issued = "issued"

// leaves are the certificates of the pool.
var leaves = struct {
	sync.Mutex
	der   map[string][]byte // by key and label
	label map[string]string // by DER
}{der: make(map[string][]byte), label: make(map[string]string)}

// leaf is the certificate of a key that goes by label.
func leaf(key *ecdsa.PublicKey, label string) []byte {
	point, err := key.Bytes()
	if err != nil {
		panic(err)
	}
	leaves.Lock()
	defer leaves.Unlock()
	id := string(point) + label
	if der, ok := leaves.der[id]; ok {
		return der
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(leaves.der) + 2)),
		Subject:      pkix.Name{CommonName: "example.com"},
		NotBefore:    time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2126, 3, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key, ellipticKeys()[0])
	if err != nil {
		panic(err)
	}
	leaves.der[id], leaves.label[string(der)] = der, label
	return der
}

// leafOf is a certificate for a maker's first key, as a caller sends it.
func leafOf(maker int, label string) string {
	return base64.StdEncoding.EncodeToString(leaf(&ellipticKeys()[maker*keysEach].PublicKey, label))
}

// pemOf is the same with its key, as a caller imports it.
func pemOf(maker int, label string) string {
	key := ellipticKeys()[maker*keysEach]
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf(&key.PublicKey, label)}))
}

// issuedFor is what the CA of the searches makes of a CSR.
func issuedFor(csr []byte) []byte {
	req, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		panic(err)
	}
	return leaf(req.PublicKey.(*ecdsa.PublicKey), issued)
}

// leafLabel tells a version's certificate: empty when there is none, issued for
// what an issuer made, which the issuer Self does afresh each time.
func leafLabel(der []byte) string {
	if der == nil {
		return ""
	}
	leaves.Lock()
	defer leaves.Unlock()
	if label, ok := leaves.label[string(der)]; ok {
		return label
	}
	return issued
}
