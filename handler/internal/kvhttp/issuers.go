package kvhttp

import (
	"context"

	"github.com/certwright/certwright/handler/internal/vault"
)

func listIssuers(ctx context.Context, c *call) (reply, error) {
	p, err := c.issuerPage()
	if err != nil {
		return reply{}, err
	}
	issuers, after, err := c.vault.Issuers(ctx, p)
	if err != nil {
		return reply{}, err
	}
	return showPage(c, "certificates/issuers", p, issuers, after, c.issuerItem), nil
}

func getIssuer(ctx context.Context, c *call) (reply, error) {
	return c.showIssuer(c.vault.Issuer(ctx, c.name))
}

func setIssuer(ctx context.Context, c *call) (reply, error) {
	return c.changeIssuer(ctx, c.vault.SetIssuer)
}

func updateIssuer(ctx context.Context, c *call) (reply, error) {
	rep, err := c.changeIssuer(ctx, c.vault.UpdateIssuer)
	return rep, reword(err, vault.IssuerNotFound, "Issuer %s not found", c.name)
}

func deleteIssuer(ctx context.Context, c *call) (reply, error) {
	return c.showIssuer(c.vault.DeleteIssuer(ctx, c.name))
}

func (c *call) changeIssuer(ctx context.Context, change func(context.Context, vault.Name, vault.IssuerSet) (vault.IssuerState, error)) (reply, error) {
	var in issuerSet
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	return c.showIssuer(change(ctx, c.name, in.params()))
}

func (c *call) showIssuer(o vault.IssuerState, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return ok(c.issuer(o)), nil
}
