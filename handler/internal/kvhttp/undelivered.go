package kvhttp

import (
	"context"

	"github.com/certwright/certwright/handler/internal/vault"
)

// Events that a destination does not have yet, or would not take, are ours too.

func listUndelivered(ctx context.Context, c *call) (reply, error) {
	p, err := c.page(vault.IsDelivery)
	if err != nil {
		return reply{}, err
	}
	all, after, err := c.vault.Undelivered(ctx, p)
	if err != nil {
		return reply{}, err
	}
	return showPage(c, "events", p, all, after, c.undelivered), nil
}

func retryEvent(ctx context.Context, c *call) (reply, error) {
	u, err := c.vault.RetryEvent(ctx, c.delivery)
	if err != nil {
		return reply{}, err
	}
	return ok(c.undelivered(u)), nil
}
