package webhook_test

// An endpoint with a CA, as docs/webhook.md describes it.

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/webhook"
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	quiet = log.New(io.Discard, "", 0)
)

const (
	keyID  = `team "A"\1`
	secret = "qyH6zC.9~x_0kd8U1k+s/7Jw=="
	base   = "/certwright"
)

// exchange is one request to the authority with its answer.
type exchange struct {
	method, path string // path without base
	header       http.Header
	body         []byte
	status       int
	answerType   string
	answer       []byte
}

// authority is a CA that keeps the contract, and faults before it.
type authority struct {
	t      testing.TB
	now    func() time.Time
	server *httptest.Server
	key    *ecdsa.PrivateKey
	root   *x509.Certificate

	mu        sync.Mutex
	bearer    string // asked for instead of a signature
	pending   bool   // requests wait
	failure   map[string]any
	requests  map[string]*issuance // by requestId
	issued    int                  // certificates signed
	revoked   []map[string]any
	exchanges []exchange
	faults    []fault.Func // one for each request to come
}

// issuance is a request at the authority.
type issuance struct {
	csr       string
	cancelled bool
	chain     []string
}

// newAuthority makes an authority with a server, whose time is start.
func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := newCA(t, func() time.Time { return start })
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	a.server.EnableHTTP2 = true
	a.server.Config.ErrorLog = quiet
	a.server.StartTLS()
	t.Cleanup(a.server.Close)
	return a
}

// newCA makes an authority that others serve.
func newCA(t testing.TB, now func() time.Time) *authority {
	t.Helper()
	a := &authority{t: t, now: now, requests: make(map[string]*issuance)}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Webhook CA"},
		NotBefore: now().Add(-time.Hour), NotAfter: now().AddDate(10, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// issuer makes a Provider for the authority, at start unless cfg has a clock. What
// cfg has as URL is appended to the authority's.
func (a *authority) issuer(cfg webhook.Config) *webhook.Provider {
	a.t.Helper()
	cfg.URL = a.server.URL + base + cfg.URL
	cfg.Roots = x509.NewCertPool()
	cfg.Roots.AddCert(a.server.Certificate())
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return start }
	}
	i, err := webhook.New(cfg)
	if err != nil {
		a.t.Fatal(err)
	}
	return i
}

// serve records the exchange and lets the next fault have it.
func (a *authority) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Errorf("reading a request: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var f fault.Func
	a.set(func() { f = fault.Pop(&a.faults) })
	f(w, r, http.HandlerFunc(a.answer))
}

// answer keeps the contract.
func (a *authority) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Errorf("reading a request: %v", err)
	}
	rec := httptest.NewRecorder()
	path := strings.TrimPrefix(r.URL.Path, base)
	a.mu.Lock()
	defer a.mu.Unlock()
	if wrong := a.authenticated(r, body); wrong != "" {
		a.t.Errorf("%s %s: %s", r.Method, r.URL, wrong)
		problem(rec, http.StatusUnauthorized, wrong)
	} else {
		a.route(rec, r.Method, path, r.Header, body)
	}
	a.exchanges = append(a.exchanges, exchange{r.Method, path, r.Header, body, rec.Code, rec.Header().Get("Content-Type"), rec.Body.Bytes()})
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

func (a *authority) route(w http.ResponseWriter, method, path string, h http.Header, body []byte) {
	id, one := strings.CutPrefix(path, "/v1/requests/")
	request := a.requests[id]
	switch {
	case method == http.MethodPost && path == "/v1/requests":
		a.post(w, h, body)
	case method == http.MethodPost && path == "/v1/revocations":
		var r map[string]any
		if err := json.Unmarshal(body, &r); err != nil {
			problem(w, http.StatusBadRequest, err.Error())
			return
		}
		a.revoked = append(a.revoked, r)
		w.WriteHeader(http.StatusNoContent)
	case !one:
		problem(w, http.StatusNotFound, "no such resource")
	case request == nil:
		problem(w, http.StatusNotFound, "unknown request")
	case method == http.MethodGet:
		a.show(w, http.StatusOK, id)
	case method == http.MethodDelete && request.chain != nil:
		problem(w, http.StatusConflict, "issued already")
	case method == http.MethodDelete:
		request.cancelled = true
		w.WriteHeader(http.StatusNoContent)
	default:
		problem(w, http.StatusMethodNotAllowed, method)
	}
}

func (a *authority) post(w http.ResponseWriter, h http.Header, body []byte) {
	var r struct{ RequestID, CSR string }
	if err := json.Unmarshal(body, &r); err != nil || r.RequestID != h.Get("Idempotency-Key") {
		problem(w, http.StatusBadRequest, fmt.Sprint("malformed request: ", err))
		return
	}
	if known := a.requests[r.RequestID]; known == nil {
		a.requests[r.RequestID] = &issuance{csr: r.CSR}
	} else if known.csr != r.CSR {
		problem(w, http.StatusUnprocessableEntity, "another request has this id")
		return
	}
	a.show(w, http.StatusCreated, r.RequestID)
}

