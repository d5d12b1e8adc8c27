package main

func (w *walk) delete() error {
	deleted, err := w.vault.DeleteCertificate(w.ctx, w.manual, nil)
	if err != nil {
		return err
	}
	w.gone = deleted.DeletedCertificate
	got, err := w.vault.GetDeletedCertificate(w.ctx, w.manual, nil)
	if err != nil {
		return err
	}
	names, err := w.vault.deleted(w.ctx)
	if err != nil {
		return err
	}
	_, live := w.vault.GetCertificate(w.ctx, w.manual, "", nil)
	return expect(
		is("recovery", deleted.RecoveryID, vaultURL+"/deletedcertificates/"+w.manual),
		is("deleted certificate", got.DeletedCertificate, deleted.DeletedCertificate),
		is("listed", names[w.manual], true),
		refused(live, 404, "CertificateNotFound"),
	)
}

func (w *walk) createDeleted() error {
	_, err := w.vault.create(w.ctx, w.manual, "Self")
	return refused(err, 409, "Conflict")
}

func (w *walk) recover() error {
	recovered, err := w.vault.RecoverDeletedCertificate(w.ctx, w.manual, nil)
	if err != nil {
		return err
	}
	got, err := w.vault.GetCertificate(w.ctx, w.manual, "", nil)
	if err != nil {
		return err
	}
	return expect(
		is("id", recovered.ID, *w.gone.ID),
		is("policy", recovered.Policy, w.gone.Policy),
		is("certificate", got.CER, w.gone.CER),
	)
}

func (w *walk) purge() error {
	for _, name := range []string{w.own, w.manual, w.held, w.cancelled} {
		if _, err := w.vault.DeleteCertificate(w.ctx, name, nil); err != nil {
			return err
		}
		if _, err := w.vault.PurgeDeletedCertificate(w.ctx, name, nil); err != nil {
			return err
		}
		_, err := w.vault.GetDeletedCertificate(w.ctx, name, nil)
		if err := refused(err, 404, "CertificateNotFound"); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) deleteIssuer() error {
	deleted, err := w.vault.DeleteIssuer(w.ctx, w.issuer, nil)
	if err != nil {
		return err
	}
	_, get := w.vault.GetIssuer(w.ctx, w.issuer, nil)
	return expect(is("provider", deleted.Provider, "Test"), refused(get, 404, "CertificateIssuerNotFound"))
}
