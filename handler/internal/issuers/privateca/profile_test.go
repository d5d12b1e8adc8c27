package privateca_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/issuers/privateca"
	"github.com/certwright/certwright/handler/internal/vault"
)

const (
	serverAuth  = "1.3.6.1.5.5.7.3.1"
	clientAuth  = "1.3.6.1.5.5.7.3.2"
	codeSigning = "1.3.6.1.5.5.7.3.3"
)

var rsa2048 = vault.KeyParams{Type: new("RSA"), Size: new(2048)}

func TestKeyUsage(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	for name, test := range map[string]struct {
		key            vault.KeyParams
		profile, asked []string
		want           x509.KeyUsage // 0: refused
	}{
		"default, RSA":          {rsa2048, nil, []string{"digitalSignature", "keyEncipherment"}, x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment},
		"default, EC":           {ec256, nil, []string{"digitalSignature", "keyEncipherment"}, x509.KeyUsageDigitalSignature},
		"nothing asked for":     {ec256, nil, []string{}, x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement},
		"RSA does not agree":    {rsa2048, nil, []string{"keyAgreement"}, 0},
		"EC does not encipher":  {ec256, nil, []string{"keyEncipherment"}, 0},
		"less than asked for":   {rsa2048, []string{"digitalSignature"}, []string{"digitalSignature", "keyEncipherment"}, x509.KeyUsageDigitalSignature},
		"none of them":          {rsa2048, []string{"digitalSignature"}, []string{"keyEncipherment"}, 0},
		"a CA's for all others": {rsa2048, nil, []string{"keyCertSign", "cRLSign"}, 0},
		"nothing but a limit":   {ec256, []string{"encipherOnly", "digitalSignature"}, []string{"encipherOnly"}, 0},
		"all": {ec256, []string{"digitalSignature", "nonRepudiation", "keyAgreement", "encipherOnly", "decipherOnly"}, []string{"nonRepudiation", "keyAgreement", "decipherOnly"},
			x509.KeyUsageContentCommitment | x509.KeyUsageKeyAgreement | x509.KeyUsageDecipherOnly},
		"data": {rsa2048, []string{"dataEncipherment"}, []string{"dataEncipherment"}, x509.KeyUsageDataEncipherment},
	} {
		cfg := c.config()
		cfg.Profile.KeyUsages = test.profile
		i, req := issuer(t, cfg), request(t, vault.X509Params{Subject: new("CN=a"), KeyUsage: test.asked}, test.key)
		if len(test.asked) == 0 {
			req.Policy.X509.KeyUsage = nil
			req.CSR = csrOf(t, ecKey(t, elliptic.P256()), &x509.CertificateRequest{})
		}
		err, out := i.CheckPolicy(vault.IssuerObject{}, req.Policy), run(t, i, req)
		if test.want != 0 {
			if leaf := issued(t, out); leaf.KeyUsage != test.want || err != nil {
				t.Errorf("%s: %b, want %b; %v", name, leaf.KeyUsage, test.want, err)
			}
			continue
		}
		wantRefusal(t, name, err, "policy.x509_props.key_usage", "certifies none")
		if out.Kind != vault.OutcomeFailed {
			t.Errorf("%s: %s", name, brief(out))
		}
	}
}

