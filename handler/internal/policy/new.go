package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
)

// Defaults of a policy, as Key Vault fills them in.
const (
	defaultRSASize        = 2048
	defaultCurve          = "P-256"
	defaultValidityMonths = 12
	defaultPercentage     = 80
)

var (
	defaultEKUs     = []string{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"} // serverAuth, clientAuth
	defaultKeyUsage = []string{"digitalSignature", "keyEncipherment"}
)

// Limits of a policy.
const (
	maxEKUs            = 50
	maxValidityMonths  = 1200
	maxCertificateType = 128 // bytes
	daysPerMonth       = 27  // the REST page's bound of days_before_expiry
)

// New completes p with Key Vault's defaults and checks it. The error is
// a BadParameter.
//
// REST page: Create Certificate, CertificatePolicy.
func New(p Params, now time.Time) (Policy, error) {
	policy := Policy{
		X509: X509Properties{
			EKUs:           slices.Clone(defaultEKUs),
			KeyUsage:       slices.Clone(defaultKeyUsage),
			ValidityMonths: defaultValidityMonths,
		},
		Enabled: p.Enabled == nil || *p.Enabled,
		Created: now,
		Updated: now,
	}
	var err error
	if policy.Key, err = newKeyProperties(deref(p.Key)); err != nil {
		return Policy{}, err
	}
	if policy.ContentType, err = newContentType(p.ContentType); err != nil {
		return Policy{}, err
	}
	if err := policy.X509.set(deref(p.X509)); err != nil {
		return Policy{}, err
	}
	if policy.X509.Subject == "" && policy.X509.SANs.count() == 0 {
		return Policy{}, errNameless
	}
	if policy.Issuer, err = newIssuerParameters(deref(p.Issuer)); err != nil {
		return Policy{}, err
	}
	if err := checkOneAction(p.LifetimeActions); err != nil {
		return Policy{}, err
	}
	actions := p.LifetimeActions
	if actions == nil {
		actions = defaultLifetimeActions(policy.Issuer)
	}
	policy.LifetimeActions, err = newLifetimeActions(actions, policy.X509.ValidityMonths)
	return policy, err
}

// Update is old with the members that p has in place of its own; what was not
// sent stays. Lists are replaced whole, alternative names kind by kind. Only what
// was sent is checked: an imported policy may have what cannot be asked for. The
// error is a BadParameter.
//
// REST page: Update Certificate Policy.
func (old Policy) Update(p Params, now time.Time) (Policy, error) {
	policy := old
	if p.Enabled != nil {
		policy.Enabled = *p.Enabled
	}
	// On the wire times are whole seconds, and this one must grow.
	policy.Updated = old.Updated.Add(time.Second)
	if now.After(policy.Updated) {
		policy.Updated = now
	}
	err := policy.set(p)
	return policy, err
}

// set sets what p has, and checks it.
func (policy *Policy) set(p Params) error {
	var err error
	if p.Key != nil && *p.Key != (KeyParams{}) {
		if policy.Key, err = newKeyProperties(policy.Key.with(*p.Key)); err != nil {
			return err
		}
	}
	if p.ContentType != nil {
		if policy.ContentType, err = newContentType(p.ContentType); err != nil {
			return err
		}
	}
	if p.X509 != nil {
		if err := policy.X509.set(*p.X509); err != nil {
			return err
		}
	}
	if p.Issuer != nil {
		if policy.Issuer, err = newIssuerParameters(policy.Issuer.with(*p.Issuer)); err != nil {
			return err
		}
	}
	if p.LifetimeActions != nil {
		if err = checkOneAction(p.LifetimeActions); err != nil {
			return err
		}
		policy.LifetimeActions = p.LifetimeActions
	}
	// Checked even when not sent: their bounds follow the validity.
	policy.LifetimeActions, err = newLifetimeActions(policy.LifetimeActions, policy.X509.ValidityMonths)
	return err
}

// with is k as a caller who sends p wants it. A size or a curve that was not sent
// stays as far as it goes with what was: the one follows the other, and neither
// outlives the family of keys that it is of.
func (k KeyProperties) with(p KeyParams) KeyParams {
	merged := KeyParams{
		Exportable: cmp.Or(p.Exportable, &k.Exportable),
		Type:       cmp.Or(p.Type, &k.Type),
		Size:       p.Size,
		Curve:      p.Curve,
		Reuse:      cmp.Or(p.Reuse, &k.Reuse),
	}
	if p.Size == nil && deref(p.Curve) == "" && isEC(*merged.Type) == isEC(k.Type) {
		merged.Size, merged.Curve = &k.Size, &k.Curve
	}
	return merged
}

func isEC(kty string) bool { return strings.EqualFold(kty, KeyEC) || strings.EqualFold(kty, KeyECHSM) }

// with is i as a caller who sends p wants it.
func (i IssuerParameters) with(p IssuerParams) IssuerParams {
	return IssuerParams{
		Name:            cmp.Or(p.Name, &i.Name),
		CertificateType: cmp.Or(p.CertificateType, &i.CertificateType),
		Transparency:    cmp.Or(p.Transparency, i.Transparency),
	}
}

func newKeyProperties(p KeyParams) (KeyProperties, error) {
	const path = "policy.key_props."
	k := KeyProperties{
		Exportable: p.Exportable == nil || *p.Exportable,
		Type:       KeyRSA,
		Size:       deref(p.Size),
		Curve:      deref(p.Curve),
		Reuse:      deref(p.Reuse),
	}
	if p.Type != nil {
		var ok bool
		if k.Type, ok = canonical(*p.Type, KeyRSA, KeyRSAHSM, KeyEC, KeyECHSM); !ok {
			return KeyProperties{}, field.Errorf(path+"kty", "%q: must be RSA, RSA-HSM, EC or EC-HSM", *p.Type)
		}
	}
	switch k.Type {
	case KeyRSA, KeyRSAHSM:
		if k.Curve != "" {
			return KeyProperties{}, field.Errorf(path+"crv", "%q: must be absent for an RSA key", k.Curve)
		}
		if p.Size == nil {
			k.Size = defaultRSASize
		}
		if !slices.Contains(rsaSizes, k.Size) {
			return KeyProperties{}, field.Errorf(path+"key_size", "%d: must be 2048, 3072 or 4096 for an RSA key", k.Size)
		}
	case KeyEC, KeyECHSM:
		if k.Curve == "" {
			k.Curve = defaultCurve
			for name, curve := range curves {
				if curve.Params().BitSize == k.Size {
					k.Curve = name
				}
			}
		}
		name, ok := canonical(k.Curve, "P-256", "P-384", "P-521")
		if !ok {
			return KeyProperties{}, field.Errorf(path+"crv", "%q: must be P-256, P-384 or P-521", k.Curve)
		}
		k.Curve = name
		size := curves[name].Params().BitSize
		if p.Size != nil && k.Size != size {
			return KeyProperties{}, field.Errorf(path+"key_size", "%d: must be %d for an EC key on %s", k.Size, size, name)
		}
		k.Size = size
	}
	// REST page, JsonWebKeyType: the HSM types do not leave the module.
	if k.Type == KeyRSAHSM || k.Type == KeyECHSM {
		k.Exportable = false
	}
	return k, nil
}

func newContentType(sent *string) (string, error) {
	if sent == nil {
		return ContentPKCS12, nil
	}
	return ParseContentType("policy.secret_props.contentType", *sent)
}

// ParseContentType is ContentPKCS12 or ContentPEM, whichever a client means by
// s. The error is a *field.Error of the field at path.
func ParseContentType(path, s string) (string, error) {
	contentType, ok := canonical(s, ContentPKCS12, ContentPEM)
	if !ok {
		return "", field.Errorf(path, "%q: must be %s or %s", s, ContentPKCS12, ContentPEM)
	}
	return contentType, nil
}

// errNameless refuses a certificate that names nobody. RFC 5280 section 4.1.2.6.
var errNameless = field.Errorf("policy.x509_props", "neither a subject nor a subject alternative name")

// set sets what p has, and checks it.
func (x *X509Properties) set(p X509Params) error {
	const path = "policy.x509_props"
	if p.Subject != nil {
		if _, err := parseSubject(*p.Subject); err != nil {
			return &field.Error{
				Detail: "Property policy.x509_props has invalid value. Invalid X.500 distinguished name\r\n",
				Err:    err,
			}
		}
		x.Subject = *p.Subject
		if strings.Trim(x.Subject, " ") == "" {
			x.Subject = ""
		}
	}
	if p.SANs != nil {
		if err := p.SANs.check(); err != nil {
			return err
		}
		x.SANs = x.SANs.with(p.SANs)
		if err := x.SANs.checkTotal(); err != nil {
			return err
		}
	}
	if (p.Subject != nil || p.SANs != nil) && x.Subject == "" && x.SANs.count() == 0 {
		return errNameless
	}
	if p.EKUs != nil {
		if len(p.EKUs) > maxEKUs {
			return field.Errorf(path+".ekus", "%d OIDs: must be at most %d", len(p.EKUs), maxEKUs)
		}
		for _, eku := range p.EKUs {
			if _, err := parseOID(eku); err != nil {
				return field.Errorf(path+".ekus", "%q: must be a dotted OID", eku)
			}
		}
		x.EKUs = slices.Clone(p.EKUs)
	}
	if p.KeyUsage != nil {
		var err error
		if x.KeyUsage, err = newKeyUsage(p.KeyUsage); err != nil {
			return err
		}
	}
	// The REST page allows 0 months, which is not a validity: it means not set.
	if months := deref(p.ValidityMonths); months != 0 {
		if months < 0 || months > maxValidityMonths {
			return field.Errorf(path+".validity_months", "%d: must be 0 to %d", months, maxValidityMonths)
		}
		x.ValidityMonths = months
	}
	if p.CA != nil {
		x.CA = *p.CA
	}
	return nil
}

// newKeyUsage brings key usages into Key Vault's spelling and order. An empty
// list, unlike none, asks for a certificate without the extension.
func newKeyUsage(sent []string) ([]string, error) {
	usages := []string{}
	for _, s := range sent {
		usage, ok := canonical(s, keyUsages...)
		if !ok {
			return nil, field.Errorf("policy.x509_props.key_usage", "%q: must be among %s", s, strings.Join(keyUsages, ", "))
		}
		usages = append(usages, usage)
	}
	slices.Sort(usages)
	return slices.Compact(usages), nil
}

func newIssuerParameters(p IssuerParams) (IssuerParameters, error) {
	issuer := IssuerParameters{Name: IssuerUnknown, CertificateType: deref(p.CertificateType), Transparency: p.Transparency}
	if p.Name != nil {
		issuer.Name = *p.Name
		if !IsName(issuer.Name) {
			return IssuerParameters{}, field.Errorf("policy.issuer.name", "%q: must be the name of an issuer", issuer.Name)
		}
	}
	if len(issuer.CertificateType) > maxCertificateType || !field.IsText(issuer.CertificateType) {
		return IssuerParameters{}, field.Errorf("policy.issuer.cty", "must be text of at most %d bytes", maxCertificateType)
	}
	return issuer, nil
}

func defaultLifetimeActions(issuer IssuerParameters) []LifetimeAction {
	action := ActionAutoRenew
	if strings.EqualFold(issuer.Name, IssuerUnknown) {
		action = ActionEmailContacts // a person brings the next one
	}
	return []LifetimeAction{{Percentage: defaultPercentage, Action: action}}
}

// checkOneAction refuses a second action, as Key Vault does. Policies that version
// 0.1.0 stored may have two.
func checkOneAction(sent []LifetimeAction) error {
	if len(sent) > 1 {
		return field.Errorf("policy.lifetime_actions", "At most one action is allowed")
	}
	return nil
}

// newLifetimeActions checks actions for a certificate of so many months.
func newLifetimeActions(sent []LifetimeAction, months int) ([]LifetimeAction, error) {
	const path = "policy.lifetime_actions"
	actions := []LifetimeAction{}
	for _, a := range sent {
		action, ok := canonical(a.Action, ActionAutoRenew, ActionEmailContacts)
		if !ok {
			return nil, field.Errorf(path+".action.action_type", "%q: must be %s or %s", a.Action, ActionAutoRenew, ActionEmailContacts)
		}
		switch {
		case (a.Percentage == 0) == (a.DaysBefore == 0):
			return nil, field.Errorf(path+".trigger", "must have one of lifetime_percentage and days_before_expiry")
		case a.Percentage < 0 || a.Percentage > 99:
			return nil, field.Errorf(path+".trigger.lifetime_percentage", "%d: must be 1 to 99", a.Percentage)
		case a.DaysBefore < 0 || a.DaysBefore > months*daysPerMonth:
			return nil, field.Errorf(path+".trigger.days_before_expiry", "%d: must be 1 to %d, %d for each month of validity", a.DaysBefore, months*daysPerMonth, daysPerMonth)
		}
		a.Action = action
		actions = append(actions, a)
	}
	return actions, nil
}

// canonical finds s among spellings without regard to case.
func canonical(s string, spellings ...string) (string, bool) {
	i := slices.IndexFunc(spellings, func(spelling string) bool { return strings.EqualFold(s, spelling) })
	if i < 0 {
		return "", false
	}
	return spellings[i], true
}

// deref is what p points to, the zero value when it is nil.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
