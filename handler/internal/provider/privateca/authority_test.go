package privateca_test

// CAs that are refused, path lengths, CAs below.

import (
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

// A subordinate CA is certified where the profile says so, with the profile's
// names, for end entities only.
func TestSubordinateCA(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	cfg := c.config()
	cfg.Profile = privateca.Profile{SubordinateCAs: true, NameConstraints: &names.Permitted{DNSDomains: []string{"contoso.com"}}}
	leaf := issued(t, run(t, issuer(t, cfg), request(t, policy.X509Params{
		Subject: new("CN=Sub CA"), CA: new(true), KeyUsage: []string{"keyCertSign", "cRLSign"},
	}, ec256)))
	if !leaf.IsCA || !leaf.MaxPathLenZero || leaf.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("CA %t, path length %d, key usage %b", leaf.IsCA, leaf.MaxPathLen, leaf.KeyUsage)
	}
	verify(t, c, leaf)
	text, err := openssl(t, "x509", "-noout", "-text", "-in", writePEM(t, "CERTIFICATE", leaf.Raw))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"X509v3 Basic Constraints: critical\nCA:TRUE, pathlen:0\n",
		"X509v3 Name Constraints: critical\nPermitted:\nDNS:contoso.com\nExcluded:\nIP:0.0.0.0/0.0.0.0\nIP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0\nemail:\nURI:\n",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	// An end entity of the same profile is none.
	leaf = issued(t, run(t, issuer(t, cfg), request(t, policy.X509Params{Subject: new("CN=a")}, ec256)))
	if leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 || len(leaf.PermittedDNSDomains) > 0 {
		t.Errorf("%+v", leaf)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	pathLength := func(n int) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
	}
	pair := func(root, ca func(*x509.Certificate)) func(*privateca.Config) {
		return func(cfg *privateca.Config) {
			cfg.Chain = newCA(t, newCA(t, nil, ecKey(t, elliptic.P256()), root), ecKey(t, elliptic.P256()), ca).chain
		}
	}
	for want, change := range map[string]func(*privateca.Config){
		"needs a key":      func(cfg *privateca.Config) { cfg.Key = nil },
		"needs both":       func(cfg *privateca.Config) { cfg.SaveCRL = new(memoryCRL).save },
		"0 certificates":   func(cfg *privateca.Config) { cfg.Chain = nil },
		"is not signed by": func(cfg *privateca.Config) { cfg.Chain = []*x509.Certificate{cfg.Chain[1], cfg.Chain[0]} },
		"may certify":      pair(nil, func(c *x509.Certificate) { c.IsCA, c.MaxPathLen, c.BasicConstraintsValid = false, 0, true }),
		"CA that may":      pair(nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }),
		"have no cRLSign": func(cfg *privateca.Config) {
			pair(nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })(cfg)
			crl := new(memoryCRL)
			cfg.LoadCRL, cfg.SaveCRL = crl.load, crl.save
		},
		"the path length of": pair(pathLength(0), nil),
		"leaves no room":     func(cfg *privateca.Config) { pair(nil, pathLength(0))(cfg); cfg.Profile.SubordinateCAs = true },
		"CA's chain leaves":  func(cfg *privateca.Config) { pair(pathLength(1), nil)(cfg); cfg.Profile.SubordinateCAs = true },
		"critical extensions that are not understood here: 2.5.29.30": pair(nil, func(c *x509.Certificate) {
			directory := []byte{0x30, 8, 0xa0, 6, 0x30, 4, 0xa4, 2, 0x30, 0}
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 30}, Critical: true, Value: directory}}
		}),
		"of the CA's chain leaves no": func(cfg *privateca.Config) {
			pair(pathLength(1), pathLength(3))(cfg)
			cfg.Profile.SubordinateCAs = true
		},
		"maximal validity":                              func(cfg *privateca.Config) { cfg.Profile.MaxValidity = time.Minute - 1 },
		`key usage "keyCertSign"`:                       func(cfg *privateca.Config) { cfg.Profile.KeyUsages = []string{"keyCertSign"} },
		`key usage "sign"`:                              func(cfg *privateca.Config) { cfg.Profile.KeyUsages = []string{"sign"} },
		`extended key usage "any"`:                      func(cfg *privateca.Config) { cfg.Profile.EKUs = []string{"any"} },
		`extended key usage "3.1"`:                      func(cfg *privateca.Config) { cfg.Profile.EKUs = []string{"3.1"} },
		"no key usage":                                  func(cfg *privateca.Config) { cfg.Profile.KeyUsages = []string{} },
		"no extended key usage":                         func(cfg *privateca.Config) { cfg.Profile.EKUs = []string{} },
		"permit no key usage, or no extended key usage": pair(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, nil),
		`"ldap://x" is not an http URL`:                 func(cfg *privateca.Config) { cfg.Profile.CRLURLs = []string{"ldap://x"} },
		`"http:" is not an http URL`:                    func(cfg *privateca.Config) { cfg.Profile.IssuerURLs = []string{"http:"} },
		`names: dns: "a b" is not`: func(cfg *privateca.Config) {
			cfg.Profile.NameConstraints = &names.Permitted{DNSDomains: []string{"a b"}}
		},
	} {
		cfg := newPair(t).config()
		change(&cfg)
		if _, err := privateca.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Path lengths that are just enough.
func TestPathLength(t *testing.T) {
	t.Parallel()
	root := newCA(t, nil, ecKey(t, elliptic.P256()), func(c *x509.Certificate) { c.MaxPathLen = 1 })
	c := newCA(t, root, ecKey(t, elliptic.P256()), func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	verify(t, c, issued(t, run(t, issuer(t, c.config()), webRequest(t))))
	root = newCA(t, nil, ecKey(t, elliptic.P256()), func(c *x509.Certificate) { c.MaxPathLen = 2 })
	c = newCA(t, root, ecKey(t, elliptic.P256()), nil)
	cfg := c.config()
	cfg.Profile.SubordinateCAs = true
	verify(t, c, issued(t, run(t, issuer(t, cfg), request(t, policy.X509Params{Subject: new("CN=Sub CA"), CA: new(true)}, ec256))))
}