func TestExtendedKeyUsage(t *testing.T) {
	t.Parallel()
	limit := func(ekus ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = ekus }
	}
	for name, test := range map[string]struct {
		root, ca       func(*x509.Certificate)
		profile, asked []string
		want           []string // nil: refused
	}{
		"default":              {nil, nil, nil, []string{serverAuth, clientAuth}, []string{serverAuth, clientAuth}},
		"one":                  {nil, nil, nil, []string{clientAuth}, []string{clientAuth}},
		"nothing asked for":    {nil, nil, []string{clientAuth}, []string{}, []string{clientAuth}},
		"less than asked for":  {nil, nil, []string{clientAuth}, []string{codeSigning, clientAuth}, []string{clientAuth}},
		"none of them":         {nil, nil, nil, []string{codeSigning}, nil},
		"any":                  {nil, nil, nil, []string{"2.5.29.37.0"}, nil},
		"another":              {nil, nil, []string{"1.2.3.4"}, []string{"1.2.3.4"}, []string{"1.2.3.4"}},
		"less than the CA":     {nil, limit(x509.ExtKeyUsageServerAuth), nil, []string{serverAuth, clientAuth}, []string{serverAuth}},
		"less than the root":   {limit(x509.ExtKeyUsageClientAuth), nil, nil, []string{serverAuth, clientAuth}, []string{clientAuth}},
		"not what the CA may":  {nil, limit(x509.ExtKeyUsageServerAuth), nil, []string{clientAuth}, nil},
		"a CA of any":          {limit(x509.ExtKeyUsageAny), limit(x509.ExtKeyUsageAny, x509.ExtKeyUsageServerAuth), nil, []string{clientAuth}, []string{clientAuth}},
		"both limits together": {limit(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth), limit(x509.ExtKeyUsageServerAuth), nil, []string{serverAuth, clientAuth}, []string{serverAuth}},
	} {
		c := newCA(t, newCA(t, nil, ecKey(t, elliptic.P256()), test.root), ecKey(t, elliptic.P256()), test.ca)
		cfg := c.config()
		cfg.Profile.EKUs = test.profile
		i, req := issuer(t, cfg), request(t, vault.X509Params{Subject: new("CN=a"), EKUs: test.asked}, ec256)
		if len(test.asked) == 0 {
			req.Policy.X509.EKUs = nil
			req.CSR = csrOf(t, ecKey(t, elliptic.P256()), &x509.CertificateRequest{})
		}
		err, out := i.CheckPolicy(vault.IssuerObject{}, req.Policy), run(t, i, req)
		if test.want != nil {
			var got []string
			var oids []asn1.ObjectIdentifier
			for _, e := range issued(t, out).Extensions {
				if e.Id.String() == "2.5.29.37" {
					if _, err := asn1.Unmarshal(e.Value, &oids); err != nil {
						t.Error(err)
					}
				}
			}
			for _, oid := range oids {
				got = append(got, oid.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			}
			continue
		}
		wantRefusal(t, name, err, "policy.x509_props.ekus", "certifies none")
		if out.Kind != vault.OutcomeFailed {
			t.Errorf("%s: %s", name, brief(out))
		}
	}
}

