package digicert_test

// Orders and certificates of the fake of CertCentral.

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
)

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
	template, err := policy.Template(csr, policy.X509Properties{ValidityMonths: 6}, c.now(), c.chain[0].SubjectKeyId, rand.Reader)
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
