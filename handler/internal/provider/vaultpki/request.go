package vaultpki

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
)

// signing asks for a certificate. The names stand beside the CSR because a role
// may ignore those in it (use_csr_common_name, use_csr_sans). They are lists
// where the API takes one: a URI may have a comma in it.
type signing struct {
	CSR        string   `json:"csr"` // PEM
	CommonName string   `json:"common_name,omitempty"`
	AltNames   string   `json:"alt_names,omitempty"` // DNS names and e-mail addresses, with commas between
	IPSANs     []string `json:"ip_sans,omitempty"`
	URISANs    []string `json:"uri_sans,omitempty"`
	OtherSANs  []string `json:"other_sans,omitempty"` // OID;UTF8:value

	// ExcludeCN keeps the common name out of the alternative names, where there
	// are any: they are what was asked for.
	ExcludeCN bool `json:"exclude_cn_from_sans"`

	TTL    string `json:"ttl"` // in seconds, as 3600s
	Format string `json:"format"`
}

// upn introduces a user principal name: Microsoft's szOID_NT_PRINCIPAL_NAME.
const upn = "1.3.6.1.4.1.311.20.2.3;UTF8:"

// newSigning describes an operation to the server.
func (p *Provider) newSigning(req provider.Request) (signing, error) {
	csr, err := x509.ParseCertificateRequest(req.CSR)
	if err != nil {
		return signing{}, fmt.Errorf("reading the CSR: %w", err)
	}
	now := p.cfg.Now()
	_, notAfter := req.Policy.X509.Validity(now)
	s := signing{
		CSR:        string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: req.CSR})),
		CommonName: csr.Subject.CommonName,
		TTL:        fmt.Sprintf("%ds", int64(notAfter.Sub(now).Seconds())),
		Format:     "pem",
	}
	sans := req.Policy.X509.SANs
	if sans == nil {
		return s, nil
	}
	if s.AltNames, err = altNames(sans); err != nil {
		return signing{}, err
	}
	s.IPSANs, s.URISANs = sans.IPAddresses, sans.URIs
	s.ExcludeCN = s.AltNames != "" || len(s.IPSANs)+len(s.URISANs)+len(sans.UPNs) > 0
	return s, nil
}

// addMissingUPNs puts the user principal names beside the CSR that a certificate
// lacks, and reports whether there are any. They are in the CSR alone at first:
// where a role reads it, the server certifies what stands beside it once more.
func (s *signing) addMissingUPNs(leaf []byte, sans *policy.SANs) (bool, error) {
	if sans == nil || len(sans.UPNs) == 0 {
		return false, nil
	}
	c, err := bounded.Certificate(leaf)
	if err != nil {
		return false, err
	}
	var certified []string
	for _, e := range c.Extensions {
		if !e.Id.Equal(policy.OIDSubjectAltName) {
			continue
		}
		list, err := names.ReadGeneralNames(e.Value)
		if err != nil {
			return false, err
		}
		for _, name := range list {
			if upn, ok := name.UPN(); ok {
				certified = append(certified, upn)
			}
		}
	}
	for _, name := range sans.UPNs {
		if !slices.Contains(certified, name) {
			s.OtherSANs = append(s.OtherSANs, upn+name)
		}
	}
	return len(s.OtherSANs) > 0, nil
}

// altNames are the DNS names and e-mail addresses in one text.
func altNames(sans *policy.SANs) (string, error) {
	if sans == nil {
		return "", nil
	}
	names := slices.Concat(sans.DNSNames, sans.Emails)
	for _, name := range names {
		if strings.Contains(name, ",") {
			return "", fmt.Errorf("%q has a comma, which the API takes for the end of a name", name)
		}
	}
	return strings.Join(names, ","), nil
}