// csrOf makes a CSR that no vault would make.
func csrOf(t testing.TB, key crypto.Signer, template *x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(nil, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Names are refused when the operation is created, and again when the CSR is
// there. Whether the CA's certificate, one above it, or the profile constrains
// them makes no difference.
func TestNames(t *testing.T) {
	t.Parallel()
	names := privateca.Names{
		DNSDomains:   []string{"contoso.com"},
		EmailDomains: []string{"contoso.com", "bob@fabrikam.com"},
		URIDomains:   []string{".contoso.com"},
		UPNDomains:   []string{"corp.contoso.com"},
		IPRanges:     []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")},
	}
	constrained := func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedEmailAddresses, c.PermittedURIDomains = names.DNSDomains, names.EmailDomains, names.URIDomains
		c.PermittedIPRanges = []*net.IPNet{
			{IP: net.IP{10, 1, 0, 0}, Mask: net.CIDRMask(16, 32)},
			{IP: net.ParseIP("fd00::"), Mask: net.CIDRMask(8, 128)},
		}
	}
	for _, above := range []string{"profile", "CA", "root"} {
		changes := map[string]func(*x509.Certificate){above: constrained}
		c := newCA(t, newCA(t, nil, ecKey(t, elliptic.P256()), changes["root"]), ecKey(t, elliptic.P256()), changes["CA"])
		cfg := c.config()
		if above == "profile" {
			cfg.Profile.Names = &names
		}
		i := issuer(t, cfg)
		for _, test := range []struct {
			sans vault.SANs
			want string // empty: certified
		}{
			{vault.SANs{}, ""},
			{vault.SANs{DNSNames: []string{"contoso.com", "a.b.contoso.com", "*.contoso.com", "WWW.Contoso.COM", "_x.contoso.com"}}, ""},
			{vault.SANs{DNSNames: []string{"contoso.com", "fabrikam.com"}}, `DNS name "fabrikam.com" is not permitted by any constraint`},
			{vault.SANs{DNSNames: []string{"evilcontoso.com"}}, "is not permitted"},
			{vault.SANs{DNSNames: []string{"*.com"}}, "is not permitted"},
			{vault.SANs{DNSNames: []string{"localhost"}}, "is not permitted"},
			{vault.SANs{Emails: []string{"ada@contoso.com", "bob@fabrikam.com"}}, ""},
			{vault.SANs{Emails: []string{"ada@fabrikam.com"}}, "is not permitted"},
			{vault.SANs{URIs: []string{"spiffe://a.contoso.com/x", "https://b.contoso.com"}}, ""},
			{vault.SANs{URIs: []string{"spiffe://contoso.com/x"}}, "is not permitted"},
			{vault.SANs{URIs: []string{"https://10.1.0.1/"}}, "cannot be matched"},
			{vault.SANs{URIs: []string{"urn:contoso:x"}}, "cannot be matched"},
			{vault.SANs{IPAddresses: []string{"10.1.2.3", "fd12::1"}}, ""},
			{vault.SANs{IPAddresses: []string{"10.2.0.1"}}, "is not permitted"},
			{vault.SANs{UPNs: []string{"ada@corp.contoso.com", "bob@CORP.contoso.com"}}, ""},
			{vault.SANs{UPNs: []string{"ada@contoso.com"}}, `user principal name "ada@contoso.com" is not permitted`},
			{vault.SANs{UPNs: []string{"a@corp.contoso.com@fabrikam.com"}}, "is not permitted"},
			{vault.SANs{UPNs: []string{"ada"}}, "is not permitted"},
		} {
			if len(test.sans.UPNs) > 0 && above != "profile" {
				continue // name constraints on UPNs are not read
			}
			req := request(t, vault.X509Params{Subject: new("CN=a"), SANs: &test.sans}, ec256)
			err, out := i.CheckPolicy(vault.IssuerObject{}, req.Policy), run(t, i, req)
			if test.want == "" {
				leaf := issued(t, out)
				if err != nil {
					t.Errorf("%s: %+v: %v", above, test.sans, err)
				}
				verify(t, c, leaf)
				continue
			}
			field := "policy.x509_props.sans"
			if len(test.sans.UPNs) > 0 {
				field += ".upns"
			}
			wantRefusal(t, above, err, field, test.want)
			if out.Kind != vault.OutcomeFailed || out.Code != vault.CodeRejected || !strings.Contains(out.Message, test.want) {
				t.Errorf("%s: %+v: %s", above, test.sans, brief(out))
			}
		}
	}
}

// verify has Go's verifier accept a certificate under the CA's real chain.
func verify(t rapid.TB, c *ca, leaf *x509.Certificate) {
	t.Helper()
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(c.chain[len(c.chain)-1])
	for _, certificate := range c.chain[:len(c.chain)-1] {
		between.AddCert(certificate)
	}
	purposes := leaf.ExtKeyUsage
	if len(purposes) == 0 {
		purposes = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} // it has others, that Go has no names for
	}
	for _, purpose := range purposes {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: start, KeyUsages: []x509.ExtKeyUsage{purpose}}); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// Kinds that a profile does not name are not certified; without names all are.
func TestKindsOfNames(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	none, all := c.config(), c.config()
	none.Profile.Names = new(privateca.Names)
	for field, sans := range map[string]vault.SANs{
		"dns_names":   {DNSNames: []string{"contoso.com"}},
		"emails":      {Emails: []string{"ada@contoso.com"}},
		"upns":        {UPNs: []string{"ada@contoso.com"}},
		"uris":        {URIs: []string{"urn:a:b"}},
		"ipAddresses": {IPAddresses: []string{"10.0.0.1"}},
	} {
		req := request(t, vault.X509Params{Subject: new("CN=a"), SANs: &sans}, ec256)
		wantRefusal(t, field, issuer(t, none).CheckPolicy(vault.IssuerObject{}, req.Policy), "policy.x509_props.sans."+field, "the CA certifies no ")
		if out := run(t, issuer(t, none), req); out.Kind != vault.OutcomeFailed {
			t.Errorf("%s: %s", field, brief(out))
		}
		if out := run(t, issuer(t, all), req); out.Kind != vault.OutcomeIssued {
			t.Errorf("%s: %s", field, brief(out))
		}
	}
}

