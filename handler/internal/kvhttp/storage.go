package kvhttp

import (
	"context"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/vault"
)

// What is stored, as operators see it, is ours too.

func listUnreadable(ctx context.Context, c *call) (reply, error) {
	p, err := c.page(func(key string) bool { return store.CheckKey(key) == nil })
	if err != nil {
		return reply{}, err
	}
	rows, after, err := c.vault.UnreadableRows(ctx, p)
	if err != nil {
		return reply{}, err
	}
	show := func(u vault.Unreadable) unreadableRow { return unreadableRow{u.Key, u.Problem} }
	return showPage(c, "operations/storage/unreadable", p, rows, after, show), nil
}

func adoptRow(ctx context.Context, c *call) (reply, error) {
	var in adoption
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if err := c.vault.AdoptRow(ctx, in.Key); err != nil {
		return reply{}, err
	}
	return ok(in), nil
}

func getMigration(ctx context.Context, c *call) (reply, error) {
	m, err := c.vault.Migration(ctx)
	if err != nil {
		return reply{}, err
	}
	return ok(showMigration(m)), nil
}

func finishMigration(ctx context.Context, c *call) (reply, error) {
	m, err := c.vault.FinishMigration(ctx)
	if err != nil {
		return reply{}, err
	}
	return ok(showMigration(m)), nil
}
