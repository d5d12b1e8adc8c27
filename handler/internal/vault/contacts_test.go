package vault_test

// Contacts.

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/store/storetest"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestContacts(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	absent := func(what string, err error) {
		t.Helper()
		if reason(t, err) != vault.ContactsNotFound {
			t.Errorf("%s: %v, want ContactsNotFound", what, err)
		}
	}
	_, err := h.Contacts(ctx)
	absent("contacts of a new vault", err)
	_, err = h.DeleteContacts(ctx)
	absent("deleting none", err)

	for _, list := range [][]vault.Contact{
		{{Email: "a@example.com", Name: "A", Phone: "1"}, {Email: "b@example.com"}},
		{{Email: "c@example.com"}},
	} {
		set, err := h.SetContacts(ctx, list)
		if diff := cmp.Diff(list, set); err != nil || diff != "" {
			t.Errorf("SetContacts: %v, differs by\n%s", err, diff)
		}
		got, err := h.Contacts(ctx)
		if diff := cmp.Diff(list, got); err != nil || diff != "" {
			t.Errorf("Contacts: %v, differs by\n%s", err, diff)
		}
	}
	deleted, err := h.DeleteContacts(ctx)
	if err != nil || len(deleted) != 1 || deleted[0].Email != "c@example.com" {
		t.Errorf("DeleteContacts = %v, %v; want what was there", deleted, err)
	}
	_, err = h.Contacts(ctx)
	absent("contacts after they were deleted", err)
}

func TestContactsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	for what, list := range map[string][]vault.Contact{
		"without an e-mail": {{Name: "A"}},
		"too many":          make([]vault.Contact, 101),
		"too long":          {{Email: "a@example.com", Phone: strings.Repeat("1", 321)}},
		"no text":           {{Email: "a@example.com\x00"}},
	} {
		if _, err := h.SetContacts(context.Background(), list); reason(t, err) != vault.BadParameter {
			t.Errorf("%s: %v, want BadParameter", what, err)
		}
	}
}

// TestDeleteContactsUnanswered: a deletion whose answer is lost was still ours.
func TestDeleteContactsUnanswered(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx := context.Background()
	if _, err := h.SetContacts(ctx, []vault.Contact{{Email: "a@example.com"}}); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []storetest.Fault{storetest.Lost, storetest.AppliedButFailed} {
		v := open(t, storetest.NewFaulty(h.store, storetest.Nth(2, fault)), h.clock, nil)
		if _, err := h.SetContacts(ctx, []vault.Contact{{Email: "a@example.com"}}); err != nil {
			t.Fatal(err)
		}
		if deleted, err := v.DeleteContacts(ctx); err != nil || len(deleted) != 1 {
			t.Errorf("%s: DeleteContacts = %v, %v", fault, deleted, err)
		}
	}
}