// Some verifiers would take it for the IPv4 address, others not.
func TestMappedAddress(t *testing.T) {
	t.Parallel()
	i := issuer(t, newPair(t).config())
	req := request(t, vault.X509Params{SANs: &vault.SANs{IPAddresses: []string{"::ffff:10.1.0.1"}}}, ec256)
	wantRefusal(t, "mapped", i.CheckPolicy(vault.IssuerObject{}, req.Policy), "policy.x509_props.sans.ipAddresses", "in the form of IPv6")
	if out := run(t, i, req); out.Kind != vault.OutcomeFailed || !strings.Contains(out.Message, "in the form of IPv6") {
		t.Error(brief(out))
	}
}

// A common name that is that of a host counts as a DNS name, as some programs
// take it for one.
func TestCommonName(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	cfg := c.config()
	cfg.Profile.Names = &privateca.Names{DNSDomains: []string{"contoso.com"}}
	for subject, ok := range map[string]bool{
		"CN=www.contoso.com":              true,
		"CN=*.contoso.com":                true,
		"CN=Ada Lovelace":                 true,
		"CN=server":                       true,
		"CN=Contoso Inc. Service":         true,
		"O=fabrikam.com":                  true,
		"CN=www.fabrikam.com":             false,
		"CN=WWW.FABRIKAM.COM":             false,
		"CN=*.fabrikam.com":               false,
		"CN=a.contoso.com, CN=b.test.com": false,
	} {
		out := run(t, issuer(t, cfg), request(t, vault.X509Params{Subject: &subject}, ec256))
		if ok != (out.Kind == vault.OutcomeIssued) || !ok && !strings.Contains(out.Message, "is not permitted") {
			t.Errorf("%s: %s", subject, brief(out))
		}
	}
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
		"usage with trailing data": {csrOf(t, key, extension(true, usage, 3, 2, 7, 0x80, 0)), "trailing data"},
		"usage that is none":       {csrOf(t, key, extension(true, usage, 5, 0)), "extension 2.5.29.15"},
		"a CA": {csrOf(t, key, extension(true, asn1.ObjectIdentifier{2, 5, 29, 19}, 0x30, 3, 1, 1, 0xff)),
			"the CA certifies end entities only"},
	} {
		req := webRequest(t)
		req.CSR = test.csr
		if out := run(t, issuer(t, c.config()), req); out.Kind != vault.OutcomeFailed || !strings.Contains(out.Message, test.want) {
			t.Errorf("%s: %s, want %s", name, brief(out), test.want)
		}
	}
	if n := c.opens.Load(); n != 0 {
		t.Errorf("key opened %d times", n)
	}
}

