package chain

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/certtest"
)

// TestHugeKeys: a certificate whose RSA numbers nobody uses is refused before
// anything is calculated with them, from clients, CAs and backups.
func TestHugeKeys(t *testing.T) {
	t.Parallel()
	ca := certtest.NewCA(t, "Root", nil)
	key := certtest.Keys["P-256"]()
	leaf := ca.Issue(t, certtest.Leaf("example.com"), key.Public())
	n := new(big.Int).Lsh(big.NewInt(1), 1<<19)
	n.SetBit(n, 0, 1)
	template := certtest.Leaf("huge")
	template.SubjectKeyId = []byte{1}
	huge := ca.Issue(t, template, &rsa.PublicKey{N: n, E: 1<<31 - 1})
	begun := time.Now()
	for where, read := range map[string]func() error{
		"an import": func() error {
			_, err := ParseImport(t.Context(), keyPEM(t, "PRIVATE KEY", key)+pemOf(leaf, huge), "")
			return err
		},
		"a PKCS #12 import": func() error {
			_, err := ParseImport(t.Context(), std(opensslPFX(t, "", keyPEM(t, "PRIVATE KEY", key)+pemOf(leaf, huge))), "")
			return err
		},
		"a merge":                 func() error { _, err := ParseX5C(t.Context(), []string{std(leaf.Raw), std(huge.Raw)}); return err },
		"a chain that was issued": func() error { _, err := Parse([][]byte{leaf.Raw, huge.Raw}); return err },
	} {
		err := read()
		if size, ok := errors.AsType[*bounded.SizeError](err); !ok || size.Number != "modulus" || !strings.Contains(err.Error(), "must have at most 16384") {
			t.Errorf("%s: %v", where, err)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("refusing took %s", took)
	}
}

// TestStrictLeaf: names of what a CA issued are judged, so they must be well-formed.
func TestStrictLeaf(t *testing.T) {
	t.Parallel()
	ca := certtest.NewCA(t, "Root", nil)
	key := certtest.Keys["P-256"]()
	csr, err := x509.CreateCertificateRequest(nil, &x509.CertificateRequest{DNSNames: []string{"example.com"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	template := certtest.Leaf("example.com")
	template.DNSNames = []string{"example.com"}
	good := ca.Issue(t, template, key.Public())
	odd := *good
	odd.Raw = nil // as of a certificate that only a lenient reader takes
	if err := CheckIssued([]*x509.Certificate{&odd, ca.Cert}, csr, certtest.Time); err == nil {
		t.Error("accepted")
	}
}
