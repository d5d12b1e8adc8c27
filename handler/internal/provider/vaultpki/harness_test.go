package vaultpki_test

// A fake of Vault's PKI engine, and requests to it.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/signertest"
	"github.com/certwright/certwright/handler/internal/provider/vaultpki"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	roleID   = "db02de05-fa39-4855-059b-67221c5c2f63"
	secretID = "6a174c20-f6de-a53c-74d2-6018fcceff64"
)

// server is a Vault with one PKI secrets engine and one AppRole, as its
// documentation describes them, and faults before it.
type server struct {
	signertest.Front // its mutex guards what follows the clock

	t     testing.TB
	key   *ecdsa.PrivateKey
	chain []*x509.Certificate // the issuing CA and its root
	begin func() time.Time    // what the clock says but for elapsed

	namespace   string
	roles       map[string]role
	lease       int                  // of tokens, in seconds
	tokens      map[string]time.Time // their ends; zero: none
	elapsed     time.Duration        // since begin
	logins      int
	stored      map[string]*x509.Certificate // by serial number
	issued      []*x509.Certificate
	revoked     []string
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
	s.Serve(t, http.HandlerFunc(s.answer))
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

// issuer makes a Provider for the server, at its time unless cfg has a clock, and
// for its role web unless cfg has one.
func (s *server) issuer(cfg vaultpki.Config) *vaultpki.Provider {
	s.t.Helper()
	cfg.URL = s.HTTP.URL + cfg.URL
	cfg.Roots = signertest.Pool(s.HTTP.Certificate())
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

func (s *server) now() time.Time {
	s.Lock()
	defer s.Unlock()
	return s.time()
}

// time is now, for whoever holds the mutex.
func (s *server) time() time.Time { return s.begin().Add(s.elapsed) }

// made is the number of certificates that were signed.
func (s *server) made() int {
	s.Lock()
	defer s.Unlock()
	return len(s.issued)
}

// last is the certificate that was signed last.
func (s *server) last() *x509.Certificate {
	s.Lock()
	defer s.Unlock()
	return s.issued[len(s.issued)-1]
}

// request is an operation for example.com. Its private key must not be asked
// for.
func request(t testing.TB) provider.Request {
	t.Helper()
	return requestFor(t, policy.SANs{DNSNames: []string{"example.com", "www.example.com"}})
}

// requestFor is an operation with alternative names.
func requestFor(t testing.TB, sans policy.SANs) provider.Request {
	t.Helper()
	req := signertest.Request(t, issuerObject, start, "example.com", sans)
	req.Policy.X509.Subject = "CN=example.com"
	return req
}

var issuerObject = provider.Issuer{
	Name: "ca", Provider: "Corp", AccountID: roleID, Password: secretID, HasAccount: true, Enabled: true,
}

// sameKey reports whether a chain's leaf has the key of a CSR.
func sameKey(t testing.TB, chain [][]byte, csrDER []byte) bool {
	t.Helper()
	return signertest.SameKey(t, signertest.Parse(t, chain)[0], csrDER)
}

// linked reports whether every certificate of a chain is signed by the next.
func linked(t testing.TB, chain [][]byte) bool {
	t.Helper()
	certificates := signertest.Parse(t, chain)
	for n := range certificates[1:] {
		if certificates[n].CheckSignatureFrom(certificates[n+1]) != nil {
			return false
		}
	}
	return true
}

// serial draws a serial number.
func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}
