package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Policy says how a certificate's next version is made. It is complete and
// valid: New, Update and Imported are the only ways to one.
//
// REST page: Create Certificate, CertificatePolicy.
type Policy struct {
	Key             KeyProperties    `json:"key"`
	ContentType     string           `json:"contentType"` // of the backing secret: ContentPKCS12 or ContentPEM
	X509            X509Properties   `json:"x509"`
	LifetimeActions []LifetimeAction `json:"lifetimeActions"`
	Issuer          IssuerParameters `json:"issuer"`
	Enabled         bool             `json:"enabled"`
	Created         time.Time        `json:"created"`
	Updated         time.Time        `json:"updated"`
}

// storedSchema is the number of the form in which policies are stored. It says in
// which direction a subject is to be read:
//
//	1  as parseSubject reads it
//	0  as release 0.1.0 did, from the first RDN to the last; it stored no number
const storedSchema = 1

// storedPolicy is a policy as it is stored.
type storedPolicy struct {
	Schema int `json:"schema"`
	plainPolicy
}

// plainPolicy is a Policy without its methods.
type plainPolicy Policy

// MarshalJSON stores the policy under the number of today's form. As in the row around
// it (store.NewRow), <, > and & take a byte each.
func (p Policy) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(storedPolicy{storedSchema, plainPolicy(p)})
	return b.Bytes(), err
}

// UnmarshalJSON reads a policy of any number that there has been, and turns the
// subject of an old one, so that it means the same name. Whatever is written again has
// today's number, and is not turned again. The error is about a policy that a newer
// program stored.
func (p *Policy) UnmarshalJSON(b []byte) error {
	stored := storedPolicy{plainPolicy: plainPolicy(*p)}
	if err := json.Unmarshal(b, &stored); err != nil {
		return err
	}
	if stored.Schema > storedSchema {
		return fmt.Errorf("a policy has schema %d, this program knows %d", stored.Schema, storedSchema)
	}
	*p = Policy(stored.plainPolicy)
	if stored.Schema == 0 {
		p.X509.Subject = turned(p.X509.Subject)
	}
	return nil
}

// Media types of the backing secret.
const (
	ContentPKCS12 = "application/x-pkcs12"
	ContentPEM    = "application/x-pem-file"
)

// KeyProperties describe the key pair of a version.
type KeyProperties struct {
	Exportable bool   `json:"exportable"`
	Type       string `json:"type"`            // KeyRSA or KeyEC, or their -HSM forms
	Size       int    `json:"size"`            // bits
	Curve      string `json:"curve,omitempty"` // P-256, P-384 or P-521; empty for RSA
	Reuse      bool   `json:"reuse"`           // the next version keeps the key pair
}

// Key types (JWK kty).
const (
	KeyRSA    = "RSA"
	KeyEC     = "EC"
	KeyRSAHSM = "RSA-HSM"
	KeyECHSM  = "EC-HSM"
)

// X509Properties are what the CSR asks for.
type X509Properties struct {
	Subject        string   `json:"subject,omitempty"` // X.500 string as written
	SANs           *SANs    `json:"sans,omitempty"`    // nil when the caller sent none; empty when the caller sent {}
	EKUs           []string `json:"ekus"`              // dotted OIDs
	KeyUsage       []string `json:"keyUsage"`          // Key Vault's names, sorted
	ValidityMonths int      `json:"validityMonths"`
	CA             bool     `json:"ca,omitempty"`
}

// SANs are subject alternative names as written. RFC 5280 section 4.2.1.6. A list
// that is empty but not nil is shown; imported certificates have such.
type SANs struct {
	DNSNames    []string `json:"dnsNames,omitzero"`
	Emails      []string `json:"emails,omitzero"`
	UPNs        []string `json:"upns,omitzero"`
	URIs        []string `json:"uris,omitzero"`
	IPAddresses []string `json:"ipAddresses,omitzero"`
}

// LifetimeAction says what happens when; one of Percentage and DaysBefore is
// set.
type LifetimeAction struct {
	Percentage int    `json:"percentage,omitempty"` // of the lifetime, 1 to 99
	DaysBefore int    `json:"daysBefore,omitempty"` // before expiry
	Action     string `json:"action"`               // ActionAutoRenew or ActionEmailContacts
}

// Lifetime actions.
const (
	ActionAutoRenew     = "AutoRenew"
	ActionEmailContacts = "EmailContacts"
)

// IssuerParameters name the issuer of the next version.
type IssuerParameters struct {
	Name            string `json:"name"`                      // Self, Unknown or an issuer object, as written
	CertificateType string `json:"certificateType,omitempty"` // cty: the issuer's product or profile
	Transparency    *bool  `json:"transparency,omitempty"`
}

// Names of issuers without an issuer object. They are compared without case.
const (
	IssuerSelf    = "Self"
	IssuerUnknown = "Unknown"
)

// Params are a policy as a caller sends it: what is nil was not sent.
type Params struct {
	Key             *KeyParams
	ContentType     *string // secret_props.contentType
	X509            *X509Params
	LifetimeActions []LifetimeAction // nil: not sent
	Issuer          *IssuerParams
	Enabled         *bool
}

// KeyParams are key_props as sent.
type KeyParams struct {
	Exportable *bool
	Type       *string
	Size       *int
	Curve      *string
	Reuse      *bool
}

// X509Params are x509_props as sent.
type X509Params struct {
	Subject        *string
	SANs           *SANs
	EKUs           []string // nil: not sent
	KeyUsage       []string // nil: not sent
	ValidityMonths *int
	CA             *bool
}

// IssuerParams are policy.issuer as sent.
type IssuerParams struct {
	Name            *string
	CertificateType *string
	Transparency    *bool
}

// HasAction reports whether one of a policy's lifetime actions is of this kind.
func (p Policy) HasAction(action string) bool {
	_, ok := p.Action(action)
	return ok
}

// Action is the first of a policy's lifetime actions of this kind.
func (p Policy) Action(action string) (LifetimeAction, bool) {
	i := slices.IndexFunc(p.LifetimeActions, func(a LifetimeAction) bool { return a.Action == action })
	if i < 0 {
		return LifetimeAction{}, false
	}
	return p.LifetimeActions[i], true
}
