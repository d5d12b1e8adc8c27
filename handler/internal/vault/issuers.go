package vault

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// issuerRecord is the document of an issuer object's row.
type issuerRecord struct {
	Schema     int                          `json:"schema"`
	ID         string                       `json:"id"` // a new one whenever the provider changes; operations pin it
	Name       string                       `json:"name"`
	Provider   string                       `json:"provider"`
	AccountID  *string                      `json:"accountId,omitempty"`
	PasswordID string                       `json:"passwordId,omitempty"`
	Password   []byte                       `json:"password,omitempty"`      // sealed
	Bound      bool                         `json:"passwordBound,omitempty"` // to ID and Provider; 0.1.0 sealed to the name alone
	Org        provider.OrganizationDetails `json:"org"`
	// A PUT had credentials, or org_details, with nothing inside.
	EmptyCredentials bool      `json:"emptyCredentials,omitempty"`
	EmptyOrg         bool      `json:"emptyOrg,omitempty"`
	Enabled          bool      `json:"enabled"`
	Pause            *Pause    `json:"pause,omitempty"`
	Created          time.Time `json:"created"`
	Updated          time.Time `json:"updated"`
}

// Pause keeps ticks from an issuer's work.
type Pause struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero: until it is resumed
	By     string    `json:"by"`             // "operator": a person; "breaker": ticks that saw its CA fail again and again
	Reason string    `json:"reason"`
	Opens  int       `json:"opens,omitempty"` // how often in a row the breaker has opened
}

// Authors of a pause.
const (
	pausedByOperator = "operator"
	pausedByBreaker  = "breaker"
)

// IssuerState is an issuer object, and whether ticks work on what it is asked.
type IssuerState struct {
	provider.Issuer
	HasCredentials, HasOrg bool   // they were ever set, even to nothing
	Pause                  *Pause // nil: work goes on
}

// IssuerSet is an issuer object as sent: what is nil was not sent.
type IssuerSet struct {
	Provider            *string
	HasCredentials      bool // sent, even if there was nothing inside
	AccountID, Password *string
	Org                 *OrgParams
	Enabled             *bool
}

// OrgParams are org_details as sent.
type OrgParams struct {
	ID     *string
	Admins []provider.AdminDetails // nil: not sent
}

// SetIssuer creates or replaces an issuer object. Its password is sealed and
// never leaves the vault again.
//
// REST page: Set Certificate Issuer.
func (v *Vault) SetIssuer(ctx context.Context, n Name, set IssuerSet) (IssuerState, error) {
	if set.Provider == nil || *set.Provider == "" {
		return IssuerState{}, field.Errorf("provider", "must be present")
	}
	state, err := v.changeIssuer(ctx, n, func(old *issuerRecord) (*issuerRecord, error) {
		r := &issuerRecord{Name: n.text, Enabled: true, Created: v.now(), ID: v.newID()}
		if old != nil {
			r.Name, r.Created, r.Updated, r.Pause = old.Name, old.Created, old.Updated, old.Pause
			if strings.EqualFold(old.Provider, *set.Provider) {
				r.ID = old.ID
			}
		}
		r.EmptyCredentials = set.HasCredentials && set.AccountID == nil && set.Password == nil
		r.EmptyOrg = set.Org != nil && (set.Org.ID == nil || *set.Org.ID == "") && set.Org.Admins == nil
		return r, v.applyIssuer(ctx, r, set)
	})
	if err == nil {
		v.forgiveIssuer(ctx, n.text)
	}
	return state, err
}

// UpdateIssuer changes the members of an issuer object that are sent; the list of
// administrators is replaced whole.
//
// Another provider does not get the password that the one before had: it is dropped,
// unless a new one is sent.
//
// REST page: Update Certificate Issuer.
func (v *Vault) UpdateIssuer(ctx context.Context, n Name, set IssuerSet) (IssuerState, error) {
	changed := false
	state, err := v.changeIssuer(ctx, n, func(old *issuerRecord) (*issuerRecord, error) {
		if old == nil {
			return nil, &Error{Reason: IssuerNotFound, Name: n.text}
		}
		r := *old
		if set.Provider != nil && !strings.EqualFold(old.Provider, *set.Provider) {
			r.ID = v.newID()
			r.dropPassword() // whoever may name another provider need not know it
		}
		err := v.applyIssuer(ctx, &r, set)
		after := r
		after.Schema, after.Updated, after.Pause = old.Schema, old.Updated, old.Pause
		changed = changed || !reflect.DeepEqual(*old, after)
		return &r, err
	})
	if err == nil && changed {
		v.forgiveIssuer(ctx, n.text)
	}
	return state, err
}

