package stepca_test

// Certificates and revocation by the provider.

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/signertest"
	"github.com/certwright/certwright/handler/internal/provider/stepca"
	local "github.com/certwright/certwright/scripts/localcloud/stepca"
	"github.com/certwright/certwright/scripts/localcloud/supervise/supervisetest"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for _, cfg := range []stepca.Config{
		{},
		{URL: "http://ca.example.com"},
		{URL: "https://"},
		{URL: "https://user@ca.example.com"},
		{URL: "https://ca.example.com?x=1"},
		{URL: "https://ca.example.com#x"},
		{URL: "https://ca.example.com", MaxValidity: -time.Hour},
		{URL: "https://ca.example.com", MaxValidity: time.Second},
	} {
		if _, err := stepca.New(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
	for _, cfg := range []stepca.Config{
		{URL: "https://ca.example.com"},
		{URL: "https://ca.example.com:9000/a/", MaxValidity: 24 * time.Hour},
	} {
		if _, err := stepca.New(cfg); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// Whatever names a policy may have, the server certifies these and no others.
func TestIssued(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cn     string
		sans   policy.SANs
		wantCN string
		want   policy.SANs
	}{
		"names":          {"example.com", policy.SANs{DNSNames: []string{"example.com", "*.example.com"}}, "example.com", policy.SANs{DNSNames: []string{"example.com", "*.example.com"}}},
		"only a CN":      {"example.com", policy.SANs{}, "example.com", policy.SANs{DNSNames: []string{"example.com"}}},
		"a CN besides":   {"Service 7", policy.SANs{DNSNames: []string{"example.com"}}, "Service 7", policy.SANs{DNSNames: []string{"example.com"}}},
		"no CN":          {"", policy.SANs{DNSNames: []string{"example.com"}}, "example.com", policy.SANs{DNSNames: []string{"example.com"}}},
		"upper case":     {"Example.COM", policy.SANs{DNSNames: []string{"Example.COM"}}, "Example.COM", policy.SANs{DNSNames: []string{"Example.COM"}}},
		"only a mailbox": {"", policy.SANs{Emails: []string{"ada@example.com"}}, "ada@example.com", policy.SANs{Emails: []string{"ada@example.com"}}},
		"only a URI":     {"", policy.SANs{URIs: []string{"spiffe://example.com/a,b"}}, "spiffe://example.com/a,b", policy.SANs{URIs: []string{"spiffe://example.com/a,b"}}},
		"every kind": {
			"example.com",
			policy.SANs{DNSNames: []string{"example.com"}, Emails: []string{"ada@example.com"}, IPAddresses: []string{"192.0.2.1", "2001:db8::1"}, URIs: []string{"urn:x:y"}},
			"example.com",
			policy.SANs{DNSNames: []string{"example.com"}, Emails: []string{"ada@example.com"}, IPAddresses: []string{"192.0.2.1", "2001:db8::1"}, URIs: []string{"urn:x:y"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, req := newFront(t), requestFor(t, c.cn, c.sans)
			state, out := f.issuer(stepca.Config{}).Step(t.Context(), req, nil)
			leaf := verified(t, out, req.CSR)
			if state != nil || len(out.Chain) != 2 {
				t.Errorf("state %s, %d certificates", state, len(out.Chain))
			}
			got := policy.SANs{DNSNames: leaf.DNSNames, Emails: leaf.EmailAddresses}
			for _, ip := range leaf.IPAddresses {
				got.IPAddresses = append(got.IPAddresses, ip.String())
			}
			for _, uri := range leaf.URIs {
				got.URIs = append(got.URIs, uri.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" || leaf.Subject.CommonName != c.wantCN {
				t.Errorf("common name %q, alternative names (-want +got):\n%s", leaf.Subject.CommonName, diff)
			}
			if diff := cmp.Diff([]string{"/1.0/sign 201"}, f.Take()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The validity is the policy's unless the settings have a shorter one.
func TestValidity(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		months int
		most   time.Duration
		want   time.Time
	}{
		"a month": {1, 0, start.AddDate(0, 1, 0)},
		"years":   {36, 0, start.AddDate(0, 36, 0)},
		"capped":  {12, 24 * time.Hour, start.Add(24 * time.Hour)},
		"under":   {1, 9000 * time.Hour, start.AddDate(0, 1, 0)},
	} {
		f, req := newFront(t), request(t)
		req.Policy.X509.ValidityMonths = c.months
		_, out := f.issuer(stepca.Config{MaxValidity: c.most}).Step(t.Context(), req, nil)
		const days = 3 * 24 * time.Hour // months differ
		if off := verified(t, out, req.CSR).NotAfter.Sub(c.want); off.Abs() > days || c.most == 24*time.Hour && off.Abs() > time.Hour {
			t.Errorf("%s: %s off", name, off)
		}
	}
}

// A server that has only its own defaults refuses a month, and says what it
// allows; the settings can comply.
func TestServersLimit(t *testing.T) {
	t.Parallel()
	server := supervisetest.Run(t, local.Start, local.Config{})
	req := request(t)
	req.Issuer = issuerObject(server)
	for most, kind := range map[time.Duration]provider.OutcomeKind{0: provider.OutcomeFailed, 24 * time.Hour: provider.OutcomeIssued} {
		i, err := stepca.New(stepca.Config{URL: server.URL(), Roots: signertest.Pool(server.Root()), MaxValidity: most})
		if err != nil {
			t.Fatal(err)
		}
		_, out := i.Step(t.Context(), req, nil)
		if out.Kind != kind || kind == provider.OutcomeFailed && (out.Code != provider.CodeRejected || !strings.Contains(out.Message, "maximum certificate duration of 24h")) {
			t.Errorf("capped at %s: %s", most, out.Kind.String()+out.Detail+out.Message)
		}
	}
}

// A token names one CSR, and is good for no other and not twice: the server
// refuses it even if somebody gets hold of it.
func TestTokenIsBound(t *testing.T) {
	t.Parallel()
	f, req, other := newFront(t), request(t), request(t)
	i := f.issuer(stepca.Config{})
	f.Faults = []fault.Func{fault.Dropped}
	if _, out := i.Step(t.Context(), req, nil); out.Kind != retry {
		t.Fatalf("%+v", out)
	}
	taken := f.Bodies[0]
	post := func(body map[string]any) (int, string) {
		t.Helper()
		content, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		client := f.HTTP.Client()
		resp, err := client.Post(f.HTTP.URL+"/1.0/sign", asJSON, strings.NewReader(string(content)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	foreign := maps.Clone(taken)
	f.Set(func() { f.Faults = []fault.Func{fault.Dropped} })
	if _, out := i.Step(t.Context(), other, nil); out.Kind != retry {
		t.Fatalf("%+v", out)
	}
	foreign["csr"] = f.Bodies[1]["csr"] // of the same names, but another key
	if status, text := post(foreign); status != 403 || !strings.Contains(text, "fingerprint") {
		t.Errorf("another CSR: %d %s", status, text)
	}
	if status, text := post(taken); status != 401 { // used by the attempt before
		t.Errorf("the token again: %d %s", status, text)
	}
	if tokens := f.tokens(); tokens[0] == tokens[1] {
		t.Error("two attempts had one token")
	}
	if _, out := i.Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
		t.Errorf("%+v", out)
	}
}

// What a token says.
func TestToken(t *testing.T) {
	t.Parallel()
	f, req := newFront(t), request(t)
	id := make([]byte, 16)
	rand.Read(id)
	if _, out := f.issuer(stepca.Config{Rand: bytes.NewReader(id)}).Step(t.Context(), req, nil); out.Kind != provider.OutcomeIssued {
		t.Fatalf("%+v", out)
	}
	claims := jwt.MapClaims{}
	token, _, err := jwt.NewParser().ParseUnverified(f.tokens()[0], claims) // the server verified it
	if err != nil {
		t.Fatal(err)
	}
	var key struct{ Kid string }
	if err := json.Unmarshal([]byte(ca.Key()), &key); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"alg": "ES256", "typ": "JWT", "kid": key.Kid}, token.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	delete(claims, "cnf") // TestTokenIsBound
	want := jwt.MapClaims{
		"iss": local.Provisioner, "aud": f.HTTP.URL + "/1.0/sign",
		"sub": "example.com", "sans": []any{"example.com", "www.example.com"},
		"nbf": float64(start.Add(-time.Minute).Unix()), "exp": float64(start.Add(5 * time.Minute).Unix()),
		"jti": hex.EncodeToString(id),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if _, out := f.issuer(stepca.Config{Rand: iotest.ErrReader(errors.New("dry"))}).Step(t.Context(), req, nil); out.Kind != retry ||
		!strings.Contains(out.Detail, "drawing the id of a token: dry") {
		t.Errorf("without randomness: %+v", out)
	}
}

// A server refuses tokens of another provisioner, key or time.
func TestCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	for name, c := range map[string]struct {
		change func(*provider.Issuer)
		now    time.Time
	}{
		"unknown provisioner": {func(o *provider.Issuer) { o.AccountID = "somebody" }, start},
		"another key":         {func(o *provider.Issuer) { o.Password = otherKey(t, ca.Key()) }, start},
		"clock ahead":         {func(*provider.Issuer) {}, start.Add(time.Hour)},
		"clock behind":        {func(*provider.Issuer) {}, start.Add(-time.Hour)},
	} {
		req := request(t)
		c.change(&req.Issuer)
		_, out := f.issuer(stepca.Config{Now: func() time.Time { return c.now }}).Step(t.Context(), req, nil)
		if out.Kind != failed || out.Code != provider.CodeIssuerError || !strings.Contains(out.Message, "refuses /1.0/sign: ") {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	i := f.issuer(stepca.Config{})
	if err := i.CheckIssuer(issuerObject(ca)); err != nil {
		t.Error(err)
	}
	if err := i.CheckIssuer(provider.Issuer{Name: "ca"}); err == nil || !strings.Contains(err.Error(), "credentials.account_id: is required") {
		t.Errorf("without a provisioner's name: %v", err)
	}
	for want, o := range map[string]provider.Issuer{
		"needs credentials.account_id":       {Name: "ca", Password: ca.Key()},
		"needs credentials.pwd":              {Name: "ca", AccountID: "x"},
		"is not the private key":             {Name: "ca", AccountID: "x", Password: "password"},
		"it is encrypted (a JWE)":            {Name: "ca", AccountID: "x", Password: "a.b.c.d.e"},
		"it has no d: it is a public key":    {Name: "ca", AccountID: "x", Password: `{"kty":"EC","crv":"P-256"}`},
		"its kty and crv are not EC and":     {Name: "ca", AccountID: "x", Password: `{"kty":"RSA","d":"AAAA"}`},
		"its d is not base64url":             {Name: "ca", AccountID: "x", Password: `{"kty":"EC","crv":"P-256","d":"!"}`},
		"its d is not a number below":        {Name: "ca", AccountID: "x", Password: `{"kty":"EC","crv":"P-256","d":"AAAA"}`},
		"its x and y are of another key":     {Name: "ca", AccountID: "x", Password: strings.Replace(ca.Key(), `"x":"`, `"x":"A`, 1)},
		"it is encrypted (a JWE); `step cry": {Name: "ca", AccountID: "x", Password: `{"protected":"e30","ciphertext":"AAAA"}`},
	} {
		req := request(t)
		req.Issuer = o
		_, out := i.Step(t.Context(), req, nil)
		if out.Kind != failed || out.Code != provider.CodeIssuerError || !strings.Contains(out.Message, want) {
			t.Errorf("%+v, want %q", out, want)
		}
		if err := i.Revoke(t.Context(), o, ca.Root(), 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("revoke: %v, want %q", err, want)
		}
	}
	if calls := f.Take(); calls != nil {
		t.Errorf("the server was called: %q", calls)
	}
}

func TestCheckPolicy(t *testing.T) {
	t.Parallel()
	i := newFront(t).issuer(stepca.Config{})
	named := policy.Policy{X509: policy.X509Properties{Subject: "CN=example.com"}}
	withType := named
	withType.Issuer.CertificateType = "OV-SSL"
	for name, c := range map[string]struct {
		policy policy.Policy
		want   string // empty: accepted
	}{
		"names":   {policy.Policy{X509: policy.X509Properties{SANs: &policy.SANs{DNSNames: []string{"example.com"}, URIs: []string{"urn:x"}}}}, ""},
		"a CN":    {named, ""},
		"no name": {policy.Policy{X509: policy.X509Properties{Subject: "O=Example", SANs: &policy.SANs{}}}, "has neither a common name nor an alternative name"},
		"a UPN":   {policy.Policy{X509: policy.X509Properties{SANs: &policy.SANs{UPNs: []string{"ada@corp"}}}}, `policy.x509_props.sans.upns: has "ada@corp"`},
		"a CA":    {policy.Policy{X509: policy.X509Properties{Subject: "CN=example.com", CA: true}}, "policy.x509_props.basic_constraints.ca: is true"},
		"a cty":   {withType, `policy.issuer.cty: is "OV-SSL"`},
	} {
		err := i.CheckPolicy(issuerObject(ca), c.policy)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestCSRThatCannotBeSent(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	garbage, nameless := request(t), requestFor(t, "", policy.SANs{})
	garbage.CSR = []byte("?")
	for want, req := range map[string]provider.Request{"The CSR cannot be sent to step-ca: ": garbage, "neither a common name nor an alternative name": nameless} {
		_, out := f.issuer(stepca.Config{}).Step(t.Context(), req, nil)
		if out.Kind != failed || out.Code != provider.CodeIssuerError || !strings.Contains(out.Message, want) {
			t.Errorf("%+v, want %q", out, want)
		}
	}
	if calls := f.Take(); calls != nil {
		t.Errorf("the server was called: %q", calls)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	f, req := newFront(t), request(t)
	i := f.issuer(stepca.Config{})
	_, out := i.Step(t.Context(), req, nil)
	leaf := verified(t, out, req.CSR)
	if revoked, err := ca.Revoked(t.Context(), leaf); revoked || err != nil {
		t.Fatalf("revoked before: %t, %v", revoked, err)
	}
	for range 2 { // that it is revoked is not an error
		if err := i.Revoke(t.Context(), req.Issuer, leaf, 4); err != nil {
			t.Error(err)
		}
		if revoked, err := ca.Revoked(t.Context(), leaf); !revoked || err != nil {
			t.Errorf("revoked: %t, %v", revoked, err)
		}
	}
	if diff := cmp.Diff([]string{"/1.0/sign 201", "/1.0/revoke 200", "/1.0/revoke 400"}, f.Take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		f           fault.Func
		want        string
		unsupported bool
	}{
		{fault.Reply(501, asJSON, `{"status":501,"message":"no persistence layer configured"}`), "at 127.0.0.1", true},
		{fault.Reply(500, asJSON, `{"status":500,"message":"broken"}`), "answers 500 to /1.0/revoke: broken", false},
		{fault.Reply(403, asJSON, `{"status":403,"message":"no"}`), "refuses /1.0/revoke: no", false},
		{fault.Lost, "calling 127.0.0.1", false},
	} {
		f.Set(func() { f.Faults = []fault.Func{c.f} })
		err := i.Revoke(t.Context(), req.Issuer, leaf, 4)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, errors.ErrUnsupported) != c.unsupported {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	dry := f.issuer(stepca.Config{Rand: iotest.ErrReader(errors.New("dry"))})
	if err := dry.Revoke(t.Context(), req.Issuer, leaf, 4); err == nil || !strings.Contains(err.Error(), "dry") {
		t.Errorf("without randomness: %v", err)
	}
}
