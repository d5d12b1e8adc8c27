package policy

import (
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
	policy := Policy{Enabled: p.Enabled == nil || *p.Enabled, Created: now, Updated: now}
	if err := policy.setGroups(p, true); err != nil {
		return Policy{}, err
	}
	return policy, nil
}

// Update is old with the groups that p has in place of its own: key_props,
// secret_props, x509_props, lifetime_actions and issuer each as a whole, with
// defaults where p leaves something out. A group that says nothing is no group:
// the JavaScript client sends empty ones along with what it changes. The error
// is a BadParameter.
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
	if err := policy.setGroups(p, false); err != nil {
		return Policy{}, err
	}
	return policy, nil
}

// setGroups sets the groups that p has, and all of them when all is set.
func (policy *Policy) setGroups(p Params, all bool) error {
	var err error
	if p.Key != nil && *p.Key != (KeyParams{}) || all {
		if policy.Key, err = newKeyProperties(deref(p.Key)); err != nil {
			return err
		}
	}
	if p.ContentType != nil || all {
		if policy.ContentType, err = newContentType(p.ContentType); err != nil {
			return err
		}
	}
	if p.X509 != nil && !p.X509.empty() || all {
		if policy.X509, err = newX509Properties(deref(p.X509)); err != nil {
			return err
		}
	}
	if p.Issuer != nil && *p.Issuer != (IssuerParams{}) || all {
		if policy.Issuer, err = newIssuerParameters(deref(p.Issuer)); err != nil {
			return err
		}
	}
	if p.LifetimeActions != nil {
		if err = checkOneAction(p.LifetimeActions); err != nil {
			return err
		}
		policy.LifetimeActions = p.LifetimeActions
	} else if all {
		policy.LifetimeActions = defaultLifetimeActions(policy.Issuer)
	}
	// Checked even when not sent: their bounds follow the validity.
	policy.LifetimeActions, err = newLifetimeActions(policy.LifetimeActions, policy.X509.ValidityMonths)
	return err
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

// empty reports whether p says nothing. Empty alternative names alone would
// leave a certificate without any name.
func (p X509Params) empty() bool {
	return p.Subject == nil && p.SANs.count() == 0 && p.EKUs == nil && p.KeyUsage == nil && p.ValidityMonths == nil && p.CA == nil
}

func newX509Properties(p X509Params) (X509Properties, error) {
	const path = "policy.x509_props"
	x := X509Properties{
		Subject:        deref(p.Subject),
		SANs:           p.SANs.clone(),
		EKUs:           slices.Clone(p.EKUs),
		ValidityMonths: deref(p.ValidityMonths),
		CA:             deref(p.CA),
	}
	if _, err := parseSubject(x.Subject); err != nil {
		return X509Properties{}, &field.Error{
			Detail: "Property policy.x509_props has invalid value. Invalid X.500 distinguished name\r\n",
			Err:    err,
		}
	}
	if strings.Trim(x.Subject, " ") == "" {
		if x.Subject = ""; x.SANs.count() == 0 {
			return X509Properties{}, field.Errorf(path, "neither a subject nor a subject alternative name")
		}
	}
	if err := x.SANs.check(); err != nil {
		return X509Properties{}, err
	}
	if p.EKUs == nil {
		x.EKUs = slices.Clone(defaultEKUs)
	}
	if len(x.EKUs) > maxEKUs {
		return X509Properties{}, field.Errorf(path+".ekus", "%d OIDs: must be at most %d", len(x.EKUs), maxEKUs)
	}
	for _, eku := range x.EKUs {
		if _, err := parseOID(eku); err != nil {
			return X509Properties{}, field.Errorf(path+".ekus", "%q: must be a dotted OID", eku)
		}
	}
	var err error
	if x.KeyUsage, err = newKeyUsage(p.KeyUsage); err != nil {
		return X509Properties{}, err
	}
	// The REST page allows 0 months, which is no validity: it means not set.
	if x.ValidityMonths == 0 {
		x.ValidityMonths = defaultValidityMonths
	}
	if x.ValidityMonths < 0 || x.ValidityMonths > maxValidityMonths {
		return X509Properties{}, field.Errorf(path+".validity_months", "%d: must be 0 to %d", x.ValidityMonths, maxValidityMonths)
	}
	return x, nil
}

// newKeyUsage brings key usages into Key Vault's spelling and order. An empty
// list, unlike none, asks for a certificate without the extension.
func newKeyUsage(sent []string) ([]string, error) {
	if sent == nil {
		return slices.Clone(defaultKeyUsage), nil
	}
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
	action := ActionEmailContacts
	if strings.EqualFold(issuer.Name, IssuerSelf) {
		action = ActionAutoRenew
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
