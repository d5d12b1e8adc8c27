package chain

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/bundle"
	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/pbe"
	"github.com/certwright/certwright/handler/internal/pemfile"
	"github.com/certwright/certwright/handler/internal/pkcs12"
	"github.com/certwright/certwright/handler/internal/policy"
)

// KeyPair is what an import brings: a private key with the certificates that
// came along, in their order, among them one of this key.
type KeyPair struct {
	Key         crypto.Signer
	Properties  policy.KeyProperties // type, size and curve of key
	certs       []*x509.Certificate
	ContentType string // ContentPKCS12 or ContentPEM
}

// Limits of an import, in bytes.
const (
	maxImport         = 1 << 20 // of the value as sent
	maxImportPassword = 200
	maxCertificate    = 32 << 10 // of one certificate's DER: a head holds one, as base64
)

// Key Vault's words for what cannot be imported.
const (
	badPKCS12    = "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format."
	badPEM       = "The specified PEM X.509 certificate content is in an unexpected format. Please check if certificate is in valid PEM format."
	noPrivateKey = "No certificate with private key found in the specified X.509 certificate content. Please specify X.509 certificate content with only one certificate containing private key."
	tooLong      = "The size of the X.509 certificate is too long."
)

func refuseImport(format string, args ...any) *field.Error {
	return &field.Error{Detail: fmt.Sprintf(format, args...)}
}

// because adds to Key Vault's words what is wrong.
func because(text string, err error) error {
	var why string
	switch {
	case errors.Is(err, pbe.ErrWrongPassword):
		why = "Its password is not the specified one"
	case errors.Is(err, pbe.ErrMissingPassword):
		why = "It is protected by a password, and none was specified in pwd"
	default:
		why = strings.ToUpper(err.Error()[:1]) + err.Error()[1:]
	}
	return &field.Error{Detail: text + " " + why + ".", Err: err}
}

// ParseImport reads what clients send as the value of an import: base64 of
// PKCS #12, PEM, or base64 of PEM. Whatever the policy says about it, the data
// shows what it is. The error is a *field.Error, or that of ctx.
func ParseImport(ctx context.Context, value, password string) (KeyPair, error) {
	switch {
	case value == "":
		return KeyPair{}, field.Errorf("value", "must be present")
	case len(value) > maxImport:
		return KeyPair{}, refuseImport(tooLong)
	case len(password) > maxImportPassword:
		return KeyPair{}, field.Errorf("pwd", "%d bytes: must be at most %d", len(password), maxImportPassword)
	}
	data := []byte(value)
	if !isPEM(data) {
		var ok bool
		if data, ok = field.Base64(value); !ok {
			return KeyPair{}, refuseImport(badPKCS12 + " It is neither base64 nor PEM.")
		}
	}
	var pair KeyPair
	var err error
	if isPEM(data) {
		pair, err = parseKeyPairPEM(ctx, data, password)
	} else {
		pair, err = parseKeyPairPKCS12(ctx, data, password)
	}
	if ended := context.Cause(ctx); err != nil && ended != nil {
		return KeyPair{}, ended
	}
	return pair, err
}

// isPEM reports whether data is meant to be PEM. A file that was cut at its start
// still has an END line.
func isPEM(data []byte) bool {
	return pemfile.Is(data) || bytes.Contains(data, []byte("-----END "))
}

// parseKeyPairPKCS12 reads a PKCS #12 file.
func parseKeyPairPKCS12(ctx context.Context, data []byte, password string) (KeyPair, error) {
	file, err := pkcs12.Decode(ctx, data, password)
	switch {
	case err != nil:
		return KeyPair{}, because(badPKCS12, err)
	case len(file.Keys) != 1 || len(file.Certificates) == 0:
		return KeyPair{}, refuseImport(noPrivateKey)
	}
	defer clear(file.Keys[0].PKCS8)
	key, err := bounded.PKCS8(file.Keys[0].PKCS8)
	if err != nil {
		return KeyPair{}, because(badPKCS12, fmt.Errorf("its private key cannot be read: %w", err))
	}
	var certs []*x509.Certificate
	for i, c := range file.Certificates {
		cert, err := bounded.Certificate(c.DER)
		if err != nil {
			return KeyPair{}, because(badPKCS12, fmt.Errorf("its certificate %d cannot be read: %w", i+1, err))
		}
		certs = append(certs, cert)
	}
	return newKeyPair(key, certs, policy.ContentPKCS12)
}

