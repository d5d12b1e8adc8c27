package kvhttp

import (
	"context"

	"github.com/certwright/certwright/handler/internal/vault"
)

func listSecrets(ctx context.Context, c *call) (reply, error) {
	return listBacking(ctx, c, "secrets", c.secretItem)
}

func listSecretVersions(ctx context.Context, c *call) (reply, error) {
	return listBackingVersions(ctx, c, backingSecret, c.secretVersionItem)
}

func getSecret(ctx context.Context, c *call) (reply, error) {
	version, err := c.parseVersion(backingSecret.notFound)
	if err != nil {
		return reply{}, err
	}
	var as *string
	if c.query.Has("outContentType") {
		as = new(c.query.Get("outContentType"))
	}
	s, err := c.vault.Secret(ctx, c.name, version, as)
	if err != nil {
		return reply{}, err
	}
	return ok(c.secret(s)), nil
}

func getDeletedSecret(ctx context.Context, c *call) (reply, error) {
	cert, err := c.vault.Deleted(ctx, c.name)
	if err == nil && cert.Leaf == nil { // never completed: it brought nothing with it
		err = &vault.Error{Reason: vault.DeletedNotFound}
	}
	if err != nil {
		return reply{}, backingSecret.deletedError(c, err)
	}
	return ok(c.deletedSecret(cert)), nil
}
