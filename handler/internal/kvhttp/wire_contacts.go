package kvhttp

import "github.com/certwright/certwright/handler/internal/vault"

// contacts are Contacts.
type contacts struct {
	ID       string    `json:"id"`
	Contacts []contact `json:"contacts,omitempty"`
}

type contactsSet struct {
	Contacts []contact `json:"contacts"`
}

type contact struct {
	Email string `json:"email,omitempty"`
	Name  string `json:"name,omitempty"`
	Phone string `json:"phone,omitempty"`
}

func (s *contactsSet) params() []vault.Contact {
	var out []vault.Contact
	for _, c := range s.Contacts {
		out = append(out, vault.Contact(c))
	}
	return out
}

func (v view) contacts(list []vault.Contact) contacts {
	out := contacts{ID: v.links.contacts()}
	for _, c := range list {
		out.Contacts = append(out.Contacts, contact(c))
	}
	return out
}
