package stepca_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/issuers/fault"
	"github.com/certwright/certwright/handler/internal/issuers/stepca"
	"github.com/certwright/certwright/handler/internal/vault"
	local "github.com/certwright/certwright/scripts/localcloud/stepca"
)

// start is the time of the tests' issuers; the server's clock is the real one.
var start = time.Now().UTC().Truncate(time.Second)

// front stands before the real server, records what passes and has faults.
type front struct {
	t    testing.TB
	http *httptest.Server
	next http.Handler

	mu     sync.Mutex
	calls  []string         // "path status" of the server's answers
	bodies []map[string]any // of the requests, faults included
	faults []fault.Func     // one for each request to come
}

func newFront(t testing.TB) *front {
	t.Helper()
	target, err := url.Parse(ca.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(ca.Root())}}
	t.Cleanup(transport.CloseIdleConnections)
	f := &front{t: t}
	f.next = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		ModifyResponse: f.record,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	f.http = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.http.EnableHTTP2 = true
	f.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.http.StartTLS()
	t.Cleanup(f.http.Close)
	return f
}

func (f *front) record(r *http.Response) error {
	f.set(func() { f.calls = append(f.calls, fmt.Sprintf("%s %d", r.Request.URL.Path, r.StatusCode)) })
	return nil
}

// serve lets the next fault have a request.
func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Errorf("reading a request: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(content))
	var body map[string]any
	if err := json.Unmarshal(content, &body); err != nil && r.Method != http.MethodGet {
		f.t.Errorf("%s: the body is no JSON: %v", r.URL, err)
	}
	var answer fault.Func
	f.set(func() {
		f.bodies = append(f.bodies, body)
		answer = fault.Pop(&f.faults)
	})
	answer(w, r, f.next)
}

// set changes the front.
func (f *front) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// take returns the server's answers since the last call of it.
func (f *front) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// made is the number of certificates that were signed since the last take.
func (f *front) made() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, call := range f.calls {
		if call == "/1.0/sign 201" {
			n++
		}
	}
	return n
}

// tokens are the tokens that were sent.
func (f *front) tokens() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, body := range f.bodies {
		token, _ := body["ott"].(string)
		list = append(list, token)
	}
	return list
}

// issuer makes an Issuer that calls through the front, at start unless cfg has a
// clock.
func (f *front) issuer(cfg stepca.Config) *stepca.Issuer {
	f.t.Helper()
	cfg.URL = f.http.URL + cfg.URL
	cfg.Roots = pool(f.http.Certificate())
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return start }
	}
	i, err := stepca.New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	return i
}

// request is an operation for example.com.
func request(t testing.TB) vault.Request {
	t.Helper()
	return requestFor(t, "example.com", vault.SANs{DNSNames: []string{"example.com", "www.example.com"}})
}

// requestFor is an operation for names. Its private key must not be asked for.
func requestFor(t testing.TB, cn string, sans vault.SANs) vault.Request {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: cn}, DNSNames: sans.DNSNames, EmailAddresses: sans.Emails}
	for _, text := range sans.IPAddresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(text))
	}
	for _, text := range sans.URIs {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return vault.Request{
		ID: "0123456789abcdef0123456789abcdef", Certificate: "web", CSR: csr, Created: start.Add(-time.Minute), Attempts: 1,
		Policy: vault.Policy{X509: vault.X509Properties{SANs: &sans, ValidityMonths: 12}},
		Issuer: issuerObject(ca),
		Key: func(context.Context) (crypto.Signer, error) {
			t.Error("the private key was opened")
			return nil, io.EOF
		},
	}
}

// issuerObject has the credentials of a server's provisioner.
func issuerObject(server *local.Server) vault.IssuerObject {
	return vault.IssuerObject{
		Name: "ca", Provider: "Corp", AccountID: local.Provisioner, Password: server.Key(), HasAccount: true, Enabled: true,
	}
}

// secret is what of the provisioner's key nobody may see.
func secret(t testing.TB) string {
	t.Helper()
	var key struct{ D string }
	if err := json.Unmarshal([]byte(ca.Key()), &key); err != nil || key.D == "" {
		t.Fatalf("the key has no d: %v", err)
	}
	return key.D
}

// verified parses an issued chain, which must be of the CSR's key and lead to
// the server's root.
func verified(t testing.TB, out vault.Outcome, csrDER []byte) *x509.Certificate {
	t.Helper()
	if out.Kind != vault.OutcomeIssued {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	leaf, err := x509.ParseCertificate(out.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(leaf.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo) {
		t.Error("the certificate has another key than the CSR")
	}
	intermediates := x509.NewCertPool()
	for _, der := range out.Chain[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool(ca.Root()), Intermediates: intermediates}); err != nil {
		t.Error(err)
	}
	return leaf
}

func encode(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func pool(roots ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, root := range roots {
		p.AddCert(root)
	}
	return p
}

// otherKey is a new key under the name of another: a JWK in JSON.
func otherKey(t testing.TB, text string) string {
	t.Helper()
	var key map[string]string
	if err := json.Unmarshal([]byte(text), &key); err != nil {
		t.Fatal(err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d, err := private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	key["d"] = base64.RawURLEncoding.EncodeToString(d)
	delete(key, "x")
	delete(key, "y")
	changed, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(changed)
}
