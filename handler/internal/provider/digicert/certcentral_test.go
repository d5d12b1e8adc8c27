package digicert_test

// A fake of CertCentral, from its documentation.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	pathpkg "path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider/digicert"
	"github.com/certwright/certwright/handler/internal/provider/fault"
)

// certCentral is CertCentral as its documents describe it, with one account, and
// faults before it. Its time is the test's.
type certCentral struct {
	t      testing.TB
	clock  *clock // of a CertCentral with a server of its own
	now    func() time.Time
	server *httptest.Server
	key    *ecdsa.PrivateKey
	chain  []*x509.Certificate // intermediate, root

	mu       sync.Mutex
	base     string           // path of the API
	apiKey   string           // of the account's only user
	orgs     map[int64]bool   // that may order
	products map[string]bool  // that the account sells
	orders   map[int64]*order // by id
	lastID   int64
	received []time.Time  // requests that count for the rate limits
	calls    []string     // "METHOD path status", queries left out
	bodies   []string     // of the POSTs
	faults   []fault.Func // one for each request to come; nil: none

	// How the account is set.
	listingDelay time.Duration // from an order until it is listed
	issuance     time.Duration // from an order until its certificate
	approval     bool          // orders and revocations need it, whoever asks to skip it
	reusableCSRs bool
	forgetful    bool // comments are not kept
	revokesOrder bool // with the only certificate of an order
}

// order is an order at CertCentral.
type order struct {
	id       int64
	placed   time.Time
	name     string
	org      int64
	csr      string
	comments string
	status   string // set by a person; otherwise it follows from the time
	requests []*request
	serial   *big.Int
	chain    [][]byte
	revoked  bool
}

type request struct {
	id                   int64
	kind, status         string
	comments, processors string
}

const (
	apiKey = "KEY-5ZPQ7XHNM2" // of the fake's account
	orgID  = 112233
)

// newCertCentral serves CertCentral, with a clock that stands still.
func newCertCentral(t testing.TB) *certCentral {
	t.Helper()
	clock := newClock()
	c := newAccount(t, clock.Now)
	c.clock = clock
	c.server = httptest.NewUnstartedServer(http.HandlerFunc(c.serve))
	c.server.EnableHTTP2 = true
	c.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.server.StartTLS()
	t.Cleanup(c.server.Close)
	return c
}

// newAccount is CertCentral without a server.
func newAccount(t testing.TB, now func() time.Time) *certCentral {
	t.Helper()
	c := &certCentral{
		t: t, now: now, base: "/services/v2", apiKey: apiKey, orgs: map[int64]bool{orgID: true},
		products: map[string]bool{"ssl_basic": true, "ssl_ev_basic": true, "ssl_plus": true},
		orders:   make(map[int64]*order), lastID: 540000,
	}
	var parent *x509.Certificate
	var signer *ecdsa.PrivateKey
	for n, name := range []string{"DigiCert Test Root", "DigiCert Test Issuing CA"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(n + 1)), Subject: pkix.Name{CommonName: name},
			NotBefore: now().Add(-time.Hour), NotAfter: now().AddDate(10, 0, 0),
			BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		}
		if parent == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		if parent, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		signer = key
		c.chain = slices.Insert(c.chain, 0, parent)
	}
	c.key = signer
	return c
}

// issuer makes a Provider for the account.
func (c *certCentral) issuer(cfg digicert.Config) *digicert.Provider {
	c.t.Helper()
	cfg.URL = c.server.URL + c.base
	cfg.Roots = x509.NewCertPool()
	cfg.Roots.AddCert(c.server.Certificate())
	cfg.Now = c.clock.Now
	i, err := digicert.New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	return i
}

// serve lets the next fault have the request.
func (c *certCentral) serve(w http.ResponseWriter, r *http.Request) {
	var f fault.Func
	c.set(func() { f = fault.Pop(&c.faults) })
	f(w, r, http.HandlerFunc(c.answer))
}

// answer does what is asked, and records it.
func (c *certCentral) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Errorf("reading a request: %v", err)
	}
	rec := httptest.NewRecorder()
	c.set(func() {
		c.route(rec, r, body)
		path, _ := strings.CutPrefix(r.URL.Path, c.base)
		c.calls = append(c.calls, fmt.Sprintf("%s %s %d", r.Method, path, rec.Code))
		if r.Method == http.MethodPost {
			c.bodies = append(c.bodies, string(body))
		}
	})
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

// Rate limits of one API key.
var rates = []struct {
	within time.Duration
	most   int
}{{5 * time.Second, 100}, {3 * time.Minute, 1000}}

func (c *certCentral) route(w http.ResponseWriter, r *http.Request, body []byte) {
	now := c.now()
	for _, rate := range rates {
		n := 0
		for _, t := range c.received {
			if t.After(now.Add(-rate.within)) {
				n++
			}
		}
		if n >= rate.most {
			refuse(w, 429, "request_limit_exceeded", "Service unavailable, please limit request volume")
			return
		}
	}
	c.received = append(c.received, now)
	path, ok := strings.CutPrefix(r.URL.Path, c.base+"/")
	parts := strings.Split(path, "/")
	is := func(method, pattern string) bool {
		matches, err := pathpkg.Match(pattern, path)
		return ok && r.Method == method && matches && err == nil
	}
	switch {
	case r.Header.Get("X-DC-DEVKEY") != c.apiKey:
		refuse(w, 401, "invalid_api_key", "The API key "+r.Header.Get("X-DC-DEVKEY")+" is invalid")
	case r.Header.Get("Content-Type") != "application/json":
		refuse(w, 415, "unsupported_media_type", r.Header.Get("Content-Type"))
	case is("POST", "order/certificate/*"):
		c.place(w, parts[2], body)
	case is("GET", "order/certificate"):
		c.list(w, r)
	case is("GET", "order/certificate/*"):
		c.show(w, parts[2])
	case is("PUT", "order/certificate/*/status"):
		c.cancel(w, parts[2], body)
	case is("PUT", "request/*/status"):
		c.decide(w, parts[1], body)
	case is("GET", "request/*"):
		c.showRequest(w, parts[1])
	case is("GET", "certificate/*/download/format/pem_all"):
		c.download(w, parts[1])
	case is("PUT", "certificate/*/revoke"):
		c.revoke(w, parts[1], body)
	default:
		refuse(w, 404, "not_found|route", "The specified route was not found")
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	respond(w, status, map[string]any{"errors": []any{map[string]any{"code": code, "message": message}}})
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func (c *certCentral) id() int64 {
	c.lastID++
	return c.lastID
}

// set changes the account.
func (c *certCentral) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// take returns the calls since the last call of it, as "METHOD path status".
func (c *certCentral) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

// placed are the orders so far, by id.
func (c *certCentral) placed() []*order {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*order
	for _, o := range c.orders {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *order) int { return int(a.id - b.id) })
	return list
}

// paid is how many orders cost something: all that were not given up.
func (c *certCentral) paid() int {
	n := 0
	for _, o := range c.placed() {
		if o.status != "canceled" && o.status != "rejected" {
			n++
		}
	}
	return n
}

// only is the one order there is.
func (c *certCentral) only() *order {
	c.t.Helper()
	list := c.placed()
	if len(list) != 1 {
		c.t.Fatalf("%d orders, want one", len(list))
	}
	return list[0]
}