func (v *Vault) applyIssuer(ctx context.Context, r *issuerRecord, set IssuerSet) error {
	if set.Provider != nil {
		r.Provider = *set.Provider
	}
	if set.AccountID != nil {
		r.AccountID = set.AccountID
	}
	if o := set.Org; o != nil {
		if o.ID != nil {
			r.Org.ID = *o.ID
		}
		if o.Admins != nil {
			r.Org.Admins = o.Admins
		}
	}
	if set.Enabled != nil {
		r.Enabled = *set.Enabled
	}
	if err := r.check(); err != nil {
		return err
	}
	if set.Password != nil {
		if len(*set.Password) > maxPassword {
			return field.Errorf("credentials.pwd", "must be at most %d bytes", maxPassword)
		}
		if err := v.sealPassword(ctx, r, []byte(*set.Password)); err != nil {
			return err
		}
	}
	ca, ok := v.provider(r.Provider)
	if !ok {
		return field.Errorf("provider", "%q: must be a provider of this vault, which has %s", r.Provider, v.providerNames())
	}
	r.Schema, r.Updated = store.Schema, later(v.now(), r.Updated)
	if r.Pause != nil && r.Pause.By == pausedByBreaker {
		r.Pause = nil // what was wrong may be mended now
	}
	if c, ok := ca.(provider.IssuerChecker); ok {
		return asBadParameter("org_details", c.CheckIssuer(r.object()))
	}
	return nil
}

// Limits of an issuer object, in bytes; far above what people have.
const (
	maxPassword   = 4 << 10
	maxIssuerText = 1 << 10
	maxAdmins     = 100
)

func (r *issuerRecord) check() error {
	if len(r.Org.Admins) > maxAdmins {
		return field.Errorf("org_details.admin_details", "%d entries: must be at most %d", len(r.Org.Admins), maxAdmins)
	}
	texts := [][2]string{{"provider", r.Provider}, {"org_details.id", r.Org.ID}}
	if r.AccountID != nil {
		texts = append(texts, [2]string{"credentials.account_id", *r.AccountID})
	}
	for _, a := range r.Org.Admins {
		for _, s := range []string{a.FirstName, a.LastName, a.Email, a.Phone} {
			texts = append(texts, [2]string{"org_details.admin_details", s})
		}
	}
	for _, text := range texts {
		if len(text[1]) > maxIssuerText {
			return field.Errorf(text[0], "a text of %d bytes: must be at most %d", len(text[1]), maxIssuerText)
		}
	}
	return nil
}

// Issuer returns an issuer object, without its password.
//
// REST page: Get Certificate Issuer.
func (v *Vault) Issuer(ctx context.Context, n Name) (IssuerState, error) {
	r, err := v.issuerRecord(ctx, n)
	if err != nil {
		return IssuerState{}, err
	}
	return r.state(), nil
}

// Issuers lists issuer objects by name.
//
// REST page: Get Certificate Issuers.
func (v *Vault) Issuers(ctx context.Context, p Page) ([]IssuerState, string, error) {
	rows, next, err := v.page(ctx, "i:", p, nil)
	if err != nil {
		return nil, "", err
	}
	var list []IssuerState
	for _, r := range readable[issuerRecord](ctx, v, rows) {
		list = append(list, r.state())
	}
	return list, next, nil
}

// DeleteIssuer deletes an issuer object and returns it. Operations that it has
// not answered fail at their next step.
//
// REST page: Delete Certificate Issuer.
func (v *Vault) DeleteIssuer(ctx context.Context, n Name) (IssuerState, error) {
	var deleted *issuerRecord
	_, err := v.changeIssuer(ctx, n, func(old *issuerRecord) (*issuerRecord, error) {
		if old == nil && deleted == nil {
			return nil, &Error{Reason: IssuerNotFound, Name: n.text}
		}
		if old != nil {
			deleted = old
		}
		return nil, nil
	})
	if reasonOf(err) == IssuerNotFound {
		if r, lookErr := v.removed(ctx); lookErr != nil {
			return IssuerState{}, lookErr
		} else if r != nil && r.Issuer != nil {
			return r.Issuer.state(), nil
		}
	}
	if err != nil {
		return IssuerState{}, err
	}
	return deleted.state(), nil
}

