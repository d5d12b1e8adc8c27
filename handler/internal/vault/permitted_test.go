package vault_test

// Limits on names, at create and at issuance.

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// limits of the provider of these tests.
var limits = &names.Permitted{
	DNSDomains:   []string{"example.com"},
	EmailDomains: []string{"example.com"},
	URIDomains:   []string{"example.com"},
	UPNDomains:   []string{"example.com"},
	IPRanges:     []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
}

// limit has the harness go on with a vault that limits the names of a provider.
func (h *harness) limit(issuers map[string]provider.Provider, provider string, permitted *names.Permitted) {
	h.t.Helper()
	h.Vault = open(h.t, h.store, h.clock, issuers, func(cfg *vault.Config) {
		cfg.NameConstraints = map[string]*names.Permitted{provider: permitted}
	})
}

// What may not be certified is refused at create, before anything is stored; for
// other issuers it is not limited.
func TestCreateRefusesForeignNames(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "hold")
	h.limit(nil, "test", limits)
	for _, test := range []struct {
		x509  policy.X509Params
		field string // empty: accepted
		name  string
	}{
		{policy.X509Params{Subject: new("CN=www.example.com")}, "", ""},
		{policy.X509Params{Subject: new("CN=Ada Lovelace, E=ada@example.com")}, "", ""},
		{policy.X509Params{Subject: new("CN=*.EXAMPLE.com"), SANs: &policy.SANs{
			DNSNames: []string{"*.example.com", "EXAMPLE.com"}, Emails: []string{"ada@Example.com"}, URIs: []string{"https://example.com/a"},
			UPNs: []string{"ada@EXAMPLE.com"}, IPAddresses: []string{"10.9.8.7"},
		}}, "", ""},
		{policy.X509Params{SANs: &policy.SANs{DNSNames: []string{"example.com", "example.org"}}}, "sans.dns_names", "example.org"},
		{policy.X509Params{SANs: &policy.SANs{DNSNames: []string{"*.org"}}}, "sans.dns_names", "*.org"},
		{policy.X509Params{SANs: &policy.SANs{DNSNames: []string{"notexample.com"}}}, "sans.dns_names", "notexample.com"},
		{policy.X509Params{SANs: &policy.SANs{Emails: []string{"ada@example.org"}}}, "sans.emails", "ada@example.org"},
		{policy.X509Params{SANs: &policy.SANs{UPNs: []string{"ada@example.org"}}}, "sans.upns", "ada@example.org"},
		{policy.X509Params{SANs: &policy.SANs{URIs: []string{"https://example.org/"}}}, "sans.uris", "example.org"},
		{policy.X509Params{SANs: &policy.SANs{IPAddresses: []string{"192.0.2.1"}}}, "sans.ipAddresses", "192.0.2.1"},
		{policy.X509Params{SANs: &policy.SANs{IPAddresses: []string{"::ffff:10.0.0.1"}}}, "sans.ipAddresses", "::ffff:10.0.0.1"},
		{policy.X509Params{Subject: new("CN=www.example.org"), SANs: &policy.SANs{DNSNames: []string{"example.com"}}}, "subject", "www.example.org"},
		{policy.X509Params{Subject: new("CN=www.example.com, CN=www.example.org.")}, "subject", "www.example.org"},
		{policy.X509Params{Subject: new("CN=192.0.2.1")}, "subject", "192.0.2.1"},
		{policy.X509Params{Subject: new("E=ada@example.org")}, "subject", "ada@example.org"},
		{policy.X509Params{Subject: new("CN=Sub CA"), CA: new(true)}, "basic_constraints.ca", "a CA could certify others"},
	} {
		before := h.store.Contents()
		create := func(issuer string) error {
			_, err := h.Create(t.Context(), name(t, "web"), vault.CreateParams{Policy: &policy.Params{
				X509: &test.x509, Issuer: &policy.IssuerParams{Name: &issuer},
			}})
			return err
		}
		err := create("ca")
		if test.field != "" {
			e, ok := err.(*field.Error)
			if !ok || e.Field != "policy.x509_props."+test.field || !strings.Contains(e.Detail, test.name) {
				t.Errorf("%+v: %v, want %s", test.x509, err, test.field)
			}
			if !reflect.DeepEqual(h.store.Contents(), before) {
				t.Errorf("%+v: the store was changed", test.x509)
			}
			err = create("Unknown")
		}
		if err != nil {
			t.Errorf("%+v: %v", test.x509, err)
		}
		h.mustDestroy("web")
	}
}

