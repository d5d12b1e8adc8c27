package privateca_test

// What the profile of a CA allows.

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

const (
	serverAuth  = "1.3.6.1.5.5.7.3.1"
	clientAuth  = "1.3.6.1.5.5.7.3.2"
	codeSigning = "1.3.6.1.5.5.7.3.3"
)

var rsa2048 = policy.KeyParams{Type: new("RSA"), Size: new(2048)}

func TestKeyUsage(t *testing.T) {
	t.Parallel()
	c := newPair(t)
	for name, test := range map[string]struct {
		key            policy.KeyParams
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
		i, req := issuer(t, cfg), request(t, policy.X509Params{Subject: new("CN=a"), KeyUsage: test.asked}, test.key)
		if len(test.asked) == 0 {
			req.Policy.X509.KeyUsage = nil
			req.CSR = csrOf(t, ecKey(t, elliptic.P256()), &x509.CertificateRequest{})
		}
		err, out := i.CheckPolicy(provider.Issuer{}, req.Policy), run(t, i, req)
		if test.want != 0 {
			if leaf := issued(t, out); leaf.KeyUsage != test.want || err != nil {
				t.Errorf("%s: %b, want %b; %v", name, leaf.KeyUsage, test.want, err)
			}
			continue
		}
		wantRefusal(t, name, err, "policy.x509_props.key_usage", "certifies none")
		if out.Kind != provider.OutcomeFailed {
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
		i, req := issuer(t, cfg), request(t, policy.X509Params{Subject: new("CN=a"), EKUs: test.asked}, ec256)
		if len(test.asked) == 0 {
			req.Policy.X509.EKUs = nil
			req.CSR = csrOf(t, ecKey(t, elliptic.P256()), &x509.CertificateRequest{})
		}
		err, out := i.CheckPolicy(provider.Issuer{}, req.Policy), run(t, i, req)
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
		if out.Kind != provider.OutcomeFailed {
			t.Errorf("%s: %s", name, brief(out))
		}
	}
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
			cfg.Profile.NameConstraints = &names.Permitted{DNSDomains: some("domains", 0, domains...), UPNDomains: some("realms", 0, domains...)}
		}
		key := rapid.SampledFrom([]policy.KeyParams{ec256, rsa2048}).Draw(rt, "key")
		req := request(t, policy.X509Params{
			Subject:  new("CN=Ada"),
			KeyUsage: some("asked usages", 1, append(usages, "keyCertSign")...),
			EKUs:     some("asked ekus", 1, ekus...),
			SANs: &policy.SANs{
				DNSNames: some("names", 0, "contoso.com", "b.a.contoso.com", "*.fabrikam.com", "x.secret.contoso.com"),
				UPNs:     some("users", 0, "ada@contoso.com", "bob@fabrikam.com"),
			},
			ValidityMonths: new(rapid.IntRange(1, 60).Draw(rt, "months")),
		}, key)
		i := issuer(t, cfg)
		refusal, out := i.CheckPolicy(provider.Issuer{}, req.Policy), run(t, i, req)
		if (refusal == nil) != (out.Kind == provider.OutcomeIssued) {
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
