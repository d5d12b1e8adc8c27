package main

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// creation is what may be asked for when a certificate is created.
func (s session) creation() []step {
	return []step{
		{"create with the client's default policy", func() error { return notOffered("the client has none") }},
		{"create disabled, with tags", s.createDisabled},
		{"create with every kind of alternative name", s.createNames},
		{"create with keys of every kind", s.createKeys},
		{"create with usages, validity and lifetime actions", s.createUsages},
		{"a bad name or policy is refused", s.createBad},
	}
}

// selfSigned is a policy of the issuer Self, spelled as its own tests do, with an EC
// key.
func selfSigned(subject string) *azcertificates.CertificatePolicy {
	return &azcertificates.CertificatePolicy{
		IssuerParameters:          &azcertificates.IssuerParameters{Name: to.Ptr("self")},
		KeyProperties:             ellipticKey(azcertificates.CurveNameP256),
		X509CertificateProperties: &azcertificates.X509CertificateProperties{Subject: to.Ptr(subject)},
	}
}

func ellipticKey(curve azcertificates.CurveName) *azcertificates.KeyProperties {
	return &azcertificates.KeyProperties{KeyType: to.Ptr(azcertificates.KeyTypeEC), Curve: to.Ptr(curve)}
}

// issue creates a certificate and waits for it.
func (s session) issue(name string, parameters azcertificates.CreateCertificateParameters) (azcertificates.Certificate, *x509.Certificate, error) {
	if _, err := s.vault.CreateCertificate(s.ctx, name, parameters, nil); err != nil {
		return azcertificates.Certificate{}, nil, err
	}
	if _, err := s.vault.await(s.ctx, name, "completed"); err != nil {
		return azcertificates.Certificate{}, nil, err
	}
	got, err := s.vault.GetCertificate(s.ctx, name, "", nil)
	if err != nil {
		return azcertificates.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(got.CER)
	return got.Certificate, leaf, err
}

func (s session) createDisabled() error {
	name := s.prefix + "-disabled"
	parameters := azcertificates.CreateCertificateParameters{
		CertificatePolicy:     selfSigned("CN=disabled.example.com"),
		CertificateAttributes: &azcertificates.CertificateAttributes{Enabled: to.Ptr(false)},
		PreserveCertOrder:     to.Ptr(true),
		Tags:                  map[string]*string{"colour": to.Ptr("blue")},
	}
	created, err := s.vault.CreateCertificate(s.ctx, name, parameters, nil)
	if err != nil {
		return err
	}
	if _, err := s.vault.await(s.ctx, name, "completed"); err != nil {
		return err
	}
	got, err := s.vault.GetCertificate(s.ctx, name, "", nil)
	if err != nil {
		return err
	}
	return expect(
		is("wish", created.CancellationRequested, false),
		is("details", *created.StatusDetails != "", true),
		is("issuer", created.IssuerParameters.Name, "self"),
		is("order", created.PreserveCertOrder, true),
		is("enabled", got.Attributes.Enabled, false),
		is("tags", got.Tags, parameters.Tags),
		is("order", got.PreserveCertOrder, true),
	)
}

func (s session) createNames() error {
	policy := selfSigned("CN=names.example.com")
	names := &azcertificates.SubjectAlternativeNames{
		DNSNames:           []*string{to.Ptr("localhost"), to.Ptr("a.example.com")},
		Emails:             []*string{to.Ptr("a@example.com")},
		IPAddresses:        []*string{to.Ptr("192.0.2.1"), to.Ptr("2001:0db8::1")},
		URIs:               []*string{to.Ptr("https://example.com"), to.Ptr("https://example.com/c")},
		UserPrincipalNames: []*string{to.Ptr("b@example.com")},
	}
	policy.X509CertificateProperties.SubjectAlternativeNames = names
	got, leaf, err := s.issue(s.prefix+"-names", azcertificates.CreateCertificateParameters{CertificatePolicy: policy})
	if err != nil {
		return err
	}
	if len(leaf.IPAddresses) != 2 || len(leaf.URIs) != 2 {
		return fmt.Errorf("the certificate has the addresses %v and the URIs %v", leaf.IPAddresses, leaf.URIs)
	}
	return expect(
		is("names", got.Policy.X509CertificateProperties.SubjectAlternativeNames, names),
		is("DNS names", leaf.DNSNames, []string{"localhost", "a.example.com"}),
		is("emails", leaf.EmailAddresses, []string{"a@example.com"}),
		is("IP", leaf.IPAddresses[1].Equal(net.ParseIP("2001:db8::1")), true),
		is("URI", leaf.URIs[1].String(), "https://example.com/c"),
	)
}

func (s session) createKeys() error {
	kinds := map[string]*azcertificates.KeyProperties{
		"rsa":  {KeyType: to.Ptr(azcertificates.KeyTypeRSA), KeySize: to.Ptr[int32](3072)},
		"p256": ellipticKey(azcertificates.CurveNameP256),
		"p384": ellipticKey(azcertificates.CurveNameP384),
		"p521": ellipticKey(azcertificates.CurveNameP521),
	}
	curves := map[string]string{"p256": "P-256", "p384": "P-384", "p521": "P-521"}
	for kind, key := range kinds {
		policy := selfSigned("CN=" + kind)
		policy.KeyProperties = key
		_, leaf, err := s.issue(s.prefix+"-key-"+kind, azcertificates.CreateCertificateParameters{CertificatePolicy: policy})
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		switch public := leaf.PublicKey.(type) {
		case *rsa.PublicKey:
			err = is(kind, public.N.BitLen(), 3072)
		case *ecdsa.PublicKey:
			err = is(kind, public.Params().Name, curves[kind])
		default:
			err = fmt.Errorf("%s: the key is a %T", kind, public)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s session) createUsages() error {
	policy := selfSigned("CN=usages.example.com")
	policy.X509CertificateProperties.KeyUsage = []*azcertificates.KeyUsageType{to.Ptr(azcertificates.KeyUsageTypeDigitalSignature)}
	policy.X509CertificateProperties.EnhancedKeyUsage = []*string{to.Ptr("1.3.6.1.5.5.7.3.3")}
	policy.X509CertificateProperties.ValidityInMonths = to.Ptr[int32](3)
	policy.LifetimeActions = []*azcertificates.LifetimeAction{{
		Action:  &azcertificates.LifetimeActionType{ActionType: to.Ptr(azcertificates.CertificatePolicyActionEmailContacts)},
		Trigger: &azcertificates.LifetimeActionTrigger{DaysBeforeExpiry: to.Ptr[int32](20)},
	}}
	got, leaf, err := s.issue(s.prefix+"-usages", azcertificates.CreateCertificateParameters{CertificatePolicy: policy})
	if err != nil {
		return err
	}
	days := int(leaf.NotAfter.Sub(leaf.NotBefore).Hours() / 24)
	return expect(
		is("key usage", leaf.KeyUsage, x509.KeyUsageDigitalSignature),
		is("usages", leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}),
		is("validity of about three months", days >= 89 && days <= 93, true),
		is("actions", got.Policy.LifetimeActions, policy.LifetimeActions),
	)
}

func (s session) createBad() error {
	create := func(name, subject string) error {
		_, err := s.vault.CreateCertificate(s.ctx, name, azcertificates.CreateCertificateParameters{
			CertificatePolicy: selfSigned(subject),
		}, nil)
		return err
	}
	return errors.Join(
		refused(create("a_b", "CN=x"), http.StatusBadRequest, "BadParameter", "invalid name"),
		refused(create(s.prefix+"-bad", "no name"), http.StatusBadRequest, "BadParameter", "X.500"),
	)
}
