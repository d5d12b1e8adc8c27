package kvhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/certwright/certwright/handler/internal/vault"
)

func listCertificates(ctx context.Context, c *call) (reply, error) {
	return c.listBy(ctx, "certificates", c.vault.Certificates)
}

func listDeleted(ctx context.Context, c *call) (reply, error) {
	return c.listBy(ctx, "deletedcertificates", c.vault.DeletedCertificates)
}

// listBy shows a page of the collection at path, which all lists.
func (c *call) listBy(ctx context.Context, path string, all func(context.Context, vault.Page, bool) ([]vault.Certificate, string, error)) (reply, error) {
	p, err := c.certificatePage()
	if err != nil {
		return reply{}, err
	}
	includePending, err := c.includePending()
	if err != nil {
		return reply{}, err
	}
	certs, after, err := all(ctx, p, includePending)
	if err != nil {
		return reply{}, err
	}
	return showPage(c, path, p, certs, after, c.item), nil
}

func listVersions(ctx context.Context, c *call) (reply, error) {
	p, err := c.versionPage()
	if err != nil {
		return reply{}, err
	}
	versions, after, err := c.vault.Versions(ctx, c.name, p)
	if err != nil {
		return reply{}, err
	}
	return showPage(c, "certificates/"+c.name.String()+"/versions", p, versions, after, c.versionItem), nil
}

func getCertificate(ctx context.Context, c *call) (reply, error) {
	return c.showCertificate(c.vault.Certificate(ctx, c.name))
}

func getVersion(ctx context.Context, c *call) (reply, error) {
	version, err := c.parseVersion(vault.CertificateNotFound)
	if err != nil {
		return reply{}, err
	}
	return c.showCertificate(c.vault.CertificateVersion(ctx, c.name, version))
}

func updateCertificate(ctx context.Context, c *call) (reply, error) {
	version, err := c.parseVersion(vault.CertificateNotFound)
	if err != nil {
		return reply{}, err
	}
	var in updateParams
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	params, err := in.params()
	if err != nil {
		return reply{}, err
	}
	return c.showCertificate(c.vault.UpdateVersion(ctx, c.name, version, params))
}

func importCertificate(ctx context.Context, c *call) (reply, error) {
	var in importParams
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	params, err := in.params()
	if err != nil {
		return reply{}, err
	}
	ctx, cancel := c.untilHangUp(ctx)
	defer cancel()
	return c.showCertificate(c.vault.Import(ctx, c.name, params))
}

func getPolicy(ctx context.Context, c *call) (reply, error) {
	return c.showPolicy(c.vault.Certificate(ctx, c.name))
}

func updatePolicy(ctx context.Context, c *call) (reply, error) {
	var in certificatePolicy
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	return c.showPolicy(c.vault.UpdatePolicy(ctx, c.name, *in.params()))
}

func backupCertificate(ctx context.Context, c *call) (reply, error) {
	blob, err := c.vault.Backup(ctx, c.name)
	if err != nil {
		return reply{}, err
	}
	return ok(showBackup(blob)), nil
}

func restoreCertificate(ctx context.Context, c *call) (reply, error) {
	// Before the body, which is large, is read.
	waiting, cancel := c.untilHangUp(ctx)
	defer cancel()
	leave, err := c.vault.EnterRestore(waiting)
	if err != nil {
		return reply{}, err
	}
	defer leave()
	var in backup
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	blob, err := in.blob()
	if err != nil {
		return reply{}, err
	}
	cert, err := c.vault.Restore(ctx, blob)
	if e, ok := errors.AsType[*vault.Error](err); ok && e.Reason == vault.RestoreConflict {
		e.Name = c.links.certificate(e.Name) // the live service names the whole id
	}
	return c.showCertificate(cert, err)
}

func deleteCertificate(ctx context.Context, c *call) (reply, error) {
	return c.showCertificate(c.vault.Delete(ctx, c.name))
}

func getDeleted(ctx context.Context, c *call) (reply, error) {
	return c.showCertificate(c.vault.Deleted(ctx, c.name))
}

func recoverDeleted(ctx context.Context, c *call) (reply, error) {
	cert, err := c.vault.Recover(ctx, c.name)
	return c.showCertificate(cert, reword(err, vault.DeletedNotFound, certificateNotFound, c.name))
}

func purgeDeleted(ctx context.Context, c *call) (reply, error) {
	return reply{status: http.StatusNoContent}, c.vault.Purge(ctx, c.name)
}

func (c *call) showPolicy(cert vault.Certificate, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return ok(c.policy(cert.Name, cert.Policy)), nil
}

func (c *call) showCertificate(cert vault.Certificate, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return ok(c.bundle(cert)), nil
}
