package digicert

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
)

// newOrder is the body of an order. Services API page: Order Basic OV.
//
// Names come from the CSR, since the API itself does not read them there. The
// contacts are the organization's own; a renewal is an order like any other, as
// orders keep to one certificate each.
type newOrder struct {
	Certificate  newCertificate `json:"certificate"`
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
	DisableCT                   int    `json:"disable_ct,omitempty"`
	Comments                    string `json:"comments"`
}

type newCertificate struct {
	CommonName     string   `json:"common_name"`
	DNSNames       []string `json:"dns_names"`
	CSR            string   `json:"csr"` // PEM
	SignatureHash  string   `json:"signature_hash"`
	ServerPlatform struct {
		ID int `json:"id"`
	} `json:"server_platform"`
	Validity *certificateValidity `json:"cert_validity,omitempty"`
}

type certificateValidity struct {
	Days int `json:"days"`
}

// Values of an order that have no choice.
const (
	platformAny   = 2 // the one of the API's own examples; it decides what a download is by default
	orderYears    = 1 // the shortest
	signatureHash = "sha256"

	// maxShortMonths is the longest validity, in months, that is asked for in
	// days. For a longer one DigiCert decides how long the CA/Browser Forum lets
	// it be.
	maxShortMonths = 6
)

// newOrder describes an operation to CertCentral.
func (p *Provider) newOrder(req provider.Request) ([]byte, error) {
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		return nil, fmt.Errorf("reading the CSR: %w", err)
	}
	var o newOrder
	if o.Organization.ID, err = organization(req.Issuer); err != nil {
		return nil, err
	}
	c := &o.Certificate
	if c.CommonName = commonName(csr); c.CommonName == "" {
		return nil, errors.New("the CSR has neither a common name nor a DNS name")
	}
	c.DNSNames = slices.DeleteFunc(slices.Clone(csr.DNSNames), func(name string) bool { return strings.EqualFold(name, c.CommonName) })
	if c.DNSNames == nil {
		c.DNSNames = []string{}
	}
	c.CSR = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: req.CSR}))
	c.SignatureHash = signatureHash
	c.ServerPlatform.ID = platformAny
	if months := req.Policy.X509.ValidityMonths; months > 0 && months <= maxShortMonths {
		c.Validity = &certificateValidity{int(req.Created.AddDate(0, months, 0).Sub(req.Created) / (24 * time.Hour))}
	}
	o.OrderValidity.Years = orderYears
	o.PaymentMethod = "balance"
	o.SkipApproval = !p.cfg.Approval
	o.DisableRenewalNotifications = true
	if ct := req.Policy.Issuer.Transparency; ct != nil && !*ct {
		o.DisableCT = 1
	}
	o.Comments = marker + req.ID
	body, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encoding the order: %w", err)
	}
	return body, nil
}

// marker is what the comments of our orders begin with; the request_id follows.
const marker = "Certwright request "

// commonName is the name that an order is listed under.
func commonName(csr *x509.CertificateRequest) string {
	if csr.Subject.CommonName != "" || len(csr.DNSNames) == 0 {
		return csr.Subject.CommonName
	}
	return csr.DNSNames[0]
}

// product is the identifier of what a policy orders.
func (p *Provider) product(pol policy.Policy) string {
	t, ok := typeOf(pol)
	if !ok {
		t = TypeOV // CheckPolicy refuses it
	}
	return p.cfg.Products[t]
}
