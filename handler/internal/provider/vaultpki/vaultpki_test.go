package vaultpki_test

// Certificates and revocation by the provider.

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/certtest"
	certnames "github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/vaultpki"
)

func TestNew(t *testing.T) {
	t.Parallel()
	const url = "https://vault.example.com"
	for _, cfg := range []vaultpki.Config{
		{Role: "web"},
		{URL: "http://vault.example.com", Role: "web"},
		{URL: "https://", Role: "web"},
		{URL: "https://token@vault.example.com", Role: "web"},
		{URL: url + "?x=1", Role: "web"},
		{URL: url + "#x", Role: "web"},
		{URL: url},
		{URL: url, Role: "a/b"},
		{URL: url, Role: ".."},
		{URL: url, Roles: []string{""}},
		{URL: url, Roles: []string{"web", "x?"}},
		{URL: url, Role: "web", Mount: "/pki"},
		{URL: url, Role: "web", Mount: "pki/../sys"},
		{URL: url, Role: "web", AppRoleMount: "app%2Frole"},
		{URL: url, Role: "web", Namespace: "a\r\nb"},
	} {
		if _, err := vaultpki.New(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
	for _, cfg := range []vaultpki.Config{
		{URL: url, Role: "web"},
		{URL: url + ":8200/proxied/", Roles: []string{"web", "mail.v2"}},
		{URL: url, Verbatim: true},
		{URL: url, Role: "web", Mount: "team/pki_int", AppRoleMount: "team/approle", Namespace: "admin/team"},
	} {
		if _, err := vaultpki.New(cfg); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// Where a certificate is signed, and that the chain is whole and in order.
func TestIssued(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg   vaultpki.Config
		cty   string
		roles map[string]role
		want  []string
		chain int
	}{
		"role":       {want: []string{"auth/approle/login 200", "pki/sign/web 200"}, chain: 3},
		"chosen":     {cfg: vaultpki.Config{Role: "web", Roles: []string{"named"}}, cty: "named", want: []string{"auth/approle/login 200", "pki/sign/named 200"}, chain: 3},
		"named":      {cty: "web", want: []string{"auth/approle/login 200", "pki/sign/web 200"}, chain: 3},
		"verbatim":   {cfg: vaultpki.Config{Verbatim: true}, want: []string{"auth/approle/login 200", "pki/sign-verbatim 200"}, chain: 3},
		"as a role":  {cfg: vaultpki.Config{Verbatim: true, Role: "web"}, want: []string{"auth/approle/login 200", "pki/sign-verbatim/web 200"}, chain: 3},
		"mounts":     {cfg: vaultpki.Config{Mount: "corp", AppRoleMount: "team/app"}, want: []string{"auth/team/app/login 200", "corp/sign/web 200"}, chain: 3},
		"no list":    {roles: map[string]role{"web": {rootOnly: true}}, want: []string{"auth/approle/login 200", "pki/sign/web 200"}, chain: 2},
		"with slash": {cfg: vaultpki.Config{URL: "/"}, want: []string{"auth/approle/login 200", "pki/sign/web 200"}, chain: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, req := newServer(t), request(t)
			if c.roles != nil {
				s.roles = c.roles
			}
			req.Policy.Issuer.CertificateType = c.cty
			state, out := s.issuer(c.cfg).Step(t.Context(), req, nil)
			if state != nil || out.Kind != provider.OutcomeIssued || len(out.Chain) != c.chain {
				t.Fatalf("state %s, %d certificates, %+v", state, len(out.Chain), out)
			}
			if !sameKey(t, out.Chain, req.CSR) || !linked(t, out.Chain) {
				t.Error("the chain is not the CSR's, leaf first")
			}
			if diff := cmp.Diff(c.want, s.Take()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A role that ignores the names in the CSR certifies the same ones.
func TestNamesBesideTheCSR(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sans policy.SANs
		want map[string]any // of the request, besides the common name
	}{
		"none": {policy.SANs{}, map[string]any{"exclude_cn_from_sans": false}},
		"every kind": {
			policy.SANs{
				DNSNames: []string{"example.com", "*.example.com"}, Emails: []string{"ada@example.com"},
				IPAddresses: []string{"192.0.2.1", "2001:db8::1"}, URIs: []string{"spiffe://example.com/a,b", "urn:x"},
			},
			map[string]any{
				"alt_names": "example.com,*.example.com,ada@example.com", "ip_sans": []any{"192.0.2.1", "2001:db8::1"},
				"uri_sans": []any{"spiffe://example.com/a,b", "urn:x"}, "exclude_cn_from_sans": true,
			},
		},
		"UPN": {
			policy.SANs{UPNs: []string{"ada@corp", "a,b;c@corp"}},
			map[string]any{
				"other_sans":           []any{"1.3.6.1.4.1.311.20.2.3;UTF8:ada@corp", "1.3.6.1.4.1.311.20.2.3;UTF8:a,b;c@corp"},
				"exclude_cn_from_sans": true,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, req := newServer(t), requestFor(t, c.sans)
			_, out := s.issuer(vaultpki.Config{Role: "named"}).Step(t.Context(), req, nil)
			if out.Kind != provider.OutcomeIssued {
				t.Fatalf("%+v", out)
			}
			got := s.Bodies[1]
			if name == "UPN" {
				if got["other_sans"] != nil {
					t.Error("UPNs stand beside the CSR, where a role that reads it certifies them twice")
				}
				got = s.Bodies[2] // the role did not read it
			}
			for member, value := range map[string]any{"csr": got["csr"], "common_name": "example.com", "ttl": "31536000s", "format": "pem"} {
				c.want[member] = value
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			csr, err := x509.ParseCertificateRequest(req.CSR)
			if err != nil {
				t.Fatal(err)
			}
			leaf, wantDNS := s.last(), csr.DNSNames
			if name == "none" {
				wantDNS = []string{"example.com"} // the common name
			}
			if name != "UPN" && (!cmp.Equal(leaf.DNSNames, wantDNS) || !cmp.Equal(leaf.EmailAddresses, csr.EmailAddresses) ||
				len(leaf.IPAddresses) != len(csr.IPAddresses) || !cmp.Equal(leaf.URIs, csr.URIs)) {
				t.Errorf("the certificate is for %q %q %q %q", leaf.DNSNames, leaf.EmailAddresses, leaf.IPAddresses, leaf.URIs)
			}
		})
	}
}

// The validity is the policy's, from now; a role may shorten it.
func TestValidity(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		months int
		role   role
		want   time.Time
	}{
		"a month": {1, role{}, time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)},
		"years":   {36, role{}, time.Date(2029, 3, 1, 12, 0, 0, 0, time.UTC)},
		"limited": {12, role{maxTTL: time.Hour}, start.Add(time.Hour)},
	} {
		s, req := newServer(t), request(t)
		s.roles["web"] = c.role
		req.Policy.X509.ValidityMonths = c.months
		if _, out := s.issuer(vaultpki.Config{}).Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
			t.Errorf("%s: %+v", name, out)
		} else if got := s.last().NotAfter; !got.Equal(c.want) {
			t.Errorf("%s: until %s, want %s", name, got, c.want)
		}
	}
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.namespace = "admin/team"
	if _, out := s.issuer(vaultpki.Config{Namespace: "admin/team"}).Step(t.Context(), request(t), nil); out.Kind != provider.OutcomeIssued {
		t.Errorf("%+v", out)
	}
	_, out := s.issuer(vaultpki.Config{}).Step(t.Context(), request(t), nil)
	if out.Kind != provider.OutcomeFailed || out.Code != provider.CodeIssuerError || !strings.Contains(out.Message, "no handler for route") {
		t.Errorf("without the namespace: %+v", out)
	}
}

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	i := s.issuer(vaultpki.Config{})
	if err := i.CheckIssuer(issuerObject); err != nil {
		t.Error(err)
	}
	if err := i.CheckIssuer(provider.Issuer{Name: "ca"}); err == nil || !strings.Contains(err.Error(), "credentials.account_id: is required") {
		t.Errorf("without role id: %v", err)
	}
	for _, o := range []provider.Issuer{{Name: "ca", Password: secretID}, {Name: "ca", AccountID: roleID}} {
		req := request(t)
		req.Issuer = o
		_, out := i.Step(t.Context(), req, nil)
		if want := map[bool]string{true: "credentials.account_id", false: "credentials.pwd"}[o.AccountID == ""]; out.Kind != provider.OutcomeFailed ||
			out.Code != provider.CodeIssuerError || !strings.Contains(out.Message, "The issuer ca needs "+want) {
			t.Errorf("%+v, want %s named", out, want)
		}
	}
	if calls := s.Take(); calls != nil {
		t.Errorf("the server was called: %q", calls)
	}
}

func TestCheckPolicy(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	one := s.issuer(vaultpki.Config{})
	several := s.issuer(vaultpki.Config{Roles: []string{"web", "mail"}})
	cty := func(role string) policy.Policy {
		return policy.Policy{Issuer: policy.IssuerParameters{CertificateType: role}}
	}
	for name, c := range map[string]struct {
		issuer *vaultpki.Provider
		policy policy.Policy
		want   string // empty: accepted
	}{
		"default":       {one, policy.Policy{}, ""},
		"by name":       {one, cty("web"), ""},
		"another":       {one, cty("admin"), `policy.issuer.cty: does not fit 127.0.0.1`},
		"a path":        {one, cty("web/../../sys"), `is not a role that may be chosen: web`},
		"no default":    {several, policy.Policy{}, "a role must be chosen: mail, web"},
		"of several":    {several, cty("mail"), ""},
		"verbatim":      {s.issuer(vaultpki.Config{Verbatim: true}), policy.Policy{}, ""},
		"verbatim role": {s.issuer(vaultpki.Config{Verbatim: true}), cty("web"), `"web" is not a role that may be chosen`},
		"a CA":          {one, policy.Policy{X509: policy.X509Properties{CA: true}}, "basic_constraints.ca: is true"},
		"a comma": {one, policy.Policy{X509: policy.X509Properties{SANs: &policy.SANs{Emails: []string{`"a,b"@example.com`}}}},
			"policy.x509_props.sans: cannot be sent"},
	} {
		err := c.issuer.CheckPolicy(issuerObject, c.policy)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Settings may have changed since create.
func TestStepThatWouldBeRefusedAtCreate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	chosen, comma, noCSR := request(t), request(t), request(t)
	chosen.Policy.Issuer.CertificateType = "admin"
	comma.Policy.X509.SANs = &policy.SANs{Emails: []string{`"a,b"@example.com`}}
	noCSR.CSR = []byte("?")
	for want, req := range map[string]provider.Request{"is not a role": chosen, "has a comma": comma, "reading the CSR": noCSR} {
		_, out := s.issuer(vaultpki.Config{}).Step(t.Context(), req, nil)
		if out.Kind != provider.OutcomeFailed || out.Code != provider.CodeIssuerError || !strings.Contains(out.Message, want) {
			t.Errorf("%+v, want %q", out, want)
		}
	}
	if calls := s.Take(); calls != nil {
		t.Errorf("the server was called: %q", calls)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]role{"stored": {}, "not stored": {noStore: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.roles["web"] = r
			i := s.issuer(vaultpki.Config{})
			if _, out := i.Step(t.Context(), request(t), nil); out.Kind != provider.OutcomeIssued {
				t.Fatalf("%+v", out)
			}
			leaf := s.last()
			want := colons(leaf.SerialNumber.Bytes())
			for range 2 { // that it is revoked is not an error
				if err := i.Revoke(t.Context(), issuerObject, leaf, 4); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff([]string{want, want}, s.revoked); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, known := s.Bodies[len(s.Bodies)-1]["reason"]; known {
				t.Error("a reason was sent")
			}
		})
	}
}

func TestRevokeFailures(t *testing.T) {
	t.Parallel()
	s, other := newServer(t), newServer(t)
	i := s.issuer(vaultpki.Config{})
	if _, out := other.issuer(vaultpki.Config{}).Step(t.Context(), request(t), nil); out.Kind != provider.OutcomeIssued {
		t.Fatalf("%+v", out)
	}
	leaf := other.last()
	if err := i.Revoke(t.Context(), issuerObject, leaf, 0); err == nil || !strings.Contains(err.Error(), "unable to verify signature") {
		t.Errorf("of another CA: %v", err)
	}
	if err := i.Revoke(t.Context(), provider.Issuer{Name: "ca"}, leaf, 0); err == nil || !strings.Contains(err.Error(), "credentials.account_id") {
		t.Errorf("without credentials: %v", err)
	}
	s.Set(func() { s.Faults = []fault.Func{fault.Reply(503, asJSON, `{"errors":["Vault is sealed"]}`)} })
	if err := i.Revoke(t.Context(), issuerObject, leaf, 0); err == nil || !strings.Contains(err.Error(), "Vault is sealed") {
		t.Errorf("sealed: %v", err)
	}
}

// TestUPNsOnce: where a role reads the CSR, its UPNs are certified once, by one
// request.
func TestUPNsOnce(t *testing.T) {
	t.Parallel()
	s, req := newServer(t), requestFor(t, policy.SANs{UPNs: []string{"ada@corp"}, DNSNames: []string{"example.com"}})
	p, err := policy.New(policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com"), SANs: req.Policy.X509.SANs}}, start)
	if err != nil {
		t.Fatal(err)
	}
	if req.CSR, err = policy.NewCSR(p, certtest.Keys["P-256"]()); err != nil { // with the UPN
		t.Fatal(err)
	}
	_, out := s.issuer(vaultpki.Config{Role: "web"}).Step(t.Context(), req, nil)
	if out.Kind != provider.OutcomeIssued {
		t.Fatalf("%+v", out)
	}
	var upns int
	for _, e := range s.last().Extensions {
		list, err := certnames.ReadGeneralNames(e.Value)
		if err != nil || !e.Id.Equal(policy.OIDSubjectAltName) {
			continue
		}
		for _, name := range list {
			if _, ok := name.UPN(); ok {
				upns++
			}
		}
	}
	if upns != 1 || len(s.Bodies) != 2 {
		t.Errorf("%d UPNs after %d requests", upns, len(s.Bodies))
	}
}
