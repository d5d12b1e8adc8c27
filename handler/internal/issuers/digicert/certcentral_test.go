package digicert_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	pathpkg "path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/issuers/digicert"
	"github.com/certwright/certwright/handler/internal/vault"
)

// fault answers a request in place of next, or after it.
type fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

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
	received []time.Time // requests that count for the rate limits
	calls    []string    // "METHOD path status", queries left out
	bodies   []string    // of the POSTs
	faults   []fault     // one for each request to come; nil: none

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

// issuer makes an Issuer for the account.
func (c *certCentral) issuer(cfg digicert.Config) *digicert.Issuer {
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
	c.mu.Lock()
	var f fault
	if len(c.faults) > 0 {
		f, c.faults = c.faults[0], c.faults[1:]
	}
	c.mu.Unlock()
	if f != nil {
		f(w, r, http.HandlerFunc(c.answer))
		return
	}
	c.answer(w, r)
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

// place takes an order. Its names are what the body says, not what the CSR does.
func (c *certCentral) place(w http.ResponseWriter, product string, body []byte) {
	var o struct {
		Certificate struct {
			CommonName     string   `json:"common_name"`
			DNSNames       []string `json:"dns_names"`
			CSR            string   `json:"csr"`
			SignatureHash  string   `json:"signature_hash"`
			ServerPlatform struct {
				ID int `json:"id"`
			} `json:"server_platform"`
			CertValidity *struct {
				Days int `json:"days"`
			} `json:"cert_validity"`
		} `json:"certificate"`
		Organization struct {
			ID int64 `json:"id"`
		} `json:"organization"`
		OrderValidity struct {
			Years int `json:"years"`
		} `json:"order_validity"`
		PaymentMethod               string `json:"payment_method"`
		SkipApproval                bool   `json:"skip_approval"`
		DisableRenewalNotifications bool   `json:"disable_renewal_notifications"`
		AutoRenew                   int    `json:"auto_renew"`
		DisableCT                   int    `json:"disable_ct"`
		Comments                    string `json:"comments"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	switch err := d.Decode(&o); {
	case err != nil:
		refuse(w, 400, "bad_request_format", err.Error())
		return
	case !c.products[product]:
		refuse(w, 404, "not_found|product", "The specified product was not found")
		return
	case !c.orgs[o.Organization.ID]:
		refuse(w, 400, "invalid_organization", "The organization is not in the account")
		return
	case o.OrderValidity.Years < 1 || o.OrderValidity.Years > 3:
		refuse(w, 400, "invalid_value:years", "order validity")
		return
	case o.Certificate.CommonName == "" || o.Certificate.SignatureHash == "":
		refuse(w, 400, "missing_field|certificate.common_name", "A common name is required")
		return
	}
	block, _ := pem.Decode([]byte(o.Certificate.CSR))
	if block == nil {
		refuse(w, 400, "csr_invalid_cannot_parse", "The CSR cannot be parsed")
		return
	}
	for _, other := range c.orders {
		if other.csr == o.Certificate.CSR && !c.reusableCSRs {
			refuse(w, 400, "invalid_csr", "The CSR has already been used. Please generate a new CSR.")
			return
		}
	}
	placed := &order{
		id: c.id(), placed: c.now(), name: o.Certificate.CommonName, org: o.Organization.ID, csr: o.Certificate.CSR,
	}
	r := &request{id: c.id(), kind: "new_request", status: "approved"}
	if !c.forgetful {
		r.comments = o.Comments
	}
	if c.approval || !o.SkipApproval {
		r.status, placed.status = "pending", "needs_approval"
	}
	placed.requests = append(placed.requests, r)
	c.orders[placed.id] = placed
	answer := map[string]any{"id": placed.id, "requests": []any{map[string]any{"id": r.id, "status": r.status}}}
	if c.state(placed) == "issued" {
		answer["certificate_id"] = certificateID(placed)
	}
	respond(w, 201, answer)
}

// state is an order's status now; it signs what is due.
func (c *certCentral) state(o *order) string {
	switch {
	case o.status != "":
		return o.status
	case c.now().Before(o.placed.Add(c.issuance)):
		return "pending"
	}
	if o.chain == nil {
		c.sign(o)
	}
	return "issued"
}

func certificateID(o *order) int64 { return o.id + 1_000_000 }

func (c *certCentral) sign(o *order) {
	block, _ := pem.Decode([]byte(o.csr))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		c.t.Errorf("CSR: %v", err)
		return
	}
	template, err := vault.Template(csr, vault.X509Properties{ValidityMonths: 6}, c.now(), c.chain[0].SubjectKeyId, rand.Reader)
	if err != nil {
		c.t.Error(err)
		return
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.chain[0], csr.PublicKey, c.key)
	if err != nil {
		c.t.Error(err)
		return
	}
	o.serial = template.SerialNumber
	o.chain = [][]byte{der, c.chain[0].Raw, c.chain[1].Raw}
}

// listed is an order's row in the list, without what only its own page has.
func (c *certCentral) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	offset, err2 := strconv.Atoi(q.Get("offset"))
	if err != nil || err2 != nil || limit < 1 || limit > 1000 || q.Get("sort") != "-date_created" {
		refuse(w, 400, "invalid_parameter", r.URL.RawQuery)
		return
	}
	var rows []*order
	for _, o := range c.orders {
		if o.name == q.Get("filters[common_name]") && !c.now().Before(o.placed.Add(c.listingDelay)) {
			rows = append(rows, o)
		}
	}
	slices.SortFunc(rows, func(a, b *order) int { return b.placed.Compare(a.placed)*2 + int(max(-1, min(1, b.id-a.id))) })
	total := len(rows)
	rows = rows[min(offset, total):min(offset+limit, total)]
	list := make([]any, 0)
	for _, o := range rows {
		list = append(list, map[string]any{
			"id": o.id, "status": c.state(o), "date_created": o.placed.Format(time.RFC3339),
			"certificate": map[string]any{"common_name": o.name}, "organization": map[string]any{"id": o.org},
		})
	}
	respond(w, 200, map[string]any{"orders": list, "page": map[string]any{"total": total, "limit": limit, "offset": offset}})
}

// find finds an order by its id or by the serial number of its certificate.
func (c *certCentral) find(w http.ResponseWriter, key string) *order {
	for _, o := range c.orders {
		if strconv.FormatInt(o.id, 10) == key || o.serial != nil && fmt.Sprintf("%X", o.serial.Bytes()) == key {
			return o
		}
	}
	refuse(w, 404, "not_found|order", "The specified order was not found")
	return nil
}

func (c *certCentral) show(w http.ResponseWriter, key string) {
	o := c.find(w, key)
	if o == nil {
		return
	}
	status := c.state(o)
	certificate := map[string]any{"common_name": o.name, "csr": o.csr}
	if o.chain != nil {
		certificate["id"], certificate["serial_number"], certificate["status"] = certificateID(o), fmt.Sprintf("%X", o.serial.Bytes()), "approved"
		if o.revoked {
			certificate["status"] = "revoked"
		}
	}
	requests := make([]any, 0)
	for _, r := range o.requests {
		requests = append(requests, map[string]any{"id": r.id, "type": r.kind, "status": r.status, "comments": r.comments})
	}
	respond(w, 200, map[string]any{
		"id": o.id, "status": status, "date_created": o.placed.Format(time.RFC3339), "certificate": certificate, "requests": requests,
	})
}

func (c *certCentral) cancel(w http.ResponseWriter, key string, body []byte) {
	o := c.find(w, key)
	if o == nil {
		return
	}
	var change struct{ Status, Note string }
	if err := json.Unmarshal(body, &change); err != nil || change.Status != "canceled" {
		refuse(w, 400, "invalid_status", string(body))
		return
	}
	if s := c.state(o); s != "pending" && s != "waiting_pickup" {
		refuse(w, 400, "order_cannot_be_canceled", "Only pending orders can be canceled")
		return
	}
	o.status = "canceled"
	w.WriteHeader(204)
}

func (c *certCentral) findRequest(w http.ResponseWriter, key string) (*order, *request) {
	for _, o := range c.orders {
		for _, r := range o.requests {
			if strconv.FormatInt(r.id, 10) == key {
				return o, r
			}
		}
	}
	refuse(w, 404, "not_found|request", "The specified request was not found")
	return nil, nil
}

func (c *certCentral) showRequest(w http.ResponseWriter, key string) {
	if _, r := c.findRequest(w, key); r != nil {
		respond(w, 200, map[string]any{"id": r.id, "type": r.kind, "status": r.status, "comments": r.comments, "processor_comment": r.processors})
	}
}

// decide approves or rejects a request.
func (c *certCentral) decide(w http.ResponseWriter, key string, body []byte) {
	o, r := c.findRequest(w, key)
	if o == nil {
		return
	}
	var change struct {
		Status  string
		Comment string `json:"processor_comment"`
	}
	if err := json.Unmarshal(body, &change); err != nil || r.status != "pending" {
		refuse(w, 400, "invalid_status", string(body))
		return
	}
	r.status, r.processors = change.Status, change.Comment
	switch {
	case r.kind == "revoke" && r.status == "approved":
		o.revoked = true
	case r.kind != "revoke" && r.status == "approved":
		o.status = ""
	case r.kind != "revoke":
		o.status = "rejected"
	}
	w.WriteHeader(204)
}

func (c *certCentral) download(w http.ResponseWriter, key string) {
	for _, o := range c.orders {
		if o.chain != nil && strconv.FormatInt(certificateID(o), 10) == key {
			w.Header().Set("Content-Type", "application/x-pem-file")
			w.Write(encode(o.chain...))
			return
		}
	}
	refuse(w, 404, "not_found|certificate", "The specified certificate was not found")
}

func encode(chain ...[]byte) []byte {
	var b bytes.Buffer
	for _, der := range chain {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return b.Bytes()
}

func (c *certCentral) revoke(w http.ResponseWriter, key string, body []byte) {
	var change struct {
		Reason       string `json:"revocation_reason"`
		Comments     string
		SkipApproval bool `json:"skip_approval"`
	}
	if err := json.Unmarshal(body, &change); err != nil || change.Reason == "" {
		refuse(w, 400, "invalid_reason", string(body))
		return
	}
	for _, o := range c.orders {
		if o.chain == nil || strconv.FormatInt(certificateID(o), 10) != key {
			continue
		}
		r := &request{id: c.id(), kind: "revoke", status: "pending", comments: change.Comments}
		switch {
		case o.revoked:
			refuse(w, 400, "certificate_already_revoked", "The certificate is revoked")
		case change.SkipApproval && !c.approval:
			o.revoked = true
			if c.revokesOrder {
				o.status = "revoked"
			}
			w.WriteHeader(204)
		default:
			o.requests = append(o.requests, r)
			respond(w, 201, map[string]any{"id": r.id, "type": r.kind, "status": r.status, "comments": r.comments})
		}
		return
	}
	refuse(w, 404, "not_found|certificate", "The specified certificate was not found")
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
