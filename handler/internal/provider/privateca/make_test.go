package privateca_test

// CAs that are made and imported.

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

func commonName(cn string) pkix.Name { return pkix.Name{CommonName: cn} }

// A root that was made here issues, and OpenSSL accepts it with what it issues
// and holds it to its names.
func TestRoot(t *testing.T) {
	t.Parallel()
	for _, key := range []crypto.Signer{ecKey(t, elliptic.P384()), rsaKey()} {
		root, err := privateca.Root{
			Subject: pkix.Name{CommonName: "Contoso Root", Organization: []string{"Contoso"}},
			Years:   10,
			NameConstraints: &names.Permitted{
				DNSDomains: []string{"contoso.com"},
				IPRanges:   []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			},
		}.Certify(key, start, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if len(root.SerialNumber.Bytes()) != 16 || root.SerialNumber.Sign() <= 0 {
			t.Errorf("serial number %x", root.SerialNumber)
		}
		file := writePEM(t, "CERTIFICATE", root.Raw)
		text, err := openssl(t, "x509", "-noout", "-text", "-in", file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{
			"Subject: O = Contoso, CN = Contoso Root\n",
			"Not Before: Mar  1 11:50:00 2026 GMT\n",
			"Not After : Mar  1 12:00:00 2036 GMT\n",
			"X509v3 Basic Constraints: critical\nCA:TRUE, pathlen:0\n",
			"X509v3 Key Usage: critical\nCertificate Sign, CRL Sign\n",
			"X509v3 Name Constraints: critical\nPermitted:\nDNS:contoso.com\nIP:10.0.0.0/255.0.0.0\nExcluded:\nemail:\nURI:\n",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("no %q in\n%s", part, text)
			}
		}
		c := &ca{key: key, chain: []*x509.Certificate{root}}
		i := issuer(t, c.config())
		leaf := issued(t, run(t, i, webRequest(t)))
		if text, err := openssl(t, "verify", "-x509_strict", "-check_ss_sig", "-attime", "1772366400", "-CAfile", file, writePEM(t, "CERTIFICATE", leaf.Raw)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		req := request(t, policy.X509Params{SANs: &policy.SANs{DNSNames: []string{"fabrikam.com"}}}, ec256)
		wantRefusal(t, "names", i.CheckPolicy(provider.Issuer{}, req.Policy), "policy.x509_props.sans.dns_names", "is not permitted")
	}
}

func TestRootRefuses(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	for want, root := range map[string]privateca.Root{
		"no common name": {Years: 1},
		"0 years":        {Subject: commonName("a")},
		"31 years":       {Subject: commonName("a"), Years: 31},
		"depth -1":       {Subject: commonName("a"), Years: 1, Depth: -1},
		"depth 9":        {Subject: commonName("a"), Years: 1, Depth: 9},
		`dns: "a b" is`:  {Subject: commonName("a"), Years: 1, NameConstraints: &names.Permitted{DNSDomains: []string{"a b"}}},
	} {
		if _, err := root.Certify(key, start, rand.Reader); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	root := privateca.Root{Subject: commonName("a"), Years: 1}
	if _, err := root.Certify(key, start, iotest.ErrReader(errors.New("no entropy"))); err == nil {
		t.Error("no error without entropy")
	}
}

// A CA below another one: its CSR goes there, and the chain comes back.
func TestRequestCA(t *testing.T) {
	t.Parallel()
	rootKey, key := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	root, err := privateca.Root{Subject: commonName("Root"), Years: 10, Depth: 1}.Certify(rootKey, start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := privateca.RequestCA(commonName("Issuing CA"), key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := openssl(t, "req", "-noout", "-verify", "-text", "-in", writePEM(t, "CERTIFICATE REQUEST", der))
	if err != nil || !strings.Contains(text, "X509v3 Basic Constraints: critical\nCA:TRUE\n") || !strings.Contains(text, "X509v3 Key Usage: critical\nCertificate Sign, CRL Sign\n") {
		t.Errorf("%v\n%s", err, text)
	}
	// The CA above is another private CA, as it happens.
	above := &ca{key: rootKey, chain: []*x509.Certificate{root}}
	cfg := above.config()
	cfg.Profile.SubordinateCAs = true
	req := request(t, policy.X509Params{Subject: new("CN=Issuing CA"), CA: new(true)}, ec256)
	req.CSR = der
	out := run(t, issuer(t, cfg), req)
	issued(t, out)
	var chainPEM bytes.Buffer
	for _, der := range out.Chain {
		if err := pem.Encode(&chainPEM, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	chain, err := privateca.ParseChain(chainPEM.Bytes())
	if err != nil || len(chain) != 2 {
		t.Fatalf("%d certificates, %v", len(chain), err)
	}
	if err := privateca.CheckKey(chain, key); err != nil {
		t.Error(err)
	}
	if err := privateca.CheckKey(chain, rootKey); err == nil || !strings.Contains(err.Error(), "Issuing CA") {
		t.Errorf("%v", err)
	}
	c := &ca{key: key, chain: chain}
	verify(t, c, issued(t, run(t, issuer(t, c.config()), webRequest(t))))
	if _, err := privateca.RequestCA(pkix.Name{}, key); err == nil {
		t.Error("no error without a common name")
	}
}

func TestParseChainRefuses(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	block := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	for want, text := range map[string][]byte{
		"0 certificates":  []byte("nothing"),
		"certificate 1: ": block([]byte("x")),
		"is not signed":   append(block(c.chain[1].Raw), block(c.chain[0].Raw)...),
		"10 certificates": bytes.Repeat(block(c.chain[1].Raw), 10),
	} {
		if _, err := privateca.ParseChain(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A CA that OpenSSL made is taken as it is.
func TestImport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", dir+"/key.pem", "-out", dir+"/ca.pem",
		"-days", "3650", "-subj", "/CN=Old CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	chain, err := privateca.ParseChain(read(t, dir+"/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := privateca.ParseKey(read(t, dir+"/key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := privateca.CheckKey(chain, key); err != nil {
		t.Error(err)
	}
	text := privateca.Describe(chain)
	for _, part := range []string{"CN=Old CA\n", "issued by CN=Old CA\n", chain[0].SerialNumber.Text(16), "(RSA)", "SHA-256 fingerprint " + fmt.Sprintf("%x", sha256.Sum256(chain[0].Raw)) + "\n", "any number of CAs below it"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	cmd = exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", dir+"/key.pem", "-out", dir+"/bare.pem",
		"-subj", "/CN=Bare CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-addext", "subjectKeyIdentifier=none", "-addext", "authorityKeyIdentifier=none")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := privateca.ParseChain(read(t, dir+"/bare.pem")); err == nil || !strings.Contains(err.Error(), "no subject key identifier") {
		t.Errorf("%v", err)
	}
	root, err := privateca.Root{Subject: commonName("a"), Years: 1, Depth: 2}.Certify(key, start, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if text := privateca.Describe([]*x509.Certificate{root}); !strings.Contains(text, "at most 2 CAs below it") {
		t.Error(text)
	}
}
