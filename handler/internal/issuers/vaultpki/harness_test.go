package vaultpki_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/issuers/fault"
	"github.com/certwright/certwright/handler/internal/issuers/vaultpki"
	"github.com/certwright/certwright/handler/internal/vault"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	roleID    = "db02de05-fa39-4855-059b-67221c5c2f63"
	secretID  = "6a174c20-f6de-a53c-74d2-6018fcceff64"
	requestID = "0123456789abcdef0123456789abcdef"
)

// server is a Vault with one PKI secrets engine and one AppRole, as its
// documentation describes them, and faults before it.
type server struct {
	t     testing.TB
	http  *httptest.Server
	key   *ecdsa.PrivateKey
	chain []*x509.Certificate // the issuing CA and its root
	begin func() time.Time    // what the clock says but for elapsed

	mu        sync.Mutex
	namespace string
	roles     map[string]role
	lease     int                  // of tokens, in seconds
	tokens    map[string]time.Time // their ends; zero: none
	elapsed   time.Duration        // since begin
	logins    int
	stored    map[string]*x509.Certificate // by serial number
	issued    []*x509.Certificate
	revoked   []string
	calls     []string // "path status"
	bodies    []map[string]any
	faults    []fault.Func // one for each request to come

	unpublished bool // the mount has no chain to read
}

// role is a role of the engine: what it does with names, and what it allows.
type role struct {
	ignoreCSR bool   // names are taken from the request (use_csr_… false)
	domain    string // the only one that is allowed, with what is below it
	maxTTL    time.Duration
	rootOnly  bool // issued by the root, whose answer has no ca_chain
	bare      bool // the answer has no CA's certificate at all
	noStore   bool
}

// newServer serves, by a clock that stands still.
func newServer(t testing.TB) *server {
	t.Helper()
	s := newEngine(t, func() time.Time { return start })
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.EnableHTTP2 = true
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.http.StartTLS()
	t.Cleanup(s.http.Close)
	return s
}

// newEngine is a server that is served by somebody else.
func newEngine(t testing.TB, begin func() time.Time) *server {
	t.Helper()
	s := &server{
		t:      t,
		begin:  begin,
		roles:  map[string]role{"web": {}, "named": {ignoreCSR: true}},
		lease:  3600,
		tokens: make(map[string]time.Time),
		stored: make(map[string]*x509.Certificate),
	}
	root, rootKey := s.authority("Root CA", nil, nil)
	issuing, key := s.authority("Issuing CA", root, rootKey)
	s.chain, s.key = []*x509.Certificate{issuing, root}, key
	return s
}

// authority makes a CA, a root without a parent.
func (s *server) authority(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: s.begin().Add(-time.Hour), NotAfter: s.begin().AddDate(10, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	return c, key
}

// issuer makes an Issuer for the server, at its time unless cfg has a clock, and
// for its role web unless cfg has one.
func (s *server) issuer(cfg vaultpki.Config) *vaultpki.Issuer {
	s.t.Helper()
	cfg.URL = s.http.URL + cfg.URL
	cfg.Roots = x509.NewCertPool()
	cfg.Roots.AddCert(s.http.Certificate())
	if cfg.Role == "" && !cfg.Verbatim && cfg.Roles == nil {
		cfg.Role = "web"
	}
	if cfg.Now == nil {
		cfg.Now = s.now
	}
	i, err := vaultpki.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return i
}

// set changes the server.
func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.time()
}

// time is now, for whoever holds the mutex.
func (s *server) time() time.Time { return s.begin().Add(s.elapsed) }

// take returns the answered requests since the last call of it.
func (s *server) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// made is the number of certificates that were signed.
func (s *server) made() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.issued)
}

// last is the certificate that was signed last.
func (s *server) last() *x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued[len(s.issued)-1]
}

// serve lets the next fault have a request.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("reading a request: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var f fault.Func
	s.set(func() { f = fault.Pop(&s.faults) })
	f(w, r, http.HandlerFunc(s.answer))
}

// request is an operation for example.com. Its private key must not be asked
// for.
func request(t testing.TB) vault.Request {
	t.Helper()
	return requestFor(t, vault.SANs{DNSNames: []string{"example.com", "www.example.com"}})
}

// requestFor is an operation with alternative names. UPNs, for which crypto/x509
// has no field, are in its policy only.
func requestFor(t testing.TB, sans vault.SANs) vault.Request {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "example.com"},
		DNSNames: sans.DNSNames, EmailAddresses: sans.Emails,
	}
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
		ID: requestID, Certificate: "web", CSR: csr, Created: start.Add(-time.Minute), Attempts: 1,
		Policy: vault.Policy{X509: vault.X509Properties{Subject: "CN=example.com", SANs: &sans, ValidityMonths: 12}},
		Issuer: issuerObject,
		Key: func(context.Context) (crypto.Signer, error) {
			t.Error("the private key was opened")
			return nil, io.EOF
		},
	}
}

var issuerObject = vault.IssuerObject{
	Name: "ca", Provider: "Corp", AccountID: roleID, Password: secretID, HasAccount: true, Enabled: true,
}

// sameKey reports whether a chain's leaf has the key of a CSR.
func sameKey(t testing.TB, chain [][]byte, csrDER []byte) bool {
	t.Helper()
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Equal(leaf.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo)
}

// linked reports whether every certificate of a chain is signed by the next.
func linked(t testing.TB, chain [][]byte) bool {
	t.Helper()
	var certificates []*x509.Certificate
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, c)
	}
	for n := range certificates[1:] {
		if certificates[n].CheckSignatureFrom(certificates[n+1]) != nil {
			return false
		}
	}
	return true
}

func encode(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// serial draws a serial number.
func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}