// A limit that comes later holds for what is created with the stored policy, and
// for renewals.
func TestStoredPolicyIsLimited(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "issue")
	pol := policyFor("ca")
	pol.LifetimeActions = []policy.LifetimeAction{{Percentage: 80, Action: policy.ActionAutoRenew}}
	if _, err := h.Create(t.Context(), name(t, "web"), vault.CreateParams{Policy: pol}); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(2 * time.Second)
	h.mustTick()
	h.limit(nil, "test", &names.Permitted{DNSDomains: []string{"example.org"}})
	if _, err := h.Create(t.Context(), name(t, "web"), vault.CreateParams{}); reason(t, err) != vault.BadParameter {
		t.Errorf("create with the stored policy: %v", err)
	}
	before, err := h.Certificate(t.Context(), name(t, "web"))
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(302 * 24 * time.Hour)
	for renewed, permitted := range []*names.Permitted{{DNSDomains: []string{"example.org"}}, limits} {
		h.limit(nil, "test", permitted)
		h.clock.Advance(48 * time.Hour)
		h.mustTick()
		h.clock.Advance(time.Minute)
		h.mustTick()
		after, err := h.Certificate(t.Context(), name(t, "web"))
		if err != nil || (after.Version != before.Version) != (renewed == 1) {
			t.Errorf("under %v renewed to version %s, %v", permitted, after.Version, err)
		}
	}
}

// What an issuer returns is held against the limits, whatever was asked for: when
// they have changed meanwhile, and when it is a CA's certificate.
func TestIssuedLeafIsLimited(t *testing.T) {
	t.Parallel()
	for want, test := range map[string]struct {
		permitted *names.Permitted
		change    func(*x509.Certificate)
	}{
		"": {limits, func(*x509.Certificate) {}},
		`names are limited for this issuer: DNS name "example.com" is not permitted`: {
			&names.Permitted{DNSDomains: []string{"example.org"}}, func(*x509.Certificate) {},
		},
		`DNS name "example.com" is not permitted: no name of this kind is`: {
			&names.Permitted{EmailDomains: []string{"example.com"}}, func(c *x509.Certificate) { c.Subject = pkix.Name{} },
		},
		"a CA certificate could certify others": {
			limits, func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true },
		},
	} {
		p := &stepping{step: func(_ context.Context, req provider.Request, _ json.RawMessage) (json.RawMessage, provider.Outcome) {
			csr, err := x509.ParseCertificateRequest(req.CSR)
			if err != nil {
				t.Error(err)
			}
			root := newCertifier(t, "Root", nil)
			template := &x509.Certificate{Subject: csr.Subject, DNSNames: []string{"example.com"}}
			test.change(template)
			return nil, provider.Issued([][]byte{root.certify(t, template, csr.PublicKey).Raw, root.Raw})
		}}
		issuers := map[string]provider.Provider{"ca": p}
		h := newHarness(t, issuers)
		h.mustSetIssuer("ca", "CA")
		h.mustCreate("web", "ca")
		h.limit(issuers, "ca", test.permitted)
		h.clock.Advance(2 * time.Second)
		h.mustTick()
		op := h.mustOperation("web")
		switch {
		case want == "" && op.Status != vault.StatusCompleted:
			t.Errorf("the operation is %s: %+v", op.Status, op.Error)
		case want != "" && (op.Status != vault.StatusFailed || op.Error.Code != provider.CodeIssuerError || !strings.Contains(op.Error.Message, want)):
			t.Errorf("the operation is %s: %+v, want %s", op.Status, op.Error, want)
		}
	}
}

func TestLimitsOfNoProvider(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	for limited, permitted := range map[string]*names.Permitted{"nobody": limits, "test": {DNSDomains: []string{"*.example.com"}}} {
		cfg := vault.Config{Store: h.store, Seal: testSealer(t).Seal, Open: testSealer(t).Open, NameConstraints: map[string]*names.Permitted{limited: permitted}}
		cfg.Providers = map[string]provider.Provider{"self": &stepping{}, "test": &stepping{}}
		if _, err := vault.New(cfg); err == nil || !strings.Contains(err.Error(), limited) {
			t.Errorf("%s: %v", limited, err)
		}
	}
}