// show answers with a request, signing it if nothing keeps it from that.
func (a *authority) show(w http.ResponseWriter, status int, id string) {
	r := a.requests[id]
	answer := map[string]any{"externalId": fmt.Sprint("order-", len(a.requests))}
	switch {
	case r.chain == nil && a.failure != nil:
		answer["status"], answer["error"] = "failed", a.failure
	case r.chain == nil && r.cancelled:
		answer["status"], answer["error"] = "failed", map[string]any{"title": "Cancelled"}
	case r.chain == nil && a.pending:
		answer["status"], answer["detail"] = "pending", "Ada must approve."
		w.Header().Set("Retry-After", "60")
		status = http.StatusAccepted
	default:
		if r.chain == nil {
			r.chain = a.sign(r.csr)
		}
		answer["status"], answer["chain"] = "issued", r.chain
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(answer)
}

func (a *authority) sign(csrPEM string) []string {
	block, _ := pem.Decode([]byte(csrPEM))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		a.t.Errorf("CSR: %v", err)
		return nil
	}
	template, err := policy.Template(csr, policy.X509Properties{ValidityMonths: 12}, a.now(), a.root.SubjectKeyId, rand.Reader)
	if err != nil {
		a.t.Error(err)
		return nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, csr.PublicKey, a.key)
	if err != nil {
		a.t.Error(err)
		return nil
	}
	a.issued++
	return []string{encode(der), encode(a.root.Raw)}
}

func encode(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func problem(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"title": title})
}

var signatureInput = regexp.MustCompile(`^certwright=(\("@method" "@authority" "@path" "content-digest"\);created=(\d+);keyid="team \\"A\\"\\\\1";alg="hmac-sha256")$`)

// authenticated says what is wrong with a request's credentials. It is written
// from the RFCs, not from what it checks.
func (a *authority) authenticated(r *http.Request, body []byte) string {
	if a.bearer != "" {
		if got := r.Header.Get("Authorization"); got != "Bearer "+a.bearer || r.Header.Get("Signature") != "" {
			return "not the bearer token"
		}
		return ""
	}
	sum := sha256.Sum256(body)
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	input := signatureInput.FindStringSubmatch(r.Header.Get("Signature-Input"))
	switch {
	case r.Header.Get("Authorization") != "":
		return "the secret itself was sent"
	case r.Header.Get("Content-Digest") != digest:
		return "Content-Digest does not match the body"
	case input == nil:
		return "Signature-Input is " + r.Header.Get("Signature-Input")
	case !a.recent(input[2]):
		return "signature made at " + input[2]
	}
	lines := []string{
		`"@method": ` + r.Method,
		`"@authority": ` + r.Host,
		`"@path": ` + r.URL.Path,
		`"content-digest": ` + digest,
		`"@signature-params": ` + input[1],
	}
	mac := hmac.New(sha256.New, []byte(secret))
	io.WriteString(mac, strings.Join(lines, "\n"))
	if want := "certwright=:" + base64.StdEncoding.EncodeToString(mac.Sum(nil)) + ":"; r.Header.Get("Signature") != want {
		return "the signature is wrong"
	}
	return ""
}

// recent reports whether a signature was made within the five minutes that the
// contract gives it.
func (a *authority) recent(created string) bool {
	seconds, err := strconv.ParseInt(created, 10, 64)
	return err == nil && a.now().Sub(time.Unix(seconds, 0)).Abs() <= 5*time.Minute
}

// set changes the authority.
func (a *authority) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// take returns the exchanges since the last call of it, as "METHOD path status".
func (a *authority) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []string
	for _, e := range a.exchanges {
		list = append(list, fmt.Sprintf("%s %s %d", e.method, e.path, e.status))
	}
	a.exchanges = nil
	return list
}

// made is the number of certificates that were signed.
func (a *authority) made() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.issued
}

const requestID = "0123456789abcdef0123456789abcdef"

// request is an operation. Its private key must not be asked for.
func request(t testing.TB) provider.Request {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "example.com"},
		DNSNames: []string{"example.com", "www.example.com"},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return provider.Request{
		ID: requestID, Certificate: "web", CSR: csr, Created: start.Add(-time.Minute), Attempts: 1,
		Policy: policy.Policy{X509: policy.X509Properties{
			Subject:        "CN=example.com",
			SANs:           &policy.SANs{DNSNames: []string{"example.com", "www.example.com"}},
			EKUs:           []string{"1.3.6.1.5.5.7.3.1"},
			KeyUsage:       []string{"digitalSignature"},
			ValidityMonths: 12,
		}},
		Issuer: provider.Issuer{Name: "ca", Provider: "Corp", AccountID: keyID, Password: secret, HasAccount: true, Enabled: true},
		Key: func(context.Context) (crypto.Signer, error) {
			t.Error("the private key was opened")
			return nil, io.EOF
		},
	}
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
