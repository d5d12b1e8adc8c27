package bundle

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/pbe"
)

// chain makes certificates, in the order of a chain, with the key of the first.
func chain(t *testing.T, names ...string) (certs [][]byte, key []byte) {
	t.Helper()
	for i, name := range names {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 1), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, der)
		if key == nil {
			if key, err = x509.MarshalPKCS8PrivateKey(k); err != nil {
				t.Fatal(err)
			}
		}
	}
	return certs, key
}

// file writes PEM.
func file(t *testing.T, kind string, blocks ...[]byte) string {
	t.Helper()
	var text []byte
	for _, der := range blocks {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	name := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Stdin = strings.NewReader("signed text")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, stderr.String())
	}
	return out
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	certs, key := chain(t, "leaf", "intermediate", "root")
	text, keyFile, leafFile := file(t, "CERTIFICATE", certs...), file(t, "PRIVATE KEY", key), file(t, "CERTIFICATE", certs[0])
	restFile := file(t, "CERTIFICATE", certs[1:]...)
	path, err := asn1.Marshal([]asn1.RawValue{{FullBytes: certs[2]}, {FullBytes: certs[1]}, {FullBytes: certs[0]}})
	if err != nil {
		t.Fatal(err)
	}
	rootFirst := slices.Clone(certs)
	slices.Reverse(rootFirst)
	for name, c := range map[string]struct {
		data []byte
		want [][]byte
	}{
		"a certificate":         {certs[0], certs[:1]},
		"three in a row":        {slices.Concat(certs...), certs},
		"PkiPath":               {path, rootFirst},
		"PKCS #7":               {openssl(t, "crl2pkcs7", "-nocrl", "-certfile", text, "-outform", "DER"), certs},
		"PKCS #7 of nothing":    {openssl(t, "crl2pkcs7", "-nocrl", "-outform", "DER"), nil},
		"PKCS #12":              {openssl(t, "pkcs12", "-export", "-nokeys", "-in", text, "-passout", "pass:"), certs},
		"PKCS #12, old":         {openssl(t, "pkcs12", "-export", "-nokeys", "-legacy", "-in", text, "-passout", "pass:"), certs},
		"PKCS #12, unencrypted": {openssl(t, "pkcs12", "-export", "-nokeys", "-certpbe", "NONE", "-nomac", "-in", text, "-passout", "pass:"), certs},
		"PKCS #12 with a key":   {openssl(t, "pkcs12", "-export", "-inkey", keyFile, "-in", text, "-passout", "pass:"), certs},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, c.data, c.want)
		})
	}
	t.Run("PKCS #7 in BER, signed", func(t *testing.T) {
		t.Parallel()
		data := openssl(t, "cms", "-sign", "-stream", "-nodetach", "-outform", "DER", "-signer", leafFile, "-inkey", keyFile, "-certfile", restFile)
		if data[1] != 0x80 {
			t.Fatal("OpenSSL writes DER here, so this test shows nothing")
		}
		got, err := Certificates(t.Context(), data)
		if err != nil || len(got) != 3 {
			t.Fatalf("%d certificates, %v", len(got), err)
		}
		for _, cert := range certs { // OpenSSL sorts them
			if !slices.ContainsFunc(got, func(c []byte) bool { return bytes.Equal(c, cert) }) {
				t.Error("a certificate is missing")
			}
		}
	})
}

func check(t *testing.T, data []byte, want [][]byte) {
	t.Helper()
	got, err := Certificates(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d certificates or others, want %d", len(got), len(want))
	}
}

// TestCertificatesUnknownCurve: what crypto/x509 does not take is found.
func TestCertificatesUnknownCurve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "koblitz.pem")
	openssl(t, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes", "-keyout", filepath.Join(dir, "key.pem"), "-out", name, "-subj", "/CN=k")
	der := openssl(t, "x509", "-in", name, "-outform", "DER")
	if _, err := x509.ParseCertificate(der); err == nil {
		t.Fatal("crypto/x509 takes it, so this test shows nothing")
	}
	check(t, der, [][]byte{der})
	check(t, openssl(t, "crl2pkcs7", "-nocrl", "-certfile", name, "-outform", "DER"), [][]byte{der})
}

func TestCertificatesRefuses(t *testing.T) {
	t.Parallel()
	certs, key := chain(t, "leaf")
	encrypted := openssl(t, "pkcs12", "-export", "-nokeys", "-in", file(t, "CERTIFICATE", certs...), "-passout", "pass:pw")
	var malformed *pbe.MalformedError
	var unsupported *pbe.UnsupportedError
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	for name, c := range map[string]struct {
		data []byte
		is   func(error) bool
	}{
		"nothing":                    {nil, is(ErrNotCertificates)},
		"text":                       {[]byte("this is text"), is(ErrNotCertificates)},
		"a key":                      {key, is(ErrNotCertificates)},
		"a certificate cut off":      {certs[0][:len(certs[0])-1], is(ErrNotCertificates)},
		"something behind it":        {append(slices.Clone(certs[0]), 5, 0), is(ErrNotCertificates)},
		"PKCS #12 under a password":  {encrypted, is(pbe.ErrMissingPassword)},
		"PKCS #7 of another content": {openssl(t, "cms", "-data_create", "-outform", "DER"), func(err error) bool { return errors.As(err, &unsupported) }},
		"PKCS #7 cut off":            {openssl(t, "crl2pkcs7", "-nocrl", "-outform", "DER")[:20], func(err error) bool { return errors.As(err, &malformed) }},
		"too many certificates":      {tooMany(t), func(err error) bool { return errors.As(err, &malformed) }},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Certificates(t.Context(), c.data); !c.is(err) {
				t.Errorf("%d certificates, %v", len(got), err)
			}
		})
	}
}

// tooMany is a bundle of one certificate more than is read.
func tooMany(t *testing.T) []byte {
	t.Helper()
	small := []byte{0x30, 0}
	type signedData struct {
		Version      int
		Digests      []asn1.RawValue `asn1:"set"`
		Content      struct{}
		Certificates asn1.RawValue
	}
	der, err := asn1.Marshal(struct {
		ID      asn1.ObjectIdentifier
		Content signedData `asn1:"explicit,tag:0"`
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}, signedData{
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: bytes.Repeat(small, maxCertificates+1)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Each certificate is one that data holds, or data is refused for a reason.
func FuzzCertificates(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := Certificates(t.Context(), data)
		if err != nil {
			return
		}
		size := 0
		for _, c := range certs {
			size += len(c)
		}
		if size > 2*len(data) { // lengths may take more bytes than they did
			t.Fatalf("%d bytes of certificates in %d", size, len(data))
		}
	})
}
