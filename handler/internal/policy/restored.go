package policy

import (
	"crypto/x509"
	"reflect"
)

// Restored is a policy out of a backup, checked as if a caller had sent it. What
// New would refuse of its x509_props is taken where leaf, the latest certificate,
// shows the very same: an import took it from there. The error is a *field.Error.
func Restored(p Policy, leaf *x509.Certificate) (Policy, error) {
	key := KeyParams{Exportable: &p.Key.Exportable, Type: &p.Key.Type, Size: &p.Key.Size, Curve: &p.Key.Curve, Reuse: &p.Key.Reuse}
	checked := Policy{Enabled: p.Enabled, Created: p.Created, Updated: p.Updated}
	var err error
	if checked.Key, err = newKeyProperties(key); err != nil {
		return Policy{}, err
	}
	if checked.ContentType, err = newContentType(&p.ContentType); err != nil {
		return Policy{}, err
	}
	err = checked.X509.set(X509Params{
		Subject: &p.X509.Subject, SANs: p.X509.SANs, EKUs: notNil(p.X509.EKUs), KeyUsage: notNil(p.X509.KeyUsage),
		ValidityMonths: &p.X509.ValidityMonths, CA: &p.X509.CA,
	})
	if err != nil {
		shown, unreadable := x509PropertiesOf(leaf)
		if unreadable != nil || !reflect.DeepEqual(shown, p.X509) {
			return Policy{}, err
		}
		checked.X509 = p.X509
	}
	checked.X509.SANs = p.X509.SANs // with the empty lists of an import
	issuer := IssuerParams{Name: &p.Issuer.Name, CertificateType: &p.Issuer.CertificateType, Transparency: p.Issuer.Transparency}
	if checked.Issuer, err = newIssuerParameters(issuer); err != nil {
		return Policy{}, err
	}
	checked.LifetimeActions, err = newLifetimeActions(p.LifetimeActions, checked.X509.ValidityMonths)
	return checked, err
}

// notNil is a list that was sent, if only an empty one.
func notNil(list []string) []string { return append([]string{}, list...) }