func (r *issuerRecord) removal() removal {
	gone := *r
	gone.Password = nil
	return removal{Issuer: &gone}
}

func (r *issuerRecord) object() provider.Issuer {
	o := provider.Issuer{
		Name: r.Name, Provider: r.Provider, Org: r.Org,
		Enabled: r.Enabled, Created: r.Created, Updated: r.Updated,
	}
	if r.AccountID != nil {
		o.AccountID, o.HasAccount = *r.AccountID, true
	}
	return o
}

func (r *issuerRecord) state() IssuerState {
	return IssuerState{
		Issuer:         r.object(),
		HasCredentials: r.EmptyCredentials || r.AccountID != nil || r.PasswordID != "",
		HasOrg:         r.EmptyOrg || r.Org.ID != "" || r.Org.Admins != nil,
		Pause:          r.Pause,
	}
}

func (v *Vault) issuerRecord(ctx context.Context, n Name) (*issuerRecord, error) {
	r := new(issuerRecord)
	_, err := v.get(ctx, issuerKey(n), r)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &Error{Reason: IssuerNotFound, Name: n.text}
	}
	return r, err
}

// changeIssuer changes the row of an issuer object, which has no work to do.
func (v *Vault) changeIssuer(ctx context.Context, n Name, decide func(*issuerRecord) (*issuerRecord, error)) (IssuerState, error) {
	r, err := changeRow(ctx, v, issuerKey(n), decide)
	if r == nil || err != nil {
		return IssuerState{}, err
	}
	return r.state(), nil
}

// providerSelf is the provider of the issuer Self.
const providerSelf = "self"

// provider finds a provider that an issuer object may name.
func (v *Vault) provider(name string) (provider.Provider, bool) {
	name = strings.ToLower(name)
	p, ok := v.cfg.Providers[name]
	return p, ok && name != providerSelf
}

