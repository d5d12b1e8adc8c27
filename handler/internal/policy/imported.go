package policy

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/names"
)

// InvalidProperties is what Key Vault says of a certificate that it does not
// import for what the certificate says.
const InvalidProperties = "The specified X.509 certificate content is invalid. Error: One or more X.509 properties are invalid."

// Imported is the policy of an imported certificate. What the certificate
// and its key show is taken from there, whatever was sent; the rest is what was
// sent (nil: nothing), or the default. contentType is that of what was imported.
// The error is a *field.Error.
//
// REST page: Import Certificate.
func Imported(sent *Params, leaf *x509.Certificate, key KeyProperties, contentType string, now time.Time) (Policy, error) {
	if sent == nil {
		sent = new(Params)
	}
	policy := Policy{
		Key:         importedKeyProperties(deref(sent.Key), key),
		ContentType: contentType,
		Enabled:     sent.Enabled == nil || *sent.Enabled,
		Created:     now,
		Updated:     now,
	}
	var err error
	if policy.X509, err = x509PropertiesOf(leaf); err != nil {
		return Policy{}, &field.Error{Detail: InvalidProperties, Err: err}
	}
	if sent.ContentType != nil {
		if policy.ContentType, err = newContentType(sent.ContentType); err != nil {
			return Policy{}, err
		}
	}
	if policy.Issuer, err = newIssuerParameters(deref(sent.Issuer)); err != nil {
		return Policy{}, err
	}
	if err := checkOneAction(sent.LifetimeActions); err != nil {
		return Policy{}, err
	}
	actions := sent.LifetimeActions
	if actions == nil {
		actions = defaultLifetimeActions(policy.Issuer)
	}
	policy.LifetimeActions, err = newLifetimeActions(actions, policy.X509.ValidityMonths)
	return policy, err
}

// importedKeyProperties are those of the key, which may be asked to be kept as
// one of a module.
func importedKeyProperties(sent KeyParams, k KeyProperties) KeyProperties {
	k.Exportable = sent.Exportable == nil || *sent.Exportable
	k.Reuse = deref(sent.Reuse)
	if strings.EqualFold(deref(sent.Type), k.Type+"-HSM") {
		k.Type += "-HSM"
		k.Exportable = false // as in newKeyProperties
	}
	return k
}

// x509PropertiesOf are what a CSR would ask for to get a certificate like this.
func x509PropertiesOf(c *x509.Certificate) (X509Properties, error) {
	subject, err := FormatSubject(c.RawSubject) // so that a renewal asks for the same name
	if err != nil {
		return X509Properties{}, err
	}
	x := X509Properties{
		Subject:        subject,
		EKUs:           []string{},
		KeyUsage:       keyUsageNames(c.KeyUsage),
		ValidityMonths: validityMonths(c.NotBefore, c.NotAfter),
		CA:             c.BasicConstraintsValid && c.IsCA,
	}
	for _, e := range c.Extensions {
		switch {
		case e.Id.Equal(oidExtKeyUsage):
			var oids []asn1.ObjectIdentifier
			if _, err := asn1.Unmarshal(e.Value, &oids); err != nil {
				return X509Properties{}, fmt.Errorf("reading the extended key usage: %w", err)
			}
			for _, oid := range oids {
				x.EKUs = append(x.EKUs, oid.String())
			}
		case e.Id.Equal(OIDSubjectAltName):
			if x.SANs, err = parseSANs(e.Value); err != nil {
				return X509Properties{}, err
			}
		}
	}
	return x, nil
}

// keyUsageNames are Key Vault's names of key usages, sorted; none when the
// certificate lacks the extension.
func keyUsageNames(usage x509.KeyUsage) []string {
	names := []string{}
	for bit, name := range keyUsages {
		if usage&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// validityMonths is a validity in months, a month that has begun counted whole,
// at most what a policy can ask for.
func validityMonths(notBefore, notAfter time.Time) int {
	months := (notAfter.Year()-notBefore.Year())*12 + int(notAfter.Month()-notBefore.Month())
	if notBefore.AddDate(0, months, 0).Before(notAfter) {
		months++
	}
	return min(max(months, 1), maxValidityMonths)
}

// parseSANs reads a subject alternative name extension; nil when it has no name
// of a kind that a policy knows.
func parseSANs(extension []byte) (*SANs, error) {
	list, err := names.ReadGeneralNames(extension)
	if err != nil {
		return nil, errors.New("the subject alternative names cannot be read")
	}
	// The live service shows these three of an import, even if they are empty.
	sans := &SANs{DNSNames: []string{}, Emails: []string{}, UPNs: []string{}}
	for _, name := range list {
		switch name.Tag {
		case names.TagEmail:
			sans.Emails = append(sans.Emails, string(name.Value))
		case names.TagDNS:
			sans.DNSNames = append(sans.DNSNames, string(name.Value))
		case names.TagURI:
			sans.URIs = append(sans.URIs, string(name.Value))
		case names.TagIP:
			if addr, ok := netip.AddrFromSlice(name.Value); ok {
				sans.IPAddresses = append(sans.IPAddresses, addr.String())
			}
		case names.TagOtherName:
			if upn, ok := name.UPN(); ok && field.IsText(upn) {
				sans.UPNs = append(sans.UPNs, upn)
			}
		}
	}
	if sans.count() == 0 {
		return nil, nil
	}
	return sans, nil
}
