package privateca

// CSRs of any form.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// Of a CSR that is taken every alternative name is known, so that none escapes
// the checks.
func FuzzRequestOfCSR(f *testing.F) {
	for _, seed := range []string{
		"", "\x30\x00", "\x30\x03\x82\x01a", "\x30\x0a\x82\x01a\x87\x04\x0a\x00\x00\x01\x00", "\x30\x04\xa4\x02\x30\x00",
		"\x30\x03\x82\x01aa", // trailing data
		"\x30\x0b\x86\x05urn:a\x81\x02a@", "\x30\x08\x81\x06a@b.ch",
		"\x30\x16\xa0\x14\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x06\x0c\x04a@bc",
	} {
		f.Add([]byte(seed))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, san []byte) {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
			ExtraExtensions: []pkix.Extension{{Id: oidSubjectAltName, Value: san}},
		}, key)
		if err != nil {
			t.Skip()
		}
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			return
		}
		r, err := requestOfCSR(csr)
		if err != nil {
			return
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(san, &names); err != nil || len(rest) > 0 {
			t.Fatalf("%x is taken: %v", san, err)
		}
		if known := len(r.names.DNS) + len(r.names.Emails) + len(r.names.UPNs) + len(r.names.URIs) + len(r.names.IPs); known != len(names) {
			t.Fatalf("%x: %d of %d names are known", san, known, len(names))
		}
	})
}
