package stepca_test

// A front of step-ca that can misbehave, and requests to it.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/signertest"
	"github.com/certwright/certwright/handler/internal/provider/stepca"
	local "github.com/certwright/certwright/scripts/localcloud/stepca"
)

// start is the time of the tests' issuers; the server's clock is the real one.
var start = time.Now().UTC().Truncate(time.Second)

// front stands before the real server.
type front struct {
	signertest.Front
	t testing.TB
}

func newFront(t testing.TB) *front {
	t.Helper()
	target, err := url.Parse(ca.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: signertest.Pool(ca.Root())}}
	t.Cleanup(transport.CloseIdleConnections)
	f := &front{t: t}
	f.Serve(t, &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		ModifyResponse: f.record,
		ErrorLog:       log.New(io.Discard, "", 0),
	})
	return f
}

func (f *front) record(r *http.Response) error {
	f.Set(func() { f.Calls = append(f.Calls, fmt.Sprintf("%s %d", r.Request.URL.Path, r.StatusCode)) })
	return nil
}

// made is the number of certificates that were signed since the last take.
func (f *front) made() int {
	f.Lock()
	defer f.Unlock()
	n := 0
	for _, call := range f.Calls {
		if call == "/1.0/sign 201" {
			n++
		}
	}
	return n
}

// tokens are the tokens that were sent.
func (f *front) tokens() []string {
	f.Lock()
	defer f.Unlock()
	var list []string
	for _, body := range f.Bodies {
		token, _ := body["ott"].(string)
		list = append(list, token)
	}
	return list
}

// issuer makes a Provider that calls through the front, at start unless cfg has a
// clock.
func (f *front) issuer(cfg stepca.Config) *stepca.Provider {
	f.t.Helper()
	cfg.URL = f.HTTP.URL + cfg.URL
	cfg.Roots = signertest.Pool(f.HTTP.Certificate())
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
func request(t testing.TB) provider.Request {
	t.Helper()
	return requestFor(t, "example.com", policy.SANs{DNSNames: []string{"example.com", "www.example.com"}})
}

// requestFor is an operation for names.
func requestFor(t testing.TB, cn string, sans policy.SANs) provider.Request {
	t.Helper()
	return signertest.Request(t, issuerObject(ca), start, cn, sans)
}

// issuerObject has the credentials of a server's provisioner.
func issuerObject(server *local.Server) provider.Issuer {
	return provider.Issuer{
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
func verified(t testing.TB, out provider.Outcome, csrDER []byte) *x509.Certificate {
	t.Helper()
	if out.Kind != provider.OutcomeIssued {
		t.Fatalf("%s: %s", out.Kind, out.Detail+out.Message)
	}
	chain := signertest.Parse(t, out.Chain)
	leaf := chain[0]
	if !signertest.SameKey(t, leaf, csrDER) {
		t.Error("the certificate has another key than the CSR")
	}
	intermediates := signertest.Pool(chain[1:]...)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: signertest.Pool(ca.Root()), Intermediates: intermediates}); err != nil {
		t.Error(err)
	}
	return leaf
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
