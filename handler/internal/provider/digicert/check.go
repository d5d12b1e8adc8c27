package digicert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
)

// maxNames bounds the names of one order.
const maxNames = 250

// ekuServerAuth is id-kp-serverAuth. RFC 5280 section 4.2.1.12.
const ekuServerAuth = "1.3.6.1.5.5.7.3.1"

// CheckIssuer refuses an issuer object without the organization that orders, in
// Key Vault's words. Whether the API key is right, only CertCentral knows.
func (p *Provider) CheckIssuer(o provider.Issuer) error {
	if o.Org.ID == "" {
		return &field.Error{Detail: "Id in organization details is not set"}
	}
	if _, err := organization(o); err != nil {
		return field.Errorf("org_details.id", "%q: must be the id of an organization at CertCentral, a number", field.Cut(o.Org.ID, maxEcho))
	}
	return nil
}

// maxEcho bounds what an error repeats of a caller's value, in bytes.
const maxEcho = 64

// organization is the organization that orders.
func organization(o provider.Issuer) (int64, error) {
	id, err := strconv.ParseInt(o.Org.ID, 10, 64)
	if err != nil || id <= 0 {
		return 0, fmt.Errorf("organization id %q is not a positive number", field.Cut(o.Org.ID, maxEcho))
	}
	return id, nil
}

// CheckPolicy refuses what DigiCert does not certify in a TLS certificate. Whether
// the common name of the subject is a name it certifies, CertCentral says.
func (p *Provider) CheckPolicy(_ provider.Issuer, pol policy.Policy) error {
	const path = "policy.x509_props."
	certificateType, ok := typeOf(pol)
	switch {
	case !ok:
		return &field.Error{Detail: "The certificate type specified is either invalid or not supported with DigiCert. " +
			"Supported types are OV-SSL,EV-SSL. If you have any questions or concerns, please feel free to reach out to DigiCert."}
	case pol.X509.CA:
		return field.Errorf(path+"basic_constraints.ca", "is true: DigiCert certifies end entities only")
	case len(pol.X509.EKUs) > 0 && !slices.Contains(pol.X509.EKUs, ekuServerAuth):
		return field.Errorf(path+"ekus", "lacks %s (server authentication): %s certificates are for TLS servers", ekuServerAuth, certificateType)
	case pol.Key.Curve == "P-521":
		return field.Errorf("policy.key_props.crv", "%q: must be P-256 or P-384 for DigiCert", pol.Key.Curve)
	case pol.X509.SANs != nil:
		return checkNames(*pol.X509.SANs, certificateType)
	}
	return nil
}

func checkNames(sans policy.SANs, certificateType string) error {
	const path = "policy.x509_props.sans."
	for _, kind := range []struct {
		field string
		names []string
	}{
		{"emails", sans.Emails},
		{"upns", sans.UPNs},
		{"uris", sans.URIs},
		{"ipAddresses", sans.IPAddresses},
	} {
		if len(kind.names) > 0 {
			return field.Errorf(path+kind.field, "has %q: DigiCert certifies DNS names only in %s certificates", field.Cut(kind.names[0], maxEcho), certificateType)
		}
	}
	if len(sans.DNSNames) > maxNames {
		return field.Errorf(path+"dns_names", "%d names: must be at most %d", len(sans.DNSNames), maxNames)
	}
	for _, name := range sans.DNSNames {
		if certificateType == TypeEV && strings.HasPrefix(name, "*.") {
			return field.Errorf(path+"dns_names", "has %q: there are no wildcards in %s certificates", field.Cut(name, maxEcho), certificateType)
		}
	}
	return nil
}

// typeOf is the certificate type that a policy asks for.
func typeOf(p policy.Policy) (string, bool) {
	if p.Issuer.CertificateType == "" {
		return TypeOV, true
	}
	for _, t := range []string{TypeOV, TypeEV} {
		if strings.EqualFold(p.Issuer.CertificateType, t) {
			return t, true
		}
	}
	return "", false
}
