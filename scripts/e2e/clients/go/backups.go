package main

import (
	"errors"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
)

// backups are backups of certificates.
func (s session) backups() []step {
	k := &kept{session: s, name: s.prefix + "-kept"}
	return []step{
		{"back up and restore", k.restore},
		{"restore over a certificate is refused", k.restoreAgain},
		{"restore of anything else is refused", k.restoreBad},
	}
}

// kept is a certificate with its backup.
type kept struct {
	session
	name   string
	backup []byte
}

func (k *kept) from(backup []byte) (azcertificates.RestoreCertificateResponse, error) {
	return k.vault.RestoreCertificate(k.ctx, azcertificates.RestoreCertificateParameters{CertificateBackup: backup}, nil)
}

func (k *kept) restore() error {
	tags := map[string]*string{"colour": to.Ptr("blue")}
	if _, err := k.load("-kept", "rsa.pfx", azcertificates.ImportCertificateParameters{Tags: tags}); err != nil {
		return err
	}
	if _, err := k.load("-kept", "ec.pem", azcertificates.ImportCertificateParameters{}); err != nil {
		return err
	}
	backup, err := k.vault.BackupCertificate(k.ctx, k.name, nil)
	if err != nil {
		return err
	}
	k.backup = backup.Value
	deleted, err := k.vault.DeleteCertificate(k.ctx, k.name, nil)
	if err != nil {
		return err
	}
	if _, err := k.vault.PurgeDeletedCertificate(k.ctx, k.name, nil); err != nil {
		return err
	}
	restored, err := k.from(k.backup)
	if err != nil {
		return err
	}
	got, err := k.vault.GetCertificate(k.ctx, k.name, "", nil)
	if err != nil {
		return err
	}
	versions, err := k.vault.versions(k.ctx, k.name)
	if err != nil {
		return err
	}
	return expect(
		is("id", restored.ID, *deleted.ID),
		is("attributes", restored.Attributes, deleted.Attributes),
		is("policy", restored.Policy, deleted.Policy),
		is("certificate", restored.CER, deleted.CER),
		is("certificate", got.CER, deleted.CER),
		is("versions", len(versions), 2),
	)
}

func (k *kept) restoreAgain() error {
	_, live := k.from(k.backup)
	_, err := k.vault.DeleteCertificate(k.ctx, k.name, nil)
	_, deleted := k.from(k.backup)
	return errors.Join(err,
		refused(live, http.StatusConflict, "Conflict", "There was a conflict restoring the certificate"),
		refused(deleted, http.StatusConflict, "Conflict"),
	)
}

func (k *kept) restoreBad() error {
	_, short := k.from([]byte("no backup"))
	_, zeros := k.from(make([]byte, 4728))
	return errors.Join(
		refused(short, http.StatusBadRequest, "Malformed backup blob", "Backup blob is corrupt."),
		refused(zeros, http.StatusBadRequest, "Malformed backup blob", "Backup blob contains invalid or corrupt version."),
	)
}
