package privateca_test

// CSRs that no policy leads to.

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider"
)

// csrOf makes a CSR that no vault would make.
func csrOf(t testing.TB, key crypto.Signer, template *x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(nil, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// A CSR may hold what no policy of a vault leads to. None of it is signed.
func TestForeignCSR(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	key := ecKey(t, elliptic.P256())
	extension := func(critical bool, oid asn1.ObjectIdentifier, value ...byte) *x509.CertificateRequest {
		return &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: oid, Critical: critical, Value: value}}}
	}
	san, usage := asn1.ObjectIdentifier{2, 5, 29, 17}, asn1.ObjectIdentifier{2, 5, 29, 15}
	spoiled := csrOf(t, key, &x509.CertificateRequest{})
	spoiled[len(spoiled)-1] ^= 1
	for name, test := range map[string]struct {
		csr  []byte
		want string
	}{
		"none":                     {[]byte("CSR"), "cannot be certified"},
		"not signed by its key":    {spoiled, "cannot be certified"},
		"unknown extension":        {csrOf(t, key, extension(false, asn1.ObjectIdentifier{1, 2, 3}, 5, 0)), "extension 1.2.3: is not known here"},
		"name constraints":         {csrOf(t, key, extension(true, asn1.ObjectIdentifier{2, 5, 29, 30}, 0x30, 0)), "is not known here"},
		"directory name":           {csrOf(t, key, extension(false, san, 0x30, 4, 0xa4, 2, 0x30, 0)), "a name of a kind that is not known here"},
		"registered id":            {csrOf(t, key, extension(false, san, 0x30, 3, 0x88, 1, 42)), "a name of a kind that is not known here"},
		"other name":               {csrOf(t, key, extension(false, san, 0x30, 10, 0xa0, 8, 6, 2, 42, 3, 0xa0, 2, 0x0c, 0)), "a name of a kind that is not known here"},
		"broken other name":        {csrOf(t, key, extension(false, san, 0x30, 2, 0xa0, 0)), "a name of a kind that is not known here"},
		"names with trailing data": {csrOf(t, key, extension(false, san, 0x30, 3, 0x82, 1, 'a', 0)), "not a sequence of names"},
		"UPN with trailing data": {csrOf(t, key, extension(false, san, 0x30, 20, 0xa0, 18, 6, 10, 43, 6, 1, 4, 1, 0x82, 55, 20, 2, 3, 0xa0, 4, 0x0c, 0, 5, 0)),
			"a name of a kind that is not known here"},
		"usage with trailing data": {csrOf(t, key, extension(true, usage, 3, 2, 7, 0x80, 0)), "trailing data"},
		"usage that is none":       {csrOf(t, key, extension(true, usage, 5, 0)), "extension 2.5.29.15"},
		"a CA": {csrOf(t, key, extension(true, asn1.ObjectIdentifier{2, 5, 29, 19}, 0x30, 3, 1, 1, 0xff)),
			"the CA certifies end entities only"},
	} {
		req := webRequest(t)
		req.CSR = test.csr
		if out := run(t, issuer(t, c.config()), req); out.Kind != provider.OutcomeFailed || !strings.Contains(out.Message, test.want) {
			t.Errorf("%s: %s, want %s", name, brief(out), test.want)
		}
	}
	if n := c.opens.Load(); n != 0 {
		t.Errorf("key opened %d times", n)
	}
}
