package pbe

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"encoding/asn1"
	"io"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// What Key Vault writes, and before it Windows. Under the null password no
// algorithm protects anything; these are the ones that every reader knows.
const (
	sealIterations = 2000
	cipherSaltSize = 8
	macSaltSize    = 20
)

var (
	oidSHA1      = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidTripleDES = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3} // pbeWithSHAAnd3-KeyTripleDES-CBC
)

// Seal encrypts with Triple DES. It returns the AlgorithmIdentifier as DER and the
// ciphertext.
func Seal(random io.Reader, p Password, plain []byte) (algorithm, ciphertext []byte, err error) {
	salt := make([]byte, cipherSaltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, nil, err
	}
	block, err := newTripleDES(pkcs12Key(sha1Hash, p.bmp, salt, sealIterations, forKey, 24))
	if err != nil {
		return nil, nil, err
	}
	iv := pkcs12Key(sha1Hash, p.bmp, salt, sealIterations, forIV, des.BlockSize)
	padding := des.BlockSize - len(plain)%des.BlockSize
	ciphertext = make([]byte, len(plain)+padding)
	copy(ciphertext, plain)
	for i := len(plain); i < len(ciphertext); i++ {
		ciphertext[i] = byte(padding)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(ciphertext, ciphertext)

	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidTripleDES)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(salt)
			b.AddASN1Int64(sealIterations)
		})
	})
	algorithm, err = b.Bytes()
	return algorithm, ciphertext, err
}

// Authenticate returns a MacData of HMAC-SHA-1 as DER (RFC 7292 section 4).
func Authenticate(random io.Reader, p Password, content []byte) ([]byte, error) {
	salt := make([]byte, macSaltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, err
	}
	mac := hmac.New(sha1Hash.new, pkcs12Key(sha1Hash, p.bmp, salt, sealIterations, forMAC, sha1Hash.size))
	mac.Write(content)

	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidSHA1) })
			b.AddASN1OctetString(mac.Sum(nil))
		})
		b.AddASN1OctetString(salt)
		b.AddASN1Int64(sealIterations)
	})
	return b.Bytes()
}
