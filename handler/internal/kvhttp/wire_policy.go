package kvhttp

import "github.com/certwright/certwright/handler/internal/policy"

// certificatePolicy is a CertificatePolicy.
type certificatePolicy struct {
	ID              string           `json:"id,omitempty"`
	Key             *keyProps        `json:"key_props,omitempty"`
	Secret          *secretProps     `json:"secret_props,omitempty"`
	X509            *x509Props       `json:"x509_props,omitempty"`
	LifetimeActions []lifetimeAction `json:"lifetime_actions"`
	Issuer          *issuerParams    `json:"issuer,omitempty"`
	Attributes      *attributes      `json:"attributes,omitempty"`
	Platform        platformManaged  `json:"platform_managed,omitzero"` // never in an answer
}

// platformManaged refuses certificates that Azure itself would manage: to make one
// as if that had not been asked for would promise what nobody does.
type platformManaged struct{}

func (*platformManaged) UnmarshalJSON(sent []byte) error {
	if string(sent) == "null" {
		return nil
	}
	return badProperty("policy.platform_managed", "this vault has no certificates that the platform manages; leave it out")
}

type keyProps struct {
	Exportable *bool   `json:"exportable,omitempty"`
	Type       *string `json:"kty,omitempty"`
	Size       *int    `json:"key_size,omitempty"`
	Reuse      *bool   `json:"reuse_key,omitempty"`
	Curve      *string `json:"crv,omitempty"` // elliptic curve keys only
}

type secretProps struct {
	ContentType *string `json:"contentType,omitempty"`
}

type x509Props struct {
	Subject          *string           `json:"subject,omitempty"`
	SANs             *sans             `json:"sans,omitempty"` // {} when the caller sent {}
	EKUs             []string          `json:"ekus"`
	KeyUsage         []string          `json:"key_usage"`
	ValidityMonths   *int              `json:"validity_months,omitempty"`
	BasicConstraints *basicConstraints `json:"basic_constraints,omitempty"`
}

type sans struct {
	Emails      []string `json:"emails,omitzero"`
	DNSNames    []string `json:"dns_names,omitzero"`
	UPNs        []string `json:"upns,omitzero"`
	URIs        []string `json:"uris,omitzero"`
	IPAddresses []string `json:"ipAddresses,omitzero"`
}

type basicConstraints struct {
	CA *bool `json:"ca,omitempty"`
}

type lifetimeAction struct {
	Trigger trigger `json:"trigger"`
	Action  action  `json:"action"`
}

type trigger struct {
	LifetimePercentage int `json:"lifetime_percentage,omitempty"`
	DaysBeforeExpiry   int `json:"days_before_expiry,omitempty"`
}

type action struct {
	Type string `json:"action_type"`
}

type issuerParams struct {
	Name            *string `json:"name,omitempty"`
	CertificateType *string `json:"cty,omitempty"`
	Transparency    *bool   `json:"cert_transparency,omitempty"`
}

// params is the policy as a caller sent it.
func (p *certificatePolicy) params() *policy.Params {
	if p == nil {
		return nil
	}
	out := &policy.Params{}
	if k := p.Key; k != nil {
		out.Key = &policy.KeyParams{Exportable: k.Exportable, Type: k.Type, Size: k.Size, Curve: k.Curve, Reuse: k.Reuse}
	}
	if s := p.Secret; s != nil {
		out.ContentType = s.ContentType
	}
	if x := p.X509; x != nil {
		out.X509 = &policy.X509Params{
			Subject:        x.Subject,
			EKUs:           x.EKUs,
			KeyUsage:       x.KeyUsage,
			ValidityMonths: x.ValidityMonths,
		}
		if s := x.SANs; s != nil {
			out.X509.SANs = &policy.SANs{Emails: s.Emails, DNSNames: s.DNSNames, UPNs: s.UPNs, URIs: s.URIs, IPAddresses: s.IPAddresses}
		}
		if b := x.BasicConstraints; b != nil {
			out.X509.CA = b.CA
		}
	}
	if p.LifetimeActions != nil {
		out.LifetimeActions = []policy.LifetimeAction{}
	}
	for _, a := range p.LifetimeActions {
		out.LifetimeActions = append(out.LifetimeActions, policy.LifetimeAction{
			Percentage: a.Trigger.LifetimePercentage,
			DaysBefore: a.Trigger.DaysBeforeExpiry,
			Action:     a.Action.Type,
		})
	}
	if i := p.Issuer; i != nil {
		out.Issuer = &policy.IssuerParams{Name: i.Name, CertificateType: i.CertificateType, Transparency: i.Transparency}
	}
	if a := p.Attributes; a != nil {
		out.Enabled = a.Enabled
	}
	return out
}

// policy shows p, the policy of the certificate called name.
func (v view) policy(name string, p *policy.Policy) *certificatePolicy {
	out := &certificatePolicy{
		ID: v.links.policy(name),
		Key: &keyProps{
			Exportable: &p.Key.Exportable,
			Type:       &p.Key.Type,
			Size:       &p.Key.Size,
			Reuse:      &p.Key.Reuse,
			Curve:      unlessZero(p.Key.Curve),
		},
		Secret: &secretProps{ContentType: &p.ContentType},
		X509: &x509Props{
			Subject:          unlessZero(p.X509.Subject),
			SANs:             v.sans(p.X509.SANs),
			EKUs:             p.X509.EKUs,
			KeyUsage:         p.X509.KeyUsage,
			ValidityMonths:   &p.X509.ValidityMonths,
			BasicConstraints: &basicConstraints{CA: &p.X509.CA},
		},
		LifetimeActions: []lifetimeAction{},
		Issuer: &issuerParams{
			Name:            &p.Issuer.Name,
			CertificateType: unlessZero(p.Issuer.CertificateType),
			Transparency:    p.Issuer.Transparency,
		},
		Attributes: &attributes{Enabled: &p.Enabled, Created: unixTime(&p.Created), Updated: unixTime(&p.Updated)},
	}
	for _, a := range p.LifetimeActions {
		out.LifetimeActions = append(out.LifetimeActions, lifetimeAction{
			Trigger: trigger{LifetimePercentage: a.Percentage, DaysBeforeExpiry: a.DaysBefore},
			Action:  action{Type: a.Action},
		})
	}
	return out
}

func (v view) sans(s *policy.SANs) *sans {
	if s == nil {
		return nil
	}
	out := &sans{Emails: s.Emails, DNSNames: s.DNSNames, UPNs: s.UPNs}
	if v.api >= sinceURIAndIPNames {
		out.URIs, out.IPAddresses = s.URIs, s.IPAddresses
	}
	return out
}

// unlessZero leaves an empty text out of an answer.
func unlessZero(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
