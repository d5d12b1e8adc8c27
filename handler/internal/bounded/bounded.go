// Package bounded reads certificates and keys whose RSA numbers are no larger
// than what anybody uses. Whoever sends a modulus of a million bits would
// otherwise have a core for half a minute: to check a private key, or a signature
// of an issuer whose public key is that large. crypto/x509 has no such limit.
package bounded

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// Limits of RSA keys, in bits. A certificate's key is verified with, which takes
// some milliseconds at its limit; a private key is checked, which takes its
// limit's cube.
const (
	MaxPublicModulus  = 16384
	MaxPrivateModulus = 8192
	maxExponent       = 31 // crypto/rsa uses no larger ones
)

// SizeError says that a key is larger than is read here.
type SizeError struct {
	Number string // which of the key's numbers, for people
	Bits   int
	Max    int
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("the RSA key's %s has %d bits: must have at most %d", e.Number, e.Bits, e.Max)
}

// Certificate reads a certificate's DER. A key on a curve that crypto/x509 does not
// have is nil. The error is a *SizeError or one of crypto/x509.
func Certificate(der []byte) (*x509.Certificate, error) {
	c, err := parse(der) // reads numbers, and does not calculate with them
	if err != nil {
		return nil, err
	}
	return c, CheckPublicKey(c.PublicKey)
}

// CheckPublicKey checks the key of a certificate that another parser has read, before
// anything is verified with it. The error is a *SizeError.
func CheckPublicKey(pub crypto.PublicKey) error {
	if pub, ok := pub.(*rsa.PublicKey); ok {
		return checkPublic(pub.N, pub.E, MaxPublicModulus)
	}
	return nil
}

func checkPublic(n *big.Int, e, maxModulus int) error {
	if bits := n.BitLen(); bits > maxModulus {
		return &SizeError{"modulus", bits, maxModulus}
	}
	if bits := big.NewInt(int64(e)).BitLen(); bits > maxExponent {
		return &SizeError{"public exponent", bits, maxExponent}
	}
	return nil
}

// What a private key is not. The texts of encoding/asn1 say nothing to people.
var (
	errPKCS8  = errors.New("it is not a private key in PKCS #8")
	errPKCS1  = errors.New("it is not an RSA private key in PKCS #1")
	errPrimes = errors.New("the RSA key has more than two primes") // which no certificate here can have
)

// PKCS8 reads an unencrypted private key (RFC 5208 section 5). The error is a
// *SizeError, a *CurveError or one of crypto/x509.
func PKCS8(der []byte) (crypto.PrivateKey, error) {
	var outer struct { // as crypto/x509 reads it
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
	}
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, errPKCS8
	}
	var err error
	switch algorithm := outer.Algorithm; {
	case algorithm.Algorithm.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}):
		err = checkPKCS1(outer.PrivateKey)
	case algorithm.Algorithm.Equal(oidECKey) && len(algorithm.Parameters.FullBytes) > 0: // the key itself may have them
		err = checkCurve(algorithm.Parameters.FullBytes)
	}
	if err != nil {
		return nil, err
	}
	return x509.ParsePKCS8PrivateKey(der)
}

// PKCS1 reads an RSA private key (RFC 8017 appendix A.1.2). The error is a
// *SizeError or one of crypto/x509.
func PKCS1(der []byte) (*rsa.PrivateKey, error) {
	if err := checkPKCS1(der); err != nil {
		return nil, err
	}
	return x509.ParsePKCS1PrivateKey(der)
}

// checkPKCS1 reads an RSA key with the parser and the structure of crypto/x509,
// which calculates with the numbers as soon as it has read them.
func checkPKCS1(der []byte) error {
	var key struct {
		Version          int
		N                *big.Int
		E                int
		D, P, Q          *big.Int
		Dp, Dq, Qinv     *big.Int        `asn1:"optional"`
		AdditionalPrimes []asn1.RawValue `asn1:"optional,omitempty"`
	}
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return errPKCS1
	}
	if len(key.AdditionalPrimes) > 0 {
		return errPrimes
	}
	if err := checkPublic(key.N, key.E, MaxPrivateModulus); err != nil {
		return err
	}
	for name, number := range map[string]*big.Int{
		"private exponent": key.D, "first prime": key.P, "second prime": key.Q,
		"first exponent": key.Dp, "second exponent": key.Dq, "coefficient": key.Qinv,
	} {
		if number != nil && number.BitLen() > MaxPrivateModulus {
			return &SizeError{name, number.BitLen(), MaxPrivateModulus}
		}
	}
	return nil
}