// A subordinate CA is certified where the profile says so, with the profile's
// names, for end entities only.
func TestSubordinateCA(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	cfg := c.config()
	cfg.Profile = privateca.Profile{SubordinateCAs: true, Names: &privateca.Names{DNSDomains: []string{"contoso.com"}}}
	leaf := issued(t, run(t, issuer(t, cfg), request(t, vault.X509Params{
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
	leaf = issued(t, run(t, issuer(t, cfg), request(t, vault.X509Params{Subject: new("CN=a")}, ec256)))
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
		"maximal validity":              func(cfg *privateca.Config) { cfg.Profile.MaxValidity = -time.Hour },
		`key usage "keyCertSign"`:       func(cfg *privateca.Config) { cfg.Profile.KeyUsages = []string{"keyCertSign"} },
		`key usage "sign"`:              func(cfg *privateca.Config) { cfg.Profile.KeyUsages = []string{"sign"} },
		`extended key usage "any"`:      func(cfg *privateca.Config) { cfg.Profile.EKUs = []string{"any"} },
		`extended key usage "3.1"`:      func(cfg *privateca.Config) { cfg.Profile.EKUs = []string{"3.1"} },
		"no key usage":                  func(cfg *privateca.Config) { cfg.Profile.KeyUsages = []string{} },
		"no extended key usage":         func(cfg *privateca.Config) { cfg.Profile.EKUs = []string{} },
		"extended key usage that the":   pair(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, nil),
		`"ldap://x" is not an http URL`: func(cfg *privateca.Config) { cfg.Profile.CRLURLs = []string{"ldap://x"} },
		`"http:" is not an http URL`:    func(cfg *privateca.Config) { cfg.Profile.IssuerURLs = []string{"http:"} },
		"name constraints: ":            func(cfg *privateca.Config) { cfg.Profile.Names = &privateca.Names{DNSDomains: []string{"a b"}} },
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
	verify(t, c, issued(t, run(t, issuer(t, cfg), request(t, vault.X509Params{Subject: new("CN=Sub CA"), CA: new(true)}, ec256))))
}

// Whatever a policy asks for and a profile has: what CheckPolicy lets pass is
// issued, within the profile, and accepted by a verifier; what it refuses is not.
func TestProfileHolds(t *testing.T) {
	t.Parallel()
	usages := []string{"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement"}
	ekus := []string{serverAuth, clientAuth, codeSigning, "1.2.3.4"}
	domains := []string{"contoso.com", "a.contoso.com", "fabrikam.com"}
	root := newCA(t, nil, ecKey(t, elliptic.P256()), nil)
	limited := newCA(t, root, ecKey(t, elliptic.P256()), func(c *x509.Certificate) {
		c.ExcludedDNSDomains = []string{"secret.contoso.com"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	})
	rapid.Check(t, func(rt *rapid.T) {
		some := func(name string, least int, list ...string) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(list), least, len(list), rapid.ID).Draw(rt, name)
		}
		c := rapid.SampledFrom([]*ca{root, limited}).Draw(rt, "ca")
		cfg := c.config()
		cfg.Profile = privateca.Profile{
			MaxValidity: time.Duration(rapid.IntRange(1, 1000).Draw(rt, "days")) * 24 * time.Hour,
			KeyUsages:   some("usages", 1, usages...),
			EKUs:        append(some("ekus", 0, ekus...), serverAuth),
		}
		if rapid.Bool().Draw(rt, "named") {
			cfg.Profile.Names = &privateca.Names{DNSDomains: some("domains", 0, domains...), UPNDomains: some("realms", 0, domains...)}
		}
		key := rapid.SampledFrom([]vault.KeyParams{ec256, rsa2048}).Draw(rt, "key")
		req := request(t, vault.X509Params{
			Subject:  new("CN=Ada"),
			KeyUsage: some("asked usages", 1, append(usages, "keyCertSign")...),
			EKUs:     some("asked ekus", 1, ekus...),
			SANs: &vault.SANs{
				DNSNames: some("names", 0, "contoso.com", "b.a.contoso.com", "*.fabrikam.com", "x.secret.contoso.com"),
				UPNs:     some("users", 0, "ada@contoso.com", "bob@fabrikam.com"),
			},
			ValidityMonths: new(rapid.IntRange(1, 60).Draw(rt, "months")),
		}, key)
		i := issuer(t, cfg)
		refusal, out := i.CheckPolicy(vault.IssuerObject{}, req.Policy), run(t, i, req)
		if (refusal == nil) != (out.Kind == vault.OutcomeIssued) {
			rt.Fatalf("CheckPolicy: %v, then %s", refusal, brief(out))
		}
		if refusal != nil {
			return
		}
		leaf := issued(t, out)
		verify(rt, c, leaf)
		if leaf.IsCA || leaf.KeyUsage == 0 || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
			rt.Fatalf("CA %t, key usage %b", leaf.IsCA, leaf.KeyUsage)
		}
		if len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0 {
			rt.Fatal("good for all purposes")
		}
		if longest := start.Add(cfg.Profile.MaxValidity); leaf.NotAfter.After(longest) || leaf.NotAfter.After(c.chain[0].NotAfter) {
			rt.Fatalf("valid until %s", leaf.NotAfter)
		}
	})
}
