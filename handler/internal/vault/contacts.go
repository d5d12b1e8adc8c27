package vault

import (
	"context"
	"errors"
	"slices"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/store"
)

// Contact is a person to tell about a vault's certificates.
type Contact struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
	Phone string `json:"phone,omitempty"`
}

// contactsRecord is the document of the contacts row.
type contactsRecord struct {
	Schema   int       `json:"schema"`
	Contacts []Contact `json:"contacts"`
}

// Limits of a vault's contacts.
const (
	maxContacts    = 100
	maxContactText = 320 // bytes; the longest e-mail address
)

// Contacts returns the vault's contacts.
//
// REST page: Get Certificate Contacts.
func (v *Vault) Contacts(ctx context.Context) ([]Contact, error) {
	r, _, err := v.contacts(ctx)
	return r.Contacts, err
}

func (v *Vault) contacts(ctx context.Context) (contactsRecord, store.ETag, error) {
	var r contactsRecord
	etag, err := v.get(ctx, contactsKey, &r)
	if errors.Is(err, store.ErrNotFound) {
		err = &Error{Reason: ContactsNotFound}
	}
	return r, etag, err
}

// SetContacts replaces the vault's contacts and returns them. None at all are
// something other than contacts that were deleted: they are found.
//
// REST page: Set Certificate Contacts.
func (v *Vault) SetContacts(ctx context.Context, contacts []Contact) ([]Contact, error) {
	if len(contacts) > maxContacts {
		return nil, field.Errorf("contacts", "%d entries: must be at most %d", len(contacts), maxContacts)
	}
	for _, c := range contacts {
		if c.Email == "" {
			return nil, field.Errorf("contacts.email", "must be present")
		}
		for _, text := range []string{c.Email, c.Name, c.Phone} {
			if len(text) > maxContactText || !field.IsText(text) {
				return nil, field.Errorf("contacts", "must be text of at most %d bytes", maxContactText)
			}
		}
	}
	var tx store.Tx
	tx.Put(store.NewRow(contactsKey, "", contactsRecord{store.Schema, contacts}))
	if _, err := v.cfg.Store.Commit(ctx, tx); err != nil {
		return nil, unavailable(err)
	}
	return slices.Clone(contacts), nil
}

// DeleteContacts deletes the vault's contacts and returns them.
//
// REST page: Delete Certificate Contacts.
func (v *Vault) DeleteContacts(ctx context.Context) ([]Contact, error) {
	var lastErr error
	var deleted []Contact // by a try whose answer may have been lost
	for range maxTries {
		r, etag, err := v.contacts(ctx)
		if reasonOf(err) == ContactsNotFound && deleted != nil {
			return deleted, nil
		}
		if reasonOf(err) == ContactsNotFound {
			if before, lookErr := v.removed(ctx); lookErr != nil {
				return nil, lookErr
			} else if before != nil && before.Contacts != nil {
				return before.Contacts, nil
			}
		}
		if err != nil {
			return nil, err
		}
		deleted = r.Contacts
		var tx store.Tx
		tx.Delete(contactsKey, etag)
		v.rememberRemoval(ctx, &tx, removal{Contacts: deleted})
		if _, lastErr = v.cfg.Store.Commit(ctx, tx); lastErr == nil {
			return deleted, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, unavailable(lastErr)
}
