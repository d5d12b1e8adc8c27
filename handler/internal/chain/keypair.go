package chain

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/certwright/certwright/handler/internal/field"
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

// maxIterations bounds the password hashing that a PKCS #12 file asks for: a few
// seconds, and a hundred times what OpenSSL, Windows and Java write.
const maxIterations = 1_000_000

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

// ParseImport reads what clients send as the value of an import: base64 of
// PKCS #12, PEM, or base64 of PEM. Whatever the policy says about it, the data
// shows what it is. The error is a BadParameter.
func ParseImport(value, password string) (KeyPair, error) {
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
		if data, ok = decodeBase64(data); !ok {
			return KeyPair{}, refuseImport(badPKCS12)
		}
	}
	if isPEM(data) {
		return parseKeyPairPEM(data)
	}
	return parseKeyPairPKCS12(data, password)
}

func isPEM(data []byte) bool { return bytes.Contains(data, []byte("-----BEGIN ")) }

// parseKeyPairPKCS12 reads a PKCS #12 file. RFC 7292.
func parseKeyPairPKCS12(der []byte, password string) (KeyPair, error) {
	if err := checkIterations(der, 0); err != nil {
		return KeyPair{}, &field.Error{Detail: badPKCS12, Err: err}
	}
	key, first, rest, err := pkcs12.DecodeChain(der, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return KeyPair{}, refuseImport(badPKCS12 + " Its password is not the specified one.")
	case err != nil:
		detail := badPKCS12
		// The library tells these apart by their text alone.
		if strings.Contains(err.Error(), "private key missing") || strings.Contains(err.Error(), "exactly one key bag") {
			detail = noPrivateKey
		}
		return KeyPair{}, &field.Error{Detail: detail, Err: err}
	}
	return newKeyPair(key, append([]*x509.Certificate{first}, rest...), policy.ContentPKCS12)
}

// checkIterations refuses DER with an iteration count that would keep a
// processor busy for long. In the parameters of all schemes of PKCS #12 and
// PKCS #5 it is the INTEGER that follows the salt, an OCTET STRING; in keys and
// certificates none does. A key that is encrypted once more within encrypted
// content is not seen; nobody writes such files.
func checkIterations(der cryptobyte.String, depth int) error {
	const maxDepth = 32
	if depth > maxDepth {
		return errors.New("nested too deeply")
	}
	salt := false
	for !der.Empty() {
		var element cryptobyte.String
		var tag asn1.Tag
		whole := der
		if !der.ReadAnyASN1(&element, &tag) {
			return errors.New("not DER")
		}
		switch {
		case tag == asn1.INTEGER && salt:
			var count int64
			if !whole.ReadASN1Integer(&count) || count > maxIterations {
				return fmt.Errorf("an iteration count is more than %d", maxIterations)
			}
		case tag == asn1.OCTET_STRING:
			// Either DER again or plain data.
			if err := checkIterations(element, depth+1); err != nil && isSequence(element) {
				return err
			}
		case tag&0x20 != 0: // constructed
			if err := checkIterations(element, depth+1); err != nil {
				return err
			}
		}
		salt = tag == asn1.OCTET_STRING
	}
	return nil
}

// isSequence reports whether data is one SEQUENCE and nothing else.
func isSequence(data cryptobyte.String) bool {
	return data.SkipASN1(asn1.SEQUENCE) && data.Empty()
}

// parseKeyPairPEM reads certificates and a private key from PEM blocks in any
// order. Blocks of other types are passed over, OpenSSL's EC PARAMETERS for one.
func parseKeyPairPEM(data []byte) (KeyPair, error) {
	var certs []*x509.Certificate
	var keys []any
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		var key any
		var err error
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE":
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil {
				certs = append(certs, c)
			}
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			err = errors.New("the private key is encrypted")
		}
		if err != nil {
			return KeyPair{}, &field.Error{Detail: badPEM, Err: err}
		}
		if key != nil {
			keys = append(keys, key)
		}
	}
	switch {
	case isPEM(data) || len(certs) == 0: // isPEM: a block without its end
		return KeyPair{}, refuseImport(badPEM)
	case len(keys) != 1:
		return KeyPair{}, refuseImport(noPrivateKey)
	}
	return newKeyPair(keys[0], certs, policy.ContentPEM)
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

// Chain is the certificates, the one of the key first and the others in the
// order of issuance, or in the order in which they came. The error, also of a
// certificate that has expired, is a *field.Error.
func (p KeyPair) Chain(preserveOrder bool, now time.Time) ([]*x509.Certificate, error) {
	chain, err := Order(p.certs, p.Key.Public())
	if err != nil {
		return nil, err
	}
	leaf := chain[0]
	if now.After(leaf.NotAfter) {
		return nil, refuseImport(policy.InvalidProperties+" The certificate expired at %s.", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if !preserveOrder {
		return chain, nil
	}
	return append(chain[:1], slices.DeleteFunc(slices.Clone(p.certs), leaf.Equal)...), nil
}
