package bounded

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// signed is a certificate with extensions, by its own key.
func signed(t *testing.T, serial int64, extensions ...pkix.Extension) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "odd.example.com"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<31, 0), ExtraExtensions: extensions,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// alternative is an extension of alternative names, of [tag] and value each.
func alternative(t *testing.T, critical bool, list ...asn1.RawValue) pkix.Extension {
	t.Helper()
	value, err := asn1.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: oidSubjectAltName, Critical: critical, Value: value}
}

func general(tag int, value string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(value)}
}

// TestOddNames: alternative names that crypto/x509 does not take are read, and the
// certificate is the same to the byte.
func TestOddNames(t *testing.T) {
	t.Parallel()
	der := signed(t, 1, alternative(t, true,
		general(2, "bücher.example"), general(2, "www.example.com"), general(6, "https://a_b..example/x"), general(6, "http://[::1"),
		general(1, "me@example.com"), general(7, "\xc0\x00\x02\x01")))
	if _, err := x509.ParseCertificate(der); err == nil {
		t.Fatal("crypto/x509 reads it: the test shows nothing")
	}
	before := bytes.Clone(der)
	c, err := Certificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(der, before) || !bytes.Equal(c.Raw, before) {
		t.Error("the certificate was changed")
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		t.Error(err)
	}
	if !slices.Equal(c.DNSNames, []string{"bücher.example", "www.example.com"}) || !slices.Equal(c.EmailAddresses, []string{"me@example.com"}) ||
		len(c.IPAddresses) != 1 || len(c.URIs) != 1 || c.URIs[0].Host != "a_b..example" {
		t.Errorf("%q, %q, %v, %v", c.DNSNames, c.EmailAddresses, c.IPAddresses, c.URIs)
	}
	if len(c.UnhandledCriticalExtensions) != 0 || !slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSubjectAltName) && e.Critical }) {
		t.Errorf("extensions %v, unhandled %v", c.Extensions, c.UnhandledCriticalExtensions)
	}
}

// TestOddCurve: the key of a certificate on another curve is left out, and its
// bytes are there.
func TestOddCurve(t *testing.T) {
	t.Parallel()
	for _, parameters := range []string{"named_curve", "explicit"} {
		der, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-pkeyopt", "ec_param_enc:"+parameters,
			"-nodes", "-keyout", "/dev/null", "-subj", "/CN=k", "-outform", "DER").Output()
		if err != nil {
			t.Fatal(err)
		}
		c, err := Certificate(der)
		if err != nil {
			t.Fatal(err)
		}
		var spki struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}
		if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &spki); err != nil || !spki.Algorithm.Algorithm.Equal(oidECKey) {
			t.Errorf("%s: %v, %v", parameters, spki.Algorithm.Algorithm, err)
		}
		if c.PublicKey != nil || !bytes.Equal(c.Raw, der) || c.Subject.CommonName != "k" {
			t.Errorf("%s: key %v of %s", parameters, c.PublicKey, c.Subject)
		}
	}
}

// TestOddRefused: what is damaged is refused for its own reason.
func TestOddRefused(t *testing.T) {
	t.Parallel()
	key := bytes.Clone(signed(t, 1))
	point := bytes.LastIndex(key, []byte{0x03, 0x42, 0x00, 0x04}) // the BIT STRING of a point
	key[point+3] = 5
	for name, der := range map[string][]byte{
		"names that are not a list": signed(t, 1, pkix.Extension{Id: oidSubjectAltName, Value: []byte{0x30, 5, 0}}),
		"a point of a known curve":  key,
		"another extension":         signed(t, 1, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{1}}, alternative(t, false, general(2, "ü"))),
	} {
		_, want := x509.ParseCertificate(der)
		if _, err := Certificate(der); err == nil || want == nil || err.Error() != want.Error() {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

// TestNegativeSerialNumber: go.mod has the setting that crypto/x509 reads them by.
func TestNegativeSerialNumber(t *testing.T) {
	t.Parallel()
	der := bytes.Clone(signed(t, 0x11223344))
	at := bytes.Index(der, []byte{0x02, 0x04, 0x11, 0x22, 0x33, 0x44})
	der[at+2] = 0x91
	c, err := Certificate(der)
	if err != nil || c.SerialNumber.Sign() >= 0 {
		t.Errorf("%v, %v", c, err)
	}
}

func TestSEC1(t *testing.T) {
	t.Parallel()
	for curve, want := range map[string]string{"prime256v1": "", "secp224r1": "", "secp256k1": "1.3.132.0.10", "brainpoolP256r1": "1.3.36.3.3.2.8.1.1.7"} {
		for _, form := range []string{"named_curve", "explicit"} {
			der, err := exec.Command("openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-outform", "DER", "-param_enc", form).Output()
			if err != nil {
				t.Fatal(err)
			}
			_, err = SEC1(der)
			var refused *CurveError
			switch {
			case form == "explicit" && (!errors.As(err, &refused) || refused.ID != nil):
				t.Errorf("%s by parameters: %v", curve, err)
			case form == "named_curve" && want == "" && err != nil:
				t.Errorf("%s: %v", curve, err)
			case form == "named_curve" && want != "" && (!errors.As(err, &refused) || refused.ID.String() != want):
				t.Errorf("%s: %v", curve, err)
			}
		}
	}
}

func FuzzCertificate(f *testing.F) {
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x01})
	f.Fuzz(func(t *testing.T, der []byte) {
		before := bytes.Clone(der)
		c, err := Certificate(der)
		if !bytes.Equal(der, before) {
			t.Fatal("the input was changed")
		}
		if err == nil && !bytes.Equal(c.Raw, der) {
			t.Fatal("the certificate was changed")
		}
	})
}
