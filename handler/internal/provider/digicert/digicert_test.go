package digicert_test

// Orders and certificates where all is well.

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/digicert"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg  digicert.Config
		want string
	}{
		{digicert.Config{}, ""},
		{digicert.Config{URL: "https://certcentral.digicert.eu/services/v2/"}, ""},
		{digicert.Config{Products: map[string]string{"EV-SSL": "ssl_ev_plus"}}, ""},
		{digicert.Config{URL: "http://www.digicert.com"}, "is not of the form"},
		{digicert.Config{URL: "https://user@www.digicert.com"}, "is not of the form"},
		{digicert.Config{URL: "https://www.digicert.com/?a=b"}, "is not of the form"},
		{digicert.Config{URL: "https:///services"}, "is not of the form"},
		{digicert.Config{Products: map[string]string{"DV-SSL": "ssl_dv_geotrust"}}, `type "DV-SSL"`},
		{digicert.Config{Products: map[string]string{"OV-SSL": "../ssl"}}, `product "../ssl"`},
		{digicert.Config{ListingDelay: -1}, "listing delay"},
	} {
		_, err := digicert.New(c.cfg)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("New(%+v): %v, want %q", c.cfg, err, c.want)
		}
	}
}

// An order is what the policy asks for, and everything is asked for by its name.
func TestOrder(t *testing.T) {
	t.Parallel()
	no := false
	for name, c := range map[string]struct {
		cfg     digicert.Config
		change  func(*provider.Request)
		product string
		want    string // what differs from the order of a policy that leaves everything open
	}{
		"as it is":         {product: "ssl_basic", want: `{}`},
		"EV":               {change: func(r *provider.Request) { r.Policy.Issuer.CertificateType = "ev-ssl" }, product: "ssl_ev_basic", want: `{}`},
		"another product":  {cfg: digicert.Config{Products: map[string]string{"OV-SSL": "ssl_plus"}}, product: "ssl_plus", want: `{}`},
		"with approval":    {cfg: digicert.Config{Approval: true}, product: "ssl_basic", want: `{"skip_approval":false}`},
		"without CT":       {change: func(r *provider.Request) { r.Policy.Issuer.Transparency = &no }, product: "ssl_basic", want: `{"disable_ct":1}`},
		"for three months": {change: func(r *provider.Request) { r.Policy.X509.ValidityMonths = 3 }, product: "ssl_basic", want: `{"certificate":{"cert_validity":{"days":92}}}`},
		"for six months":   {change: func(r *provider.Request) { r.Policy.X509.ValidityMonths = 6 }, product: "ssl_basic", want: `{"certificate":{"cert_validity":{"days":184}}}`},
		"for two years":    {change: func(r *provider.Request) { r.Policy.X509.ValidityMonths = 24 }, product: "ssl_basic", want: `{}`},
		"one name":         {change: func(r *provider.Request) { r.CSR = newRequest(t, "example.com").CSR }, product: "ssl_basic", want: `{"certificate":{"dns_names":[]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := newCertCentral(t)
			o := newOperation(t, ca)
			o.issuer = ca.issuer(c.cfg)
			if c.change != nil {
				c.change(&o.req)
			}
			o.tick()
			calls := ca.take()
			if want := []string{"GET /order/certificate 200", "POST /order/certificate/" + c.product + " 201"}; !cmp.Equal(want, calls) {
				t.Fatalf("calls %q, want %q", calls, want)
			}
			want := map[string]any{
				"certificate": map[string]any{
					"common_name": "example.com", "dns_names": []any{"www.example.com"}, "signature_hash": "sha256", "server_platform": map[string]any{"id": 2.0},
					"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: o.req.CSR})),
				},
				"organization":   map[string]any{"id": float64(orgID)},
				"order_validity": map[string]any{"years": 1.0},
				"payment_method": "balance", "skip_approval": true, "disable_renewal_notifications": true, "auto_renew": 0.0,
				"comments": "Certwright request " + requestID,
			}
			merge(t, want, c.want)
			var got map[string]any
			if err := json.Unmarshal([]byte(ca.bodies[0]), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// merge puts the members of a JSON object into another.
func merge(t testing.TB, into map[string]any, text string) {
	t.Helper()
	var changes map[string]any
	if err := json.Unmarshal([]byte(text), &changes); err != nil {
		t.Fatal(err)
	}
	var walk func(into, from map[string]any)
	walk = func(into, from map[string]any) {
		for name, value := range from {
			if inner, ok := value.(map[string]any); ok && into[name] != nil {
				walk(into[name].(map[string]any), inner)
				continue
			}
			into[name] = value
		}
	}
	walk(into, changes)
}

// From create to certificate: the intention is saved before anything is sent, each
// state of the order is looked at, and the chain is taken when there is one.
func TestIssue(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	ca.issuance = time.Minute
	o := newOperation(t, ca)
	o.req.Attempts = 1
	state, out := o.issuer.Step(t.Context(), o.req, nil)
	if out.Kind != pending || !out.Until.IsZero() || len(ca.take()) != 0 || !strings.Contains(string(state), `"intent"`) {
		t.Fatalf("the first step: %+v, state %s", out, state)
	}
	state, out = o.issuer.Step(t.Context(), o.req, state)
	order := ca.only()
	if want := fmt.Sprintf(`{"version":1,"order":%d,"placed":"2026-03-01T12:00:00Z"}`, order.id); string(state) != want || out.Kind != pending || out.Until != start.Add(5*time.Second) {
		t.Fatalf("the second step: %+v, state %s, want %s", out, state, want)
	}
	ca.take()
	o.req.Attempts, o.state = 2, state
	if out := o.end(); out.Kind != issued {
		t.Fatalf("%+v", out)
	}
	calls := ca.take()
	path := fmt.Sprint("/order/certificate/", order.id)
	if first, last := calls[0], calls[len(calls)-1]; first != "GET "+path+" 200" || last != fmt.Sprintf("GET /certificate/%d/download/format/pem_all 200", certificateID(order)) {
		t.Errorf("calls %q", calls)
	}
	if n := len(calls); n > 15 {
		t.Errorf("%d calls in a minute", n)
	}
}

// What is issued at once is there after the shortest pause.
func TestIssueAtOnce(t *testing.T) {
	t.Parallel()
	o := newOperation(t, newCertCentral(t))
	o.tick()
	if out := o.tick(); out.Kind != issued {
		t.Errorf("%+v", out)
	}
	if now := o.ca.clock.Now(); now != start.Add(5*time.Second) {
		t.Errorf("issued at %s", now)
	}
}

// The base of the API is the configured one.
func TestEurope(t *testing.T) {
	t.Parallel()
	ca := newCertCentral(t)
	ca.base = "/eu/services/v2"
	if out := newOperation(t, ca).end(); out.Kind != issued {
		t.Errorf("%+v", out)
	}
}

// What makes an order impossible is said before anything is sent.
func TestImpossible(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*provider.Request)
		want   string
	}{
		"no API key":      {func(r *provider.Request) { r.Issuer.Password = "" }, "no credentials.pwd"},
		"no organization": {func(r *provider.Request) { r.Issuer.Org.ID = "" }, "organization id"},
		"no name":         {func(r *provider.Request) { r.CSR = newRequest(t, "").CSR }, "neither a common name nor a DNS name"},
		"no CSR":          {func(r *provider.Request) { r.CSR = []byte("x") }, "reading the CSR"},
	} {
		o := newOperation(t, newCertCentral(t))
		c.change(&o.req)
		out := o.tick()
		if calls := o.ca.take(); out.Kind != failed || out.Code != provider.CodeIssuerError || !strings.Contains(out.Message, c.want) || len(calls) > 0 {
			t.Errorf("%s: %+v, calls %q", name, out, calls)
		}
	}
}

// A state of another release is left alone.
func TestStateOfAnotherRelease(t *testing.T) {
	t.Parallel()
	for _, saved := range []string{`{"version":2,"order":1,"more":true}`, `{"version":0}`, `[]`} {
		o := newOperation(t, newCertCentral(t))
		state, out := o.issuer.Step(t.Context(), o.req, json.RawMessage(saved))
		if out.Kind != retry || string(state) != saved {
			t.Errorf("step: %+v, state %s", out, state)
		}
		state, ok, err := o.issuer.Cancel(t.Context(), o.req, json.RawMessage(saved))
		if ok || err == nil || string(state) != saved {
			t.Errorf("cancel: %t, %v, state %s", ok, err, state)
		}
		if err := o.issuer.Release(t.Context(), o.req, json.RawMessage(saved)); err == nil {
			t.Error("release: no error")
		}
		if calls := o.ca.take(); len(calls) > 0 {
			t.Errorf("calls %q", calls)
		}
	}
}
