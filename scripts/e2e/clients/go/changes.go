package main

import (
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// changes is what can be changed: versions, policies and issuers.
func (s session) changes() []step {
	c := &changed{session: s}
	return []step{
		{"update the latest version", c.updateLatest},
		{"update a version", c.updateVersion},
		{"update a policy", s.updatePolicy},
		{"administrators of an issuer", s.administrators},
	}
}

// contacts are a vault's, which has one set of them: no other client may change it
// meanwhile.
func (s session) contacts() []step {
	return []step{{"set, get and delete contacts", s.setContacts}}
}

// changed is a certificate that is changed, with its first version.
type changed struct {
	session
	first azcertificates.Certificate
}

func (c *changed) update(version string, parameters azcertificates.UpdateCertificateParameters) (azcertificates.UpdateCertificateResponse, error) {
	return c.vault.UpdateCertificate(c.ctx, c.prefix+"-changed", version, parameters, nil)
}

func (c *changed) updateLatest() error {
	imported, err := c.load("-changed", "rsa.pfx", azcertificates.ImportCertificateParameters{
		Tags: map[string]*string{"colour": to.Ptr("blue")},
	})
	if err != nil {
		return err
	}
	c.first = imported.Certificate
	red := map[string]*string{"colour": to.Ptr("red")}
	tagged, err := c.update("", azcertificates.UpdateCertificateParameters{Tags: red})
	if err != nil {
		return err
	}
	dated, err := c.update("", azcertificates.UpdateCertificateParameters{
		CertificateAttributes: &azcertificates.CertificateAttributes{
			Enabled: to.Ptr(false), Expires: to.Ptr(time.Date(2030, 1, 1, 1, 1, 1, 0, time.UTC)),
		},
	})
	if err != nil {
		return err
	}
	return expect(
		is("id", tagged.ID, *imported.ID),
		is("tags", tagged.Tags, red),
		is("updated later", tagged.Attributes.Updated.After(*imported.Attributes.Updated), true),
		is("tags", dated.Tags, red),
		is("enabled", dated.Attributes.Enabled, false),
		is("updated later", dated.Attributes.Updated.After(*tagged.Attributes.Updated), true),
	)
}

func (c *changed) updateVersion() error {
	if _, err := c.load("-changed", "rsa.pfx", azcertificates.ImportCertificateParameters{}); err != nil {
		return err
	}
	updated, err := c.update(c.first.ID.Version(), azcertificates.UpdateCertificateParameters{
		CertificateAttributes: &azcertificates.CertificateAttributes{Enabled: to.Ptr(true)},
		Tags:                  map[string]*string{},
	})
	if err != nil {
		return err
	}
	_, nothing := c.update(strings.Repeat("0", 32), azcertificates.UpdateCertificateParameters{})
	return expect(
		is("id", updated.ID, *c.first.ID),
		is("enabled", updated.Attributes.Enabled, true),
		is("tags", len(updated.Tags), 0),
		absent(nothing, "CertificateNotFound"),
	)
}

func (s session) updatePolicy() error {
	name := s.prefix + "-policy"
	policy := azcertificates.CertificatePolicy{
		IssuerParameters: &azcertificates.IssuerParameters{CertificateTransparency: to.Ptr(false), Name: to.Ptr("Self")},
		Attributes: &azcertificates.CertificateAttributes{
			Enabled:   to.Ptr(true),
			Expires:   to.Ptr(time.Date(2040, 1, 1, 1, 1, 0, 0, time.UTC)),
			NotBefore: to.Ptr(time.Date(2030, 1, 1, 1, 1, 0, 0, time.UTC)),
		},
		KeyProperties: &azcertificates.KeyProperties{
			Exportable: to.Ptr(true), KeySize: to.Ptr[int32](2048), KeyType: to.Ptr(azcertificates.KeyTypeRSA), ReuseKey: to.Ptr(true),
		},
		LifetimeActions: []*azcertificates.LifetimeAction{{
			Action:  &azcertificates.LifetimeActionType{ActionType: to.Ptr(azcertificates.CertificatePolicyActionEmailContacts)},
			Trigger: &azcertificates.LifetimeActionTrigger{LifetimePercentage: to.Ptr[int32](98)},
		}},
		SecretProperties: &azcertificates.SecretProperties{ContentType: to.Ptr("application/x-pkcs12")},
		X509CertificateProperties: &azcertificates.X509CertificateProperties{
			EnhancedKeyUsage:        []*string{to.Ptr("1.3.6.1.5.5.7.3.1"), to.Ptr("1.3.6.1.5.5.7.3.2")},
			KeyUsage:                []*azcertificates.KeyUsageType{to.Ptr(azcertificates.KeyUsageTypeDataEncipherment)},
			Subject:                 to.Ptr("CN=policy.example.com"),
			SubjectAlternativeNames: &azcertificates.SubjectAlternativeNames{DNSNames: []*string{to.Ptr("localhost")}},
			ValidityInMonths:        to.Ptr[int32](12),
		},
	}
	if _, err := s.vault.CreateCertificate(s.ctx, name, azcertificates.CreateCertificateParameters{CertificatePolicy: &policy}, nil); err != nil {
		return err
	}
	stored, err := s.vault.GetCertificatePolicy(s.ctx, name, nil)
	if err != nil {
		return err
	}
	key := &azcertificates.KeyProperties{
		Curve: to.Ptr(azcertificates.CurveNameP384), Exportable: to.Ptr(true), KeySize: to.Ptr[int32](384),
		KeyType: to.Ptr(azcertificates.KeyTypeEC), ReuseKey: to.Ptr(false),
	}
	updated, err := s.vault.UpdateCertificatePolicy(s.ctx, name, azcertificates.CertificatePolicy{KeyProperties: key}, nil)
	if err != nil {
		return err
	}
	kept := func(p azcertificates.CertificatePolicy) error {
		return expect(
			is("issuer", p.IssuerParameters, policy.IssuerParameters),
			is("actions", p.LifetimeActions, policy.LifetimeActions),
			is("secret", p.SecretProperties, policy.SecretProperties),
			is("certificate", p.X509CertificateProperties, policy.X509CertificateProperties),
		)
	}
	return expect(
		kept(stored.CertificatePolicy),
		is("key", stored.KeyProperties, policy.KeyProperties),
		kept(updated.CertificatePolicy),
		is("key", updated.KeyProperties, key),
	)
}

func (s session) administrators() error {
	name := s.prefix + "-changed"
	administrator := &azcertificates.AdministratorContact{
		FirstName: to.Ptr("First"), LastName: to.Ptr("Last"), Email: to.Ptr("first@example.com"), Phone: to.Ptr("1234"),
	}
	set, err := s.vault.SetIssuer(s.ctx, name, azcertificates.SetIssuerParameters{
		Provider:    to.Ptr("Test"),
		Attributes:  &azcertificates.IssuerAttributes{Enabled: to.Ptr(true)},
		Credentials: &azcertificates.IssuerCredentials{AccountID: to.Ptr("account")},
		OrganizationDetails: &azcertificates.OrganizationDetails{
			AdminContacts: []*azcertificates.AdministratorContact{administrator},
		},
	}, nil)
	if err != nil {
		return err
	}
	got, err := s.vault.GetIssuer(s.ctx, name, nil)
	if err != nil {
		return err
	}
	updated, err := s.vault.UpdateIssuer(s.ctx, name, azcertificates.UpdateIssuerParameters{
		Attributes: &azcertificates.IssuerAttributes{Enabled: to.Ptr(false)},
	}, nil)
	if err != nil {
		return err
	}
	deleted, err := s.vault.DeleteIssuer(s.ctx, name, nil)
	if err != nil {
		return err
	}
	return expect(
		is("credentials", set.Credentials, azcertificates.IssuerCredentials{AccountID: to.Ptr("account")}),
		is("administrator", set.OrganizationDetails.AdminContacts[0], *administrator),
		is("issuer", got.Issuer, set.Issuer),
		is("enabled", updated.Attributes.Enabled, false),
		is("administrators", updated.OrganizationDetails, set.OrganizationDetails),
		is("deleted issuer", deleted.Issuer, updated.Issuer),
	)
}

func (s session) setContacts() error {
	wanted := []*azcertificates.Contact{
		{Email: to.Ptr("one@example.com"), Name: to.Ptr("One"), Phone: to.Ptr("1")},
		{Email: to.Ptr("two@example.com")},
	}
	set, err := s.vault.SetContacts(s.ctx, azcertificates.Contacts{ContactList: wanted}, nil)
	if err != nil {
		return err
	}
	got, err := s.vault.GetContacts(s.ctx, nil)
	if err != nil {
		return err
	}
	deleted, err := s.vault.DeleteContacts(s.ctx, nil)
	if err != nil {
		return err
	}
	_, get := s.vault.GetContacts(s.ctx, nil)
	_, again := s.vault.DeleteContacts(s.ctx, nil)
	return expect(
		is("set", set.ContactList, wanted),
		is("contacts", got.ContactList, wanted),
		is("deleted", deleted.ContactList, wanted),
		absent(get, "ContactsNotFound"),
		absent(again, "ContactsNotFound"),
	)
}
