package bounded

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
	"time"
)

// ones is a number of so many bits.
func ones(bits int) *big.Int {
	return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(bits)), big.NewInt(1))
}

// certificate is one of a public key, signed by another.
func certificate(t *testing.T, pub any) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "large.example.com"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<31, 0), SubjectKeyId: []byte{1},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pub    any
		number string // empty: read
		bits   int
	}{
		"EC":                          {&key.PublicKey, "", 0},
		"as large as is read":         {&rsa.PublicKey{N: ones(MaxPublicModulus), E: 1<<31 - 1}, "", 0},
		"a larger modulus":            {&rsa.PublicKey{N: ones(MaxPublicModulus + 1), E: 65537}, "modulus", MaxPublicModulus + 1},
		"a modulus of a million bits": {&rsa.PublicKey{N: ones(1 << 20), E: 65537}, "modulus", 1 << 20},
		"a larger exponent":           {&rsa.PublicKey{N: ones(2048), E: 1 << 31}, "public exponent", 32},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Certificate(certificate(t, c.pub))
			var size *SizeError
			switch {
			case c.number == "" && (err != nil || got.Subject.CommonName != "large.example.com"):
				t.Errorf("%v, %v", got, err)
			case c.number != "" && (!errors.As(err, &size) || size.Number != c.number || size.Bits != c.bits):
				t.Errorf("%v, want the %s refused for its %d bits", err, c.number, c.bits)
			}
		})
	}
	if _, err := Certificate([]byte("not one")); err == nil {
		t.Error("what is not a certificate was read")
	}
}

// pkcs1 is an RSA private key whose numbers need not fit together.
type pkcs1 struct {
	Version               int
	N                     *big.Int
	E                     int
	D, P, Q, Dp, Dq, Qinv *big.Int
	AdditionalPrimes      []additional `asn1:"optional,omitempty"`
}

type additional struct{ Prime, Exp, Coeff *big.Int }

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestPrivateKey(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := func() *pkcs1 {
		return &pkcs1{N: key.N, E: key.E, D: key.D, P: key.Primes[0], Q: key.Primes[1],
			Dp: key.Precomputed.Dp, Dq: key.Precomputed.Dq, Qinv: key.Precomputed.Qinv}
	}
	huge := ones(1 << 20)
	for name, c := range map[string]struct {
		change func(*pkcs1)
		number string
	}{
		"modulus":          {func(k *pkcs1) { k.N = huge }, "modulus"},
		"one bit more":     {func(k *pkcs1) { k.N = ones(MaxPrivateModulus + 1) }, "modulus"},
		"public exponent":  {func(k *pkcs1) { k.E = 1 << 31 }, "public exponent"},
		"private exponent": {func(k *pkcs1) { k.D = huge }, "private exponent"},
		"first prime":      {func(k *pkcs1) { k.P = huge }, "first prime"},
		"second prime":     {func(k *pkcs1) { k.Q = huge }, "second prime"},
		"first exponent":   {func(k *pkcs1) { k.Dp = huge }, "first exponent"},
		"second exponent":  {func(k *pkcs1) { k.Dq = huge }, "second exponent"},
		"coefficient":      {func(k *pkcs1) { k.Qinv = huge }, "coefficient"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := good()
			c.change(k)
			der := marshal(t, *k)
			_, err1 := PKCS1(der)
			_, err8 := PKCS8(marshal(t, struct {
				Version   int
				Algorithm pkix.AlgorithmIdentifier
				Key       []byte
			}{0, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue}, der}))
			for _, err := range []error{err1, err8} {
				var size *SizeError
				if !errors.As(err, &size) || size.Number != c.number {
					t.Errorf("%v, want the %s refused for its size", err, c.number)
				}
			}
		})
	}
	many := good()
	many.Version, many.AdditionalPrimes = 1, []additional{{huge, huge, huge}}
	if _, err := PKCS1(marshal(t, *many)); !errors.Is(err, errPrimes) {
		t.Errorf("a key of three primes: %v", err)
	}

	der8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := PKCS8(der8); err != nil || !key.Equal(got) {
		t.Errorf("PKCS8: %v", err)
	}
	if got, err := PKCS1(x509.MarshalPKCS1PrivateKey(key)); err != nil || !key.Equal(got) {
		t.Errorf("PKCS1: %v", err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if der8, err = x509.MarshalPKCS8PrivateKey(ecKey); err != nil {
		t.Fatal(err)
	}
	if got, err := PKCS8(der8); err != nil || !ecKey.Equal(got) {
		t.Errorf("PKCS8 of an EC key: %v", err)
	}
}
