package policy

import (
	"crypto/x509/pkix"
	"encoding/asn1"

	"github.com/certwright/certwright/handler/internal/names"
)

// GeneralNames are the subject alternative names that are asked for, and those in the
// subject that programs read as such. The error is a *names.Refusal.
func (x X509Properties) GeneralNames() (sans, subject names.Set, err error) {
	der, err := parseSubject(x.Subject)
	var sequence pkix.RDNSequence
	if err == nil {
		_, err = asn1.Unmarshal(der, &sequence)
	}
	if err == nil { // the subject of a Policy has been read before
		var name pkix.Name
		name.FillFromRDNSequence(&sequence)
		subject = names.OfSubject(name)
	}
	if s := x.SANs; s != nil {
		sans, err = names.Parse(s.DNSNames, s.Emails, s.UPNs, s.URIs, s.IPAddresses)
		return sans, subject, err
	}
	return sans, subject, nil
}
