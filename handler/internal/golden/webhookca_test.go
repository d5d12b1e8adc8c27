package golden_test

// A CA behind the webhook contract, and a CA of the tests' own.

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
)

func authority(name string) pkix.Name { return pkix.Name{CommonName: name} }

// signer is a CA that certifies what it is given.
type signer struct {
	t    *testing.T
	key  crypto.Signer
	root *x509.Certificate
}

func newSigner(t *testing.T, now time.Time) *signer {
	t.Helper()
	key, err := policy.GenerateKey(policy.KeyProperties{Type: policy.KeyEC, Curve: "P-256"})
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: authority("Elsewhere"), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(5, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	s := &signer{t: t, key: key}
	s.root = s.sign(template, template, key.Public())
	return s
}

func (s *signer) sign(template, parent *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, s.key)
	if err != nil {
		s.t.Error(err)
		return nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Error(err)
	}
	return c
}

// certify makes a certificate for a public key.
func (s *signer) certify(public crypto.PublicKey, name string, now time.Time, life time.Duration) *x509.Certificate {
	return s.sign(&x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: authority(name), DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life), KeyUsage: x509.KeyUsageDigitalSignature,
	}, s.root, public)
}

// chainFor issues a certificate for a CSR in PEM.
func (s *signer) chainFor(csrPEM string, c *clock) []string {
	block, _ := pem.Decode([]byte(csrPEM))
	if block == nil {
		s.t.Errorf("%q is not a CSR in PEM", csrPEM)
		return nil
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		s.t.Error(err)
		return nil
	}
	return certificatePEM(s.certify(csr.PublicKey, csr.Subject.CommonName, c.Now(), 300*day), s.root)
}

func certificatePEM(cs ...*x509.Certificate) (blocks []string) {
	for _, c := range cs {
		blocks = append(blocks, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
	}
	return blocks
}

// webhookCA keeps the contract of webhook CAs. It lets requests wait until it is
// told to issue.
type webhookCA struct {
	*signer
	clock *clock

	mu      sync.Mutex
	issue   bool
	keeps   bool   // it fails to take requests back
	onPost  func() // runs once, before the next request is answered
	onTake  func() // ... before the next that is to be taken back
	orders  int
	csrs    map[string]string // PEM, by request id
	deleted map[string]bool
}

func newWebhookCA(t *testing.T, c *clock) *webhookCA {
	return &webhookCA{signer: newSigner(t, c.Now()), clock: c, csrs: make(map[string]string), deleted: make(map[string]bool)}
}

func (a *webhookCA) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *webhookCA) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Signature") == "" {
		a.t.Errorf("%s %s is not signed", r.Method, r.URL)
	}
	id := strings.TrimPrefix(r.URL.Path, "/v1/requests/")
	var first func()
	switch r.Method {
	case http.MethodPost:
		var body struct{ RequestID, CSR string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			a.t.Error(err)
		}
		a.set(func() { first, a.onPost = a.onPost, nil })
		if first != nil {
			first()
		}
		a.set(func() { a.csrs[body.RequestID] = body.CSR; a.orders++ })
		a.show(w, body.RequestID)
	case http.MethodDelete:
		a.set(func() { first, a.onTake = a.onTake, nil })
		if first != nil {
			first()
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.keeps {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		a.deleted[id] = true
		w.WriteHeader(http.StatusNoContent)
	default:
		a.show(w, id)
	}
}

// show answers with a request, signing it if nothing keeps it from that.
func (a *webhookCA) show(w http.ResponseWriter, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.csrs[id] == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	answer := map[string]any{"status": "pending", "externalId": fmt.Sprint("order-", a.orders), "detail": "Somebody must approve."}
	if a.issue {
		answer["status"], answer["chain"] = "issued", a.chainFor(a.csrs[id], a.clock)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}
