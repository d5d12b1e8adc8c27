package webhook

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/provider"
)

// message is what a POST carries.
type message struct {
	idempotencyKey string
	content        []byte // JSON
}

// request asks for a certificate. Everything in it follows from the operation, so
// that it is the same whenever it is sent.
type request struct {
	RequestID       string   `json:"requestId"`
	Vault           string   `json:"vault,omitempty"`
	Certificate     string   `json:"certificate"`
	CSR             string   `json:"csr"` // PEM
	Subject         string   `json:"subject,omitempty"`
	SANs            altNames `json:"sans"`
	EKUs            []string `json:"ekus"`     // dotted OIDs
	KeyUsage        []string `json:"keyUsage"` // Key Vault's names
	ValidityMonths  int      `json:"validityMonths"`
	CA              bool     `json:"ca"`
	CertificateType string   `json:"certificateType,omitempty"`
	RenewalOf       string   `json:"renewalOf,omitempty"` // serial number in hexadecimal
}

// altNames are subject alternative names as written in the policy.
type altNames struct {
	DNSNames    []string `json:"dnsNames,omitempty"`
	Emails      []string `json:"emails,omitempty"`
	UPNs        []string `json:"upns,omitempty"`
	URIs        []string `json:"uris,omitempty"`
	IPAddresses []string `json:"ipAddresses,omitempty"`
}

// newRequest describes an operation to the CA.
func (p *Provider) newRequest(req provider.Request) (*message, error) {
	x := req.Policy.X509
	r := request{
		RequestID:       req.ID,
		Vault:           p.cfg.Vault,
		Certificate:     req.Certificate,
		CSR:             string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: req.CSR})),
		Subject:         x.Subject,
		EKUs:            list(x.EKUs),
		KeyUsage:        list(x.KeyUsage),
		ValidityMonths:  x.ValidityMonths,
		CA:              x.CA,
		CertificateType: req.Policy.Issuer.CertificateType,
	}
	if x.SANs != nil {
		r.SANs = altNames(*x.SANs)
	}
	if req.Predecessor != nil {
		c, err := bounded.Certificate(req.Predecessor)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate to renew: %w", err)
		}
		r.RenewalOf = serialText(c)
	}
	content, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	return &message{idempotencyKey: req.ID, content: content}, nil
}

// list is s as a JSON array even if it is nil.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// serialText is a serial number in hexadecimal, two digits an octet.
func serialText(c *x509.Certificate) string { return fmt.Sprintf("%x", c.SerialNumber.Bytes()) }
