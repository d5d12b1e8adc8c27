package kvhttp

import (
	"context"
	"net/http"

	"github.com/certwright/certwright/handler/internal/vault"
)

func revokeCertificate(ctx context.Context, c *call) (reply, error) {
	version, err := c.parseVersion(vault.CertificateNotFound)
	if err != nil {
		return reply{}, err
	}
	var in revokeParams
	if err := c.decodeOptional(&in); err != nil {
		return reply{}, err
	}
	reason, err := in.reason()
	if err != nil {
		return reply{}, err
	}
	r, err := c.vault.Revoke(ctx, c.name, version, reason)
	if err != nil {
		return reply{}, err
	}
	rep := newReply(http.StatusAccepted, c.revocation(r))
	rep.header.Set("Location", c.links.revocation(r.Name, r.Version)+"?api-version="+c.api.String())
	return rep, nil
}

func getRevocation(ctx context.Context, c *call) (reply, error) {
	version, err := c.parseVersion(vault.RevocationNotFound)
	if err != nil {
		return reply{}, err
	}
	r, err := c.vault.Revocation(ctx, c.name, version)
	if err != nil {
		return reply{}, err
	}
	return ok(c.revocation(r)), nil
}
