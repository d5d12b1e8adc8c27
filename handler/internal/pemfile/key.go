package pemfile

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"github.com/certwright/certwright/handler/internal/ber"
	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/pbe"
)

// Types of blocks. RFC 7468 and, of the older ones, OpenSSL's pem.h.
const (
	encryptedKey = "ENCRYPTED PRIVATE KEY"
	pkcs8Key     = "PRIVATE KEY"
	pkcs1Key     = "RSA PRIVATE KEY"
	sec1Key      = "EC PRIVATE KEY"
	trusted      = "TRUSTED CERTIFICATE"
)

// IsCertificate reports whether the block is an X.509 certificate.
func (b *Block) IsCertificate() bool {
	return slices.Contains([]string{"CERTIFICATE", "X509 CERTIFICATE", trusted}, b.Type)
}

// IsBundle reports whether the block is a PKCS #7 message.
func (b *Block) IsBundle() bool {
	return slices.Contains([]string{"PKCS7", "PKCS #7 SIGNED DATA", "CMS"}, b.Type)
}

// IsKey reports whether the block is a private key that Key reads.
func (b *Block) IsKey() bool {
	return slices.Contains([]string{encryptedKey, pkcs8Key, pkcs1Key, sec1Key}, b.Type)
}

// IsEncrypted reports whether a password opens the block.
func (b *Block) IsEncrypted() bool { return b.Type == encryptedKey || b.Headers["DEK-Info"] != "" }

// Certificate is the DER of a certificate, which is not checked. OpenSSL's trusted
// certificates have settings behind it.
func (b *Block) Certificate() ([]byte, error) {
	if b.Type != trusted {
		return b.Bytes, nil
	}
	der, _, err := ber.ToDER(b.Bytes)
	if err != nil {
		return nil, b.Error(err)
	}
	return der, nil
}

// Key reads the private key of a block that IsKey. The password of one that is not encrypted is passed
// over: az sends one always. An encrypted key costs from work.
//
// The error is a *BlockError, which wraps pbe.ErrWrongPassword or
// pbe.ErrMissingPassword, pbe.ErrTooCostly, a *pbe.UnsupportedError, a
// *pbe.MalformedError, a *bounded.SizeError, a *bounded.CurveError, an error of crypto/x509 or of ctx.
func (b *Block) Key(ctx context.Context, work *pbe.Work, password string) (crypto.PrivateKey, error) {
	key, err := b.key(ctx, work, password)
	if errors.Is(err, pbe.ErrWrongPassword) {
		err = pbe.Refused(password)
	}
	if err != nil {
		return nil, b.Error(err)
	}
	return key, nil
}

func (b *Block) key(ctx context.Context, work *pbe.Work, password string) (crypto.PrivateKey, error) {
	der := b.Bytes
	var err error
	switch {
	case b.Type == encryptedKey:
		if der, err = openPKCS8(ctx, work, der, password); err != nil {
			return nil, err
		}
		return bounded.PKCS8(der)
	case b.IsEncrypted():
		if der, err = b.openTraditional(password); err != nil {
			return nil, err
		}
	}
	switch b.Type {
	case pkcs1Key:
		return bounded.PKCS1(der)
	case sec1Key:
		return bounded.SEC1(der)
	default:
		return bounded.PKCS8(der)
	}
}

// openPKCS8 opens an EncryptedPrivateKeyInfo. RFC 5208 section 6.
func openPKCS8(ctx context.Context, work *pbe.Work, data []byte, password string) ([]byte, error) {
	der, rest, err := ber.ToDER(data)
	if err != nil || len(rest) > 0 {
		return nil, &pbe.MalformedError{Part: "encrypted private key", Err: err}
	}
	scheme, ciphertext, err := pbe.ReadEncryptedKey(cryptobyte.String(der))
	if err != nil {
		return nil, err
	}
	return scheme.Try(ctx, work, pbe.Passwords(password), ciphertext, isElement)
}

// isElement reports whether data is one element of DER, which what a wrong
// password makes of a key is not.
func isElement(data []byte) bool {
	_, rest, err := ber.ToDER(data)
	return err == nil && len(rest) == 0
}

// openTraditional opens a key of the form that OpenSSL wrote before 1.0, and still
// does with -traditional. It is weak, which is the concern of those who have such
// files: crypto/x509 calls it deprecated for that. Its key takes one hash.
func (b *Block) openTraditional(password string) ([]byte, error) {
	mode, _, _ := strings.Cut(b.Headers["DEK-Info"], ",")
	if !slices.Contains([]string{"DES-CBC", "DES-EDE3-CBC", "AES-128-CBC", "AES-192-CBC", "AES-256-CBC"}, mode) {
		return nil, &pbe.UnsupportedError{What: "encryption of the key", Name: strconv.Quote(mode)}
	}
	der, err := x509.DecryptPEMBlock(&b.Block, []byte(password)) //nolint:staticcheck // a key file is read as it is; nothing is written so
	switch {
	case errors.Is(err, x509.IncorrectPasswordError), err == nil && !isElement(der):
		return nil, pbe.ErrWrongPassword
	case err != nil:
		return nil, &pbe.MalformedError{Part: "encryption of the key", Err: err}
	}
	return der, nil
}
