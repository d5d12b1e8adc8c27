package main

import (
	"crypto/sha1"
	"crypto/x509"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// lifecycle is issuance by the vault, by an issuer and by hand, and what becomes of
// certificates in the end.
func (s session) lifecycle() []step {
	w := &walk{
		session: s,
		own:     s.prefix + "-self", manual: s.prefix + "-manual", held: s.prefix + "-held",
		cancelled: s.prefix + "-cancelled", issuer: s.prefix + "-issuer",
	}
	return []step{
		{"create with issuer Self", w.createSelf},
		{"read certificate, version and policy", w.read},
		{"list certificates and versions", w.list},
		{"delete the operation", w.deleteOperation},
		{"create with issuer Unknown", w.createUnknown},
		{"merge", w.merge},
		{"set, update, get and list an issuer", w.setIssuer},
		{"create at an issuer that holds", w.hold},
		{"the issuer issues", w.issue},
		{"the old version is served while a new one is pending", w.renew},
		{"cancel at the issuer", w.cancel},
		{"the issuer rejects", w.reject},
		{"merge what was obtained elsewhere", w.mergeFailed},
		{"cancel right after create", w.cancelSelf},
		{"delete a certificate", w.delete},
		{"create on a deleted name", w.createDeleted},
		{"recover", w.recover},
		{"purge", w.purge},
		{"delete the issuer", w.deleteIssuer},
	}
}

// walk is what the steps know: the names that they use, and what they found.
type walk struct {
	session
	own, manual, held, cancelled, issuer string

	latest azcertificates.Certificate        // of own
	csr    []byte                            // of the operation to be merged next
	old    azcertificates.Certificate        // the first version of held
	gone   azcertificates.DeletedCertificate // manual
}

func (w *walk) createSelf() error {
	names := []*string{to.Ptr("self.example.com"), to.Ptr("www.self.example.com")}
	created, err := w.vault.CreateCertificate(w.ctx, w.own, azcertificates.CreateCertificateParameters{
		CertificatePolicy: &azcertificates.CertificatePolicy{
			IssuerParameters: &azcertificates.IssuerParameters{Name: to.Ptr("Self")},
			X509CertificateProperties: &azcertificates.X509CertificateProperties{
				Subject:                 to.Ptr("CN=self.example.com"),
				SubjectAlternativeNames: &azcertificates.SubjectAlternativeNames{DNSNames: names},
				ValidityInMonths:        to.Ptr[int32](6),
			},
		},
	}, nil)
	if err != nil {
		return err
	}
	done, err := w.vault.await(w.ctx, w.own, "completed")
	if err != nil {
		return err
	}
	got, err := w.vault.GetCertificate(w.ctx, w.own, "", nil)
	if err != nil {
		return err
	}
	w.latest = got.Certificate
	leaf, err := x509.ParseCertificate(got.CER)
	if err != nil {
		return err
	}
	thumbprint := sha1.Sum(got.CER)
	return expect(
		is("status", created.Status, "inProgress"),
		is("request", done.RequestID, *created.RequestID),
		is("target", done.Target, vaultURL+"/certificates/"+w.own),
		is("enabled", got.Attributes.Enabled, true),
		is("thumbprint", got.X509Thumbprint, thumbprint[:]),
		is("subject", leaf.Subject.String(), "CN=self.example.com"),
		is("names", leaf.DNSNames, []string{"self.example.com", "www.self.example.com"}),
	)
}

func (w *walk) read() error {
	version, err := w.vault.GetCertificate(w.ctx, w.own, w.latest.ID.Version(), nil)
	if err != nil {
		return err
	}
	policy, err := w.vault.GetCertificatePolicy(w.ctx, w.own, nil)
	if err != nil {
		return err
	}
	id := w.own + "/" + w.latest.ID.Version()
	key := policy.KeyProperties
	return expect(
		is("certificate", version.CER, w.latest.CER),
		is("key", string(*version.KID), vaultURL+"/keys/"+id),
		is("secret", string(*version.SID), vaultURL+"/secrets/"+id),
		is("issuer", policy.IssuerParameters.Name, "Self"),
		is("validity", policy.X509CertificateProperties.ValidityInMonths, int32(6)),
		is("names", len(policy.X509CertificateProperties.SubjectAlternativeNames.DNSNames), 2),
		is("key type", key.KeyType, azcertificates.KeyTypeRSA),
		is("key size", key.KeySize, int32(2048)),
		is("exportable", key.Exportable, true),
	)
}

func (w *walk) list() error {
	names, err := w.vault.names(w.ctx, false)
	if err != nil {
		return err
	}
	versions, err := w.vault.versions(w.ctx, w.own)
	if err != nil {
		return err
	}
	return expect(
		is("listed", names[w.own], true),
		is("versions", versions, map[string]bool{w.latest.ID.Version(): true}),
	)
}

func (w *walk) deleteOperation() error {
	deleted, err := w.vault.DeleteCertificateOperation(w.ctx, w.own, nil)
	if err != nil {
		return err
	}
	_, get := w.vault.GetCertificateOperation(w.ctx, w.own, nil)
	_, again := w.vault.DeleteCertificateOperation(w.ctx, w.own, nil)
	return expect(
		is("status", deleted.Status, "completed"),
		refused(get, 404, "PendingCertificateNotFound"),
		refused(again, 404, "PendingCertificateNotFound"),
	)
}

func (w *walk) createUnknown() error {
	created, err := w.vault.create(w.ctx, w.manual, "Unknown")
	if err != nil {
		return err
	}
	w.csr = created.CSR
	shell, err := w.vault.GetCertificate(w.ctx, w.manual, "", nil)
	if err != nil {
		return err
	}
	complete, err := w.vault.names(w.ctx, false)
	if err != nil {
		return err
	}
	all, err := w.vault.names(w.ctx, true)
	if err != nil {
		return err
	}
	_, again := w.vault.create(w.ctx, w.manual, "Unknown")
	return expect(
		is("status", created.Status, "inProgress"),
		is("enabled", shell.Attributes.Enabled, false),
		is("certificate", len(shell.CER), 0),
		is("listed", complete[w.manual], false),
		is("listed with pending ones", all[w.manual], true),
		refused(again, 409, "Forbidden"),
	)
}

func (w *walk) merge() error {
	chain, err := sign(w.ctx, w.csr)
	if err != nil {
		return err
	}
	merged, err := w.vault.merge(w.ctx, w.manual, chain)
	if err != nil {
		return err
	}
	operation, err := w.vault.GetCertificateOperation(w.ctx, w.manual, nil)
	if err != nil {
		return err
	}
	return expect(
		is("certificate", merged.CER, chain[0]),
		is("enabled", merged.Attributes.Enabled, true),
		is("status", operation.Status, "completed"),
	)
}

func (w *walk) setIssuer() error {
	_, err := w.vault.SetIssuer(w.ctx, w.issuer, azcertificates.SetIssuerParameters{
		Provider:            to.Ptr("Test"),
		Credentials:         &azcertificates.IssuerCredentials{AccountID: to.Ptr("account"), Password: to.Ptr("secret")},
		OrganizationDetails: &azcertificates.OrganizationDetails{ID: to.Ptr("issue")},
	}, nil)
	if err != nil {
		return err
	}
	if err := w.script("hold"); err != nil {
		return err
	}
	issuer, err := w.vault.GetIssuer(w.ctx, w.issuer, nil)
	if err != nil {
		return err
	}
	listed := false
	for pager := w.vault.NewListIssuerPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(w.ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Value {
			listed = listed || *item.ID == vaultURL+"/certificates/issuers/"+w.issuer
		}
	}
	return expect(
		is("provider", issuer.Provider, "Test"),
		is("organization", issuer.OrganizationDetails.ID, "hold"),
		is("account", issuer.Credentials.AccountID, "account"),
		is("password", issuer.Credentials.Password, nil),
		is("listed", listed, true),
	)
}

// script tells the issuer what to do.
func (w *walk) script(text string) error {
	_, err := w.vault.UpdateIssuer(w.ctx, w.issuer, azcertificates.UpdateIssuerParameters{
		OrganizationDetails: &azcertificates.OrganizationDetails{ID: to.Ptr(text)},
	}, nil)
	return err
}

func (w *walk) hold() error {
	created, err := w.vault.create(w.ctx, w.held, w.issuer)
	if err != nil {
		return err
	}
	chain, err := sign(w.ctx, created.CSR)
	if err != nil {
		return err
	}
	_, early := w.vault.merge(w.ctx, w.held, chain)
	return expect(is("status", created.Status, "inProgress"), refused(early, 403, "Forbidden"))
}

func (w *walk) issue() error {
	if err := w.script("issue"); err != nil {
		return err
	}
	if _, err := w.vault.await(w.ctx, w.held, "completed"); err != nil {
		return err
	}
	got, err := w.vault.GetCertificate(w.ctx, w.held, "", nil)
	if err != nil {
		return err
	}
	w.old = got.Certificate
	return expect(is("issuer", got.Policy.IssuerParameters.Name, w.issuer))
}

func (w *walk) renew() error {
	if err := w.script("hold"); err != nil {
		return err
	}
	if _, err := w.vault.create(w.ctx, w.held, w.issuer); err != nil {
		return err
	}
	return w.stillOld()
}

// stillOld checks that the first version of held is the latest.
func (w *walk) stillOld() error {
	got, err := w.vault.GetCertificate(w.ctx, w.held, "", nil)
	if err != nil {
		return err
	}
	return expect(is("version", got.ID.Version(), w.old.ID.Version()))
}

func (w *walk) cancel() error {
	wished, err := w.vault.cancel(w.ctx, w.held)
	if err != nil {
		return err
	}
	if _, err := w.vault.await(w.ctx, w.held, "cancelled"); err != nil {
		return err
	}
	if err := w.stillOld(); err != nil {
		return err
	}
	_, late := w.vault.cancel(w.ctx, w.held)
	return expect(is("wish", wished.CancellationRequested, true), refused(late, 403, "Forbidden"))
}

func (w *walk) reject() error {
	if err := w.script("reject=The domain is not yours"); err != nil {
		return err
	}
	if _, err := w.vault.create(w.ctx, w.held, w.issuer); err != nil {
		return err
	}
	failed, err := w.vault.await(w.ctx, w.held, "failed")
	if err != nil {
		return err
	}
	w.csr = failed.CSR
	// This client tells of the error as it came.
	return expect(
		is("code", failed.Error.Code, "Request rejected"),
		is("error", failed.Error.Error(), `{"code":"Request rejected","message":"The domain is not yours"}`),
	)
}

func (w *walk) mergeFailed() error {
	chain, err := sign(w.ctx, w.csr)
	if err != nil {
		return err
	}
	merged, err := w.vault.merge(w.ctx, w.held, chain[:1])
	if err != nil {
		return err
	}
	versions, err := w.vault.versions(w.ctx, w.held)
	if err != nil {
		return err
	}
	return expect(is("versions", versions, map[string]bool{w.old.ID.Version(): true, merged.ID.Version(): true}))
}

func (w *walk) cancelSelf() error {
	if _, err := w.vault.create(w.ctx, w.cancelled, "Self"); err != nil {
		return err
	}
	wished, err := w.vault.cancel(w.ctx, w.cancelled)
	if err != nil {
		return err
	}
	if _, err := w.vault.await(w.ctx, w.cancelled, "cancelled"); err != nil {
		return err
	}
	return expect(is("status", wished.Status, "inProgress"), is("wish", wished.CancellationRequested, true))
}