// parseKeyPairPEM reads certificates and a private key from PEM blocks in any
// order. Blocks of other types are passed over, OpenSSL's EC PARAMETERS for one.
func parseKeyPairPEM(ctx context.Context, data []byte, password string) (KeyPair, error) {
	blocks, err := pemfile.Blocks(data)
	if err != nil {
		return KeyPair{}, because(badPEM, err)
	}
	certs, err := certificatesOf(ctx, blocks)
	if err != nil {
		return KeyPair{}, because(badPEM, err)
	}
	keys := slices.DeleteFunc(blocks, func(b pemfile.Block) bool { return !b.IsKey() })
	switch {
	case len(certs) == 0:
		return KeyPair{}, because(badPEM, errors.New("it has no certificate"))
	case len(keys) != 1:
		return KeyPair{}, refuseImport(noPrivateKey)
	}
	key, err := keys[0].Key(ctx, pbe.NewWork(pbe.MaxHashes), password)
	if err != nil {
		return KeyPair{}, because(badPEM, err)
	}
	return newKeyPair(key, certs, policy.ContentPEM)
}

// certificatesOf reads the certificates and bundles among blocks, in their order.
// The error is a *pemfile.BlockError.
func certificatesOf(ctx context.Context, blocks []pemfile.Block) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for i := range blocks {
		b := &blocks[i]
		var found [][]byte
		var err error
		switch {
		case b.IsCertificate():
			found = make([][]byte, 1)
			if found[0], err = b.Certificate(); err != nil {
				return nil, err // which names the block
			}
		case b.IsBundle():
			if found, err = bundle.Certificates(ctx, b.Bytes); err != nil {
				return nil, b.Error(err)
			}
		}
		for _, der := range found {
			c, err := bounded.Certificate(der)
			if err != nil {
				return nil, b.Error(err)
			}
			certs = append(certs, c)
		}
	}
	return certs, nil
}

// newKeyPair checks what was found.
func newKeyPair(key any, certs []*x509.Certificate, contentType string) (KeyPair, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return KeyPair{}, refuseImport(noPrivateKey)
	}
	properties, err := policy.KeyPropertiesOf(signer.Public())
	if err != nil {
		return KeyPair{}, &field.Error{Detail: policy.InvalidProperties + " " + err.Error() + ".", Err: err}
	}
	var each []*x509.Certificate
	for _, c := range certs {
		if len(c.Raw) > maxCertificate {
			return KeyPair{}, refuseImport(tooLong)
		}
		if !slices.ContainsFunc(each, c.Equal) {
			each = append(each, c)
		}
	}
	if len(each) > MaxChain {
		return KeyPair{}, field.Errorf("value", "%d certificates: must be at most %d", len(each), MaxChain)
	}
	return KeyPair{signer, properties, each, contentType}, nil
}

// Chain is the certificates as Arrange brings them into order. The error, also of a
// certificate that has expired, is a *field.Error.
func (p KeyPair) Chain(keepOrder bool, now time.Time) ([]*x509.Certificate, error) {
	chain, err := Arrange(p.certs, p.Key.Public(), keepOrder)
	if err != nil {
		return nil, err
	}
	if leaf := chain[0]; now.After(leaf.NotAfter) {
		return nil, refuseImport(policy.InvalidProperties+" The certificate expired at %s.", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return chain, nil
}
