package kvhttp

import (
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/vault"
)

// issuer is an IssuerBundle. It has no place for a password.
type issuer struct {
	ID          string             `json:"id"`
	Provider    string             `json:"provider"`
	Credentials *issuerCredentials `json:"credentials,omitempty"` // this and the next: once they were sent
	Org         *issuerOrg         `json:"org_details,omitempty"`
	Attributes  attributes         `json:"attributes"`
}

type issuerCredentials struct {
	AccountID *string `json:"account_id,omitempty"`
}

type issuerOrg struct {
	ID     string         `json:"id,omitempty"`
	Zip    int            `json:"zip"` // always 0, as the live service sends it
	Admins []adminDetails `json:"admin_details,omitzero"`
}

// issuerSet are the parameters of set and update: what is nil was not sent.
type issuerSet struct {
	Provider    *string      `json:"provider"`
	Credentials *credentials `json:"credentials"`
	Org         *orgDetails  `json:"org_details"`
	Attributes  *attributes  `json:"attributes"`
}

type credentials struct {
	AccountID *string `json:"account_id"`
	Password  *string `json:"pwd"`
}

type orgDetails struct {
	ID     *string        `json:"id"`
	Admins []adminDetails `json:"admin_details"`
}

type adminDetails struct {
	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
	Email     string `json:"email,omitempty"`
	Phone     string `json:"phone,omitempty"`
}

// issuerItem is a CertificateIssuerItem.
type issuerItem struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
}

// params is the issuer as a caller sent it.
func (i *issuerSet) params() vault.IssuerSet {
	out := vault.IssuerSet{Provider: i.Provider}
	if c := i.Credentials; c != nil {
		out.HasCredentials, out.AccountID, out.Password = true, c.AccountID, c.Password
	}
	if o := i.Org; o != nil {
		out.Org = &vault.OrgParams{ID: o.ID}
		if o.Admins != nil {
			out.Org.Admins = []provider.AdminDetails{}
		}
		for _, a := range o.Admins {
			out.Org.Admins = append(out.Org.Admins, provider.AdminDetails(a))
		}
	}
	if a := i.Attributes; a != nil {
		out.Enabled = a.Enabled
	}
	return out
}

func (v view) issuer(o vault.IssuerState) issuer {
	out := issuer{
		ID:         v.links.issuer(o.Name),
		Provider:   o.Provider,
		Attributes: attributes{Enabled: &o.Enabled, Created: unixTime(&o.Created), Updated: unixTime(&o.Updated)},
	}
	if o.HasCredentials {
		out.Credentials = &issuerCredentials{}
		if o.HasAccount {
			out.Credentials.AccountID = &o.AccountID
		}
	}
	if o.HasOrg {
		out.Org = &issuerOrg{ID: o.Org.ID}
		if o.Org.Admins != nil {
			out.Org.Admins = []adminDetails{}
		}
		for _, a := range o.Org.Admins {
			out.Org.Admins = append(out.Org.Admins, adminDetails(a))
		}
	}
	return out
}

func (v view) issuerItem(o vault.IssuerState) issuerItem {
	return issuerItem{ID: v.links.issuer(o.Name), Provider: o.Provider}
}
