package kvhttp

import (
	"context"

	"github.com/certwright/certwright/handler/internal/vault"
)

func getContacts(ctx context.Context, c *call) (reply, error) {
	return c.showContacts(c.vault.Contacts(ctx))
}

func setContacts(ctx context.Context, c *call) (reply, error) {
	var in contactsSet
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	return c.showContacts(c.vault.SetContacts(ctx, in.params()))
}

func deleteContacts(ctx context.Context, c *call) (reply, error) {
	return c.showContacts(c.vault.DeleteContacts(ctx))
}

func (c *call) showContacts(list []vault.Contact, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	return ok(c.contacts(list)), nil
}
