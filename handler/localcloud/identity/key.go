package identity

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/certwright/certwright/handler/localcloud/state"
)

const (
	keyName    = "identity/key.pem"
	headerName = "identity/header"
	keyBits    = 2048
)

// Directory is the local cloud's stand-in for an Entra tenant with one
// managed identity. All its ids follow from its random key, so that no two
// local clouds share one.
type Directory struct {
	key *rsa.PrivateKey
	// header is the secret that App Service gives its applications in
	// IDENTITY_HEADER; only a request that has it gets a token.
	header string
}

// Open returns the directory whose key is in folder, made anew when missing.
func Open(folder state.Folder) (*Directory, error) {
	content, err := folder.ReadOrCreate(keyName, generateKey)
	if err != nil {
		return nil, fmt.Errorf("opening the local directory: %w", err)
	}
	key, err := parseKey(content)
	if err != nil {
		return nil, fmt.Errorf("reading the token signing key %q: %w", folder.Path(keyName), err)
	}
	header, err := folder.ReadOrCreate(headerName, generateHeader)
	if err != nil {
		return nil, fmt.Errorf("opening the local directory: %w", err)
	}
	return &Directory{key: key, header: string(header)}, nil
}

// Header returns the value of IDENTITY_HEADER, a secret.
func (d *Directory) Header() string { return d.header }

// TenantID returns the directory's id.
func (d *Directory) TenantID() string { return d.id("tenant") }

// ObjectID returns the id of the identity's service principal.
func (d *Directory) ObjectID() string { return d.id("object") }

// ClientID returns the id of the identity's application.
func (d *Directory) ClientID() string { return d.id("client") }

func (d *Directory) id(kind string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, append(d.fingerprint(), kind...)).String()
}

// KeyID returns the `kid` of the signing key.
func (d *Directory) KeyID() string { return hex.EncodeToString(d.fingerprint()[:16]) }

func (d *Directory) fingerprint() []byte {
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(&d.key.PublicKey))
	return sum[:]
}

func generateKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseKey(content []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a %T, not an RSA key", parsed)
	}
	return key, nil
}

func generateHeader() ([]byte, error) {
	random := make([]byte, 32)
	rand.Read(random)
	return []byte(base64.RawURLEncoding.EncodeToString(random)), nil
}
