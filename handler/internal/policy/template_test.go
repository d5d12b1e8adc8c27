package policy_test

// Certificates made of CSRs.

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/certtest"
	"github.com/certwright/certwright/handler/internal/policy"
)

func TestValidity(t *testing.T) {
	t.Parallel()
	const layout = "2006-01-02 15:04:05"
	for _, c := range []struct {
		at                  string
		months              int
		notBefore, notAfter string
	}{
		{"2026-03-01 12:00:00", 12, "2026-03-01 11:50:00", "2027-03-01 12:00:00"},
		{"2026-01-31 00:05:00", 1, "2026-01-30 23:55:00", "2026-02-28 00:05:00"},
		{"2026-03-31 12:00:00", 1, "2026-03-31 11:50:00", "2026-04-30 12:00:00"},
		{"2026-12-31 12:00:00", 2, "2026-12-31 11:50:00", "2027-02-28 12:00:00"},
		{"2027-12-31 12:00:00", 2, "2027-12-31 11:50:00", "2028-02-29 12:00:00"},
		{"2028-02-29 12:00:00", 12, "2028-02-29 11:50:00", "2029-02-28 12:00:00"},
		{"2028-02-29 12:00:00", 48, "2028-02-29 11:50:00", "2032-02-29 12:00:00"},
		{"2026-03-01 12:00:00", 1200, "2026-03-01 11:50:00", "2126-03-01 12:00:00"},
	} {
		at, err := time.Parse(layout, c.at)
		if err != nil {
			t.Fatal(err)
		}
		// A fraction and a zone make no difference.
		at = at.Add(999 * time.Millisecond).In(time.FixedZone("", 3600))
		notBefore, notAfter := policy.X509Properties{ValidityMonths: c.months}.Validity(at)
		if got := notBefore.Format(layout); got != c.notBefore {
			t.Errorf("%s: not before %s, want %s", c.at, got, c.notBefore)
		}
		if got := notAfter.Format(layout); got != c.notAfter {
			t.Errorf("%s + %d months: not after %s, want %s", c.at, c.months, got, c.notAfter)
		}
		if notAfter.Nanosecond() != 0 || notBefore.Location() != time.UTC {
			t.Errorf("%s: %s, %s", c.at, notBefore, notAfter)
		}
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	key := certtest.Keys["P-256"]()
	p := fullPolicy(t)
	der, err := policy.NewCSR(p, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	own, err := policy.KeyID(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, authority := range [][]byte{nil, []byte("the signer's key")} {
		template, err := policy.Template(csr, p.X509, certtest.Time, authority, bytes.NewReader(bytes.Repeat([]byte{0xff}, 16)))
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, template.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(cert.RawSubject, csr.RawSubject) {
			t.Errorf("subject %x, in the CSR %x", cert.RawSubject, csr.RawSubject)
		}
		want := csr.Extensions // key usage, extended key usage, alternative names, basic constraints
		want = []pkix.Extension{want[0], want[3], want[1], want[2]}
		if diff := cmp.Diff(want, cert.Extensions[:4]); diff != "" {
			t.Errorf("extensions (-CSR +certificate):\n%s", diff)
		}
		if len(cert.Extensions) != 6 || !cert.Extensions[4].Id.Equal(policy.OIDAuthorityKeyID) || !cert.Extensions[5].Id.Equal(policy.OIDSubjectKeyID) {
			t.Errorf("extensions %v do not end with the key identifiers", cert.Extensions)
		}
		if authority == nil {
			authority = own
		}
		if !bytes.Equal(cert.SubjectKeyId, own) || !bytes.Equal(cert.AuthorityKeyId, authority) {
			t.Errorf("key identifiers %x below %x, want %x below %x", cert.SubjectKeyId, cert.AuthorityKeyId, own, authority)
		}
		notBefore, notAfter := p.X509.Validity(certtest.Time)
		if !cert.NotBefore.Equal(notBefore) || !cert.NotAfter.Equal(notAfter) {
			t.Errorf("valid %s to %s", cert.NotBefore, cert.NotAfter)
		}
	}
}

// What is not among Key Vault's extensions follows them.
func TestTemplateOtherExtension(t *testing.T) {
	t.Parallel()
	other, usage := pkix.Extension{Id: []int{1, 2, 3}, Value: []byte{5, 0}}, pkix.Extension{Id: policy.OIDKeyUsage, Value: []byte{3, 2, 7, 0x80}}
	csr := &x509.CertificateRequest{PublicKey: certtest.Keys["P-256"]().Public(), Extensions: []pkix.Extension{other, usage}}
	template, err := policy.Template(csr, policy.X509Properties{}, certtest.Time, nil, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]pkix.Extension{usage, other}, template.ExtraExtensions[:2]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if csr.Extensions[0].Id.Equal(policy.OIDKeyUsage) {
		t.Error("the CSR's extensions were reordered")
	}
}

// The key identifier is what crypto/x509 gives a CA.
func TestKeyID(t *testing.T) {
	t.Parallel()
	for name, key := range certtest.Keys {
		ca := certtest.NewCA(t, "Root", nil)
		template := certtest.Leaf("CA")
		template.IsCA, template.BasicConstraintsValid = true, true
		want := ca.Issue(t, template, key().Public()).SubjectKeyId
		if got, err := policy.KeyID(key().Public()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v, want %x", name, got, err, want)
		}
	}
	if id, err := policy.KeyID("key"); err == nil {
		t.Errorf("identifier %x of no key", id)
	}
}

func TestTemplateSerial(t *testing.T) {
	t.Parallel()
	csr := &x509.CertificateRequest{PublicKey: certtest.Keys["P-256"]().Public()}
	for _, b := range []byte{0x00, 0x3f, 0x80, 0xff} {
		template, err := policy.Template(csr, policy.X509Properties{}, certtest.Time, nil, bytes.NewReader(bytes.Repeat([]byte{b}, 16)))
		if err != nil {
			t.Fatal(err)
		}
		if n := template.SerialNumber; n.Sign() <= 0 || n.BitLen() != 127 {
			t.Errorf("serial number %x", n)
		}
	}
	broken := errors.New("no entropy")
	for _, random := range []io.Reader{iotest.ErrReader(broken), bytes.NewReader(make([]byte, 15))} {
		if _, err := policy.Template(csr, policy.X509Properties{}, certtest.Time, nil, random); err == nil {
			t.Error("made a serial number of nothing")
		}
	}
}