func (v *Vault) providerNames() string {
	var names []string
	for name := range v.cfg.Providers {
		if name != providerSelf {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(slices.Values(names)), ", ")
}

// pin is what an operation, or a version, keeps of its issuer.
type pin struct {
	issuer   string // its name
	provider string // lower case; empty: a person merges
	id       string // of the issuer object; empty for Self
}

func (op *Operation) pin() pin { return pin{op.Policy.Issuer.Name, op.Provider, op.IssuerID} }

// pinIssuer finds the issuer that a policy names and refuses what it cannot do.
func (v *Vault) pinIssuer(ctx context.Context, p policy.Policy) (pin, error) {
	switch {
	case strings.EqualFold(p.Issuer.Name, policy.IssuerUnknown):
		return pin{}, nil
	case strings.EqualFold(p.Issuer.Name, policy.IssuerSelf):
		return pin{p.Issuer.Name, providerSelf, ""}, nil
	}
	n, err := ParseIssuerName(p.Issuer.Name)
	if err != nil {
		return pin{}, field.Errorf("policy.issuer.name", "%q: must be the name of an issuer", p.Issuer.Name)
	}
	r, err := v.issuerRecord(ctx, n)
	if reasonOf(err) == IssuerNotFound {
		return pin{}, field.Errorf("policy.issuer.name", "%q: must be Self, Unknown or an issuer that was set in this vault", n)
	}
	if err != nil {
		return pin{}, err
	}
	ca, ok := v.provider(r.Provider)
	switch {
	case !ok:
		return pin{}, field.Errorf("policy.issuer.name", "%q: must be an issuer of a provider that this vault has, which %s is not", n, r.Provider)
	case !r.Enabled:
		return pin{}, field.Errorf("policy.issuer.name", "%q: must be an issuer that is enabled", n)
	}
	if err := v.checkPermitted(strings.ToLower(r.Provider), p.X509); err != nil {
		return pin{}, err
	}
	if c, ok := ca.(provider.PolicyChecker); ok {
		if err := c.CheckPolicy(r.object(), p); err != nil {
			return pin{}, asBadParameter("policy", err)
		}
	}
	return pin{p.Issuer.Name, strings.ToLower(r.Provider), r.ID}, nil
}

// asBadParameter makes a provider's refusal one of the caller's field.
func asBadParameter(path string, err error) error {
	if err == nil || reasonOf(err) != 0 {
		return err
	}
	return field.Errorf(path, "%s", err)
}

// pinnedIssuer finds the issuer of something that was begun at a time, as it is
// then or later. That it is gone, or another now, is an issuerLost. That this
// instance does not know its provider is not: another may, or will.
func (v *Vault) pinnedIssuer(ctx context.Context, p pin, begun time.Time, cache *issuerCache) (provider.Provider, provider.Issuer, error) {
	ca, ok := v.cfg.Providers[p.provider]
	name := p.issuer
	if !ok {
		return nil, provider.Issuer{}, fmt.Errorf("%w: %s of the issuer %s", errUnknownProvider, p.provider, name)
	}
	if p.provider == providerSelf {
		return ca, provider.Issuer{Name: name, Provider: p.provider, Enabled: true}, nil
	}
	state, id, err := cache.get(name, begun, v.now(), func() (IssuerState, string, error) { return v.openIssuer(ctx, Name{name}) })
	switch {
	case reasonOf(err) == IssuerNotFound:
		return nil, provider.Issuer{}, issuerLost(fmt.Sprintf("The issuer %s was deleted while the request was in progress.", name))
	case err != nil:
		return nil, provider.Issuer{}, err
	case id != p.id:
		return nil, provider.Issuer{}, issuerLost(fmt.Sprintf("The issuer %s was replaced by another while the request was in progress.", name))
	case !state.Enabled:
		return nil, provider.Issuer{}, fmt.Errorf("the issuer %s is disabled", name)
	}
	return ca, state.Issuer, nil
}

func (v *Vault) openIssuer(ctx context.Context, n Name) (IssuerState, string, error) {
	r, err := v.issuerRecord(ctx, n)
	if err != nil {
		return IssuerState{}, "", err
	}
	state := r.state()
	if r.PasswordID != "" {
		password, err := v.openPassword(ctx, n, r)
		if err != nil {
			return IssuerState{}, "", err
		}
		state.Password = string(password)
	}
	return state, r.ID, nil
}

// issuerLost says why an operation's issuer cannot work on it any more.
type issuerLost string

func (e issuerLost) Error() string { return string(e) }

// errUnknownProvider: this instance's settings, or its release, lack a provider.
var errUnknownProvider = errors.New("this instance does not have the provider")

// asOutcome is what an error before a provider's step means for its operation.
func asOutcome(err error) provider.Outcome {
	if lost, ok := errors.AsType[issuerLost](err); ok {
		return provider.Failed(provider.CodeIssuerError, string(lost))
	}
	return provider.Retry(time.Time{}, err)
}

// ours reports whether a step came to nothing for a reason that is this vault's own
// and says nothing about the CA: its storage, the service that opens its secrets,
// or what this instance lacks.
func ours(out provider.Outcome) bool {
	return reasonOf(out.Err).uncertain() || errors.Is(out.Err, store.ErrUnavailable) || errors.Is(out.Err, store.ErrThrottled) || errors.Is(out.Err, errUnknownProvider)
}

// issuerCache reads every issuer once in a round of a tick, and again for operations
// that were created since: what was changed before a create counts for it. A nil
// cache reads every time.
type issuerCache struct {
	mu      sync.Mutex
	entries map[string]*issuerEntry // by lower-case name
}

type issuerEntry struct {
	at    time.Time // when reading it began
	once  sync.Once
	state IssuerState
	id    string
	err   error
}

func newIssuerCache() *issuerCache { return &issuerCache{entries: make(map[string]*issuerEntry)} }

// get returns an issuer as it was at the time since, or later; now is the time.
func (c *issuerCache) get(name string, since, now time.Time, read func() (IssuerState, string, error)) (IssuerState, string, error) {
	if c == nil {
		return read()
	}
	name = strings.ToLower(name)
	c.mu.Lock()
	e := c.entries[name]
	if e == nil || e.at.Before(since) {
		e = &issuerEntry{at: now}
		c.entries[name] = e
	}
	c.mu.Unlock()
	e.once.Do(func() { e.state, e.id, e.err = read() })
	return e.state, e.id, e.err
}
