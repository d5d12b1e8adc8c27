package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/provider"
)

// accountID names the first account of an issuer object: one for each directory and
// each external account.
func (p *Provider) accountID(o provider.Issuer) string {
	sum := sha256.Sum256([]byte(p.cfg.Directory.URL + "\n" + o.AccountID))
	return hex.EncodeToString(sum[:16])
}

// findAccount returns the account of an issuer object, and registers it when the
// CA does not know its key. RFC 8555 section 7.3.
func (p *Provider) findAccount(ctx context.Context, o provider.Issuer) (a acmez.Account, registered bool, err error) {
	a, err = p.lookUp(ctx, o)
	if !isProblem(err, acmez.ProblemTypeAccountDoesNotExist) && !isProblem(err, acmez.ProblemTypeExternalAccountRequired) {
		return a, false, err
	}
	_, key, err := p.currentKey(ctx, o)
	if err != nil {
		return acmez.Account{}, false, err
	}
	if a, err = p.register(ctx, o, key); err != nil {
		return acmez.Account{}, false, err
	}
	return a, true, p.remember(o, a)
}

// lookUp finds the account of an issuer object, which replaces one that is
// deactivated. RFC 8555 sections 7.3.1 and 7.3.6.
func (p *Provider) lookUp(ctx context.Context, o provider.Issuer) (acmez.Account, error) {
	if a, ok := p.known(p.accountID(o)); ok {
		return a, nil
	}
	if err := p.reach(ctx); err != nil {
		return acmez.Account{}, err
	}
	id, key, err := p.currentKey(ctx, o)
	if err != nil {
		return acmez.Account{}, err
	}
	a, err := p.client.GetAccount(ctx, acmez.Account{PrivateKey: key})
	if err == nil && a.Status != "" && a.Status != acmez.StatusValid || isProblem(err, acmez.ProblemTypeUnauthorized) && p.answersStrangers(ctx) {
		p.cfg.Log.WarnContext(ctx, "ACME account is deactivated, and another takes its place", "account", a.Location, "issuer", o.Name)
		if key, err = p.accountKey(ctx, successorID(id)); err != nil {
			return acmez.Account{}, err
		}
		a, err = p.client.GetAccount(ctx, acmez.Account{PrivateKey: key})
	}
	if err != nil {
		return acmez.Account{}, fmt.Errorf("looking the account up: %w", err)
	}
	return a, p.remember(o, a)
}

// answersStrangers reports whether the CA says of a key without an account that it has
// none. If so, and it calls another key unauthorized, then for the account of that.
func (p *Provider) answersStrangers(ctx context.Context) bool {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err == nil {
		_, err = p.client.GetAccount(ctx, acmez.Account{PrivateKey: key})
	}
	return isProblem(err, acmez.ProblemTypeAccountDoesNotExist) || isProblem(err, acmez.ProblemTypeExternalAccountRequired)
}

// ReplaceAccount has the next step register another account, with another key. The
// CA keeps the old one until somebody deactivates it.
func (p *Provider) ReplaceAccount(ctx context.Context, o provider.Issuer) error {
	id, _, err := p.currentKey(ctx, o)
	if err != nil {
		return err
	}
	if _, err := p.accountKey(ctx, successorID(id)); err != nil {
		return err
	}
	p.forget(o)
	return nil
}

// wasReplaced reports whether the account of an issuer object is deactivated at the
// CA, and sees to it that the next step registers another.
func (p *Provider) wasReplaced(ctx context.Context, o provider.Issuer) bool {
	p.forget(o)
	_, err := p.lookUp(ctx, o)
	return isProblem(err, acmez.ProblemTypeAccountDoesNotExist) || isProblem(err, acmez.ProblemTypeExternalAccountRequired)
}

// maxReplaced bounds how often an account can be replaced.
const maxReplaced = 1000

// currentKey is the key of an issuer object's account, and what that is called. Each
// account that was replaced leaves its key behind, and so the way to the next.
func (p *Provider) currentKey(ctx context.Context, o provider.Issuer) (string, crypto.Signer, error) {
	id := p.accountID(o)
	for range maxReplaced {
		next := successorID(id)
		der, err := p.cfg.LoadAccount(ctx, next)
		if err != nil {
			return "", nil, fmt.Errorf("loading the account key: %w", err)
		}
		if der == nil {
			key, err := p.accountKey(ctx, id)
			return id, key, err
		}
		id = next
	}
	return "", nil, fmt.Errorf("the account was replaced %d times", maxReplaced)
}

// successorID names the account that replaces another.
func successorID(id string) string {
	sum := sha256.Sum256([]byte("replaces\n" + id))
	return hex.EncodeToString(sum[:16])
}

// accountAge is how long an account is used without looking whether another process
// has replaced it.
const accountAge = time.Hour

// remembered is an account as it was found at a time.
type remembered struct {
	acmez.Account
	at time.Time
}

// remember keeps an account for the next step.
func (p *Provider) remember(o provider.Issuer, a acmez.Account) error {
	if a.Location == "" {
		return fmt.Errorf("looking the account up: %s did not say its URL", p.host)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accounts[p.accountID(o)] = remembered{a, p.cfg.Now()}
	return nil
}

func (p *Provider) known(id string) (acmez.Account, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.accounts[id]
	return a.Account, ok && p.cfg.Now().Sub(a.at) < accountAge
}

// forget makes the next step look whether the CA still knows the account.
func (p *Provider) forget(o provider.Issuer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.accounts, p.accountID(o))
}

// accountKey returns the stored key of an account, making it when there is none.
// It is stored before the CA hears of it, so an account is never lost with a
// process.
func (p *Provider) accountKey(ctx context.Context, id string) (crypto.Signer, error) {
	der, err := p.cfg.LoadAccount(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("loading the account key: %w", err)
	}
	if der == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("generating the account key: %w", err)
		}
		if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return nil, fmt.Errorf("encoding the account key: %w", err)
		}
		if der, err = p.cfg.SaveAccount(ctx, id, der); err != nil {
			return nil, fmt.Errorf("saving the account key: %w", err)
		}
	}
	key, err := bounded.PKCS8(der)
	if err != nil {
		return nil, fmt.Errorf("decoding the account key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("decoding the account key: %T does not sign", key)
	}
	return signer, nil
}

// register makes an account of a key. That the CA does not want it is the
// issuer's error, not the request's.
func (p *Provider) register(ctx context.Context, o provider.Issuer, key crypto.Signer) (acmez.Account, error) {
	directory, err := p.client.GetDirectory(ctx)
	if err != nil {
		return acmez.Account{}, fmt.Errorf("reading the directory: %w", err)
	}
	a := acmez.Account{PrivateKey: key, TermsOfServiceAgreed: true, Contact: contact(o.Org)}
	if o.AccountID != "" {
		mac, err := macKey(o.Password)
		if err != nil {
			return acmez.Account{}, refuse(provider.CodeIssuerError, "The password (credentials.pwd) of the issuer %s is not the CA's HMAC key: it must be base64url.", o.Name)
		}
		if err := a.SetExternalAccountBinding(ctx, p.client, acmez.EAB{KeyID: o.AccountID, MACKey: mac}); err != nil {
			return acmez.Account{}, fmt.Errorf("binding the account: %w", err)
		}
	} else if directory.Meta != nil && directory.Meta.ExternalAccountRequired {
		return acmez.Account{}, refuse(provider.CodeIssuerError, "%s requires an external account: set credentials of the issuer %s, account_id to its key identifier and pwd to its HMAC key.", p.host, o.Name)
	}
	a, err = p.client.NewAccount(ctx, a)
	if problem, ok := permanent(err); ok {
		return acmez.Account{}, refuse(provider.CodeIssuerError, "%s refuses the account of the issuer %s: %s", p.host, o.Name, describe(problem))
	}
	if err != nil {
		return acmez.Account{}, fmt.Errorf("registering the account: %w", err)
	}
	return a, nil
}

// macKey brings an HMAC key into base64url without padding, as people copy it in
// any form of base64.
func macKey(password string) (string, error) {
	key := strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(strings.TrimSpace(password))
	if b, err := base64.RawURLEncoding.DecodeString(key); err != nil || len(b) == 0 {
		return "", fmt.Errorf("not base64url of %d bytes: %w", len(b), err)
	}
	return key, nil
}

// contact is the address of the issuer object's first administrator. RFC 8555
// section 7.3.
func contact(o provider.OrganizationDetails) []string {
	for _, a := range o.Admins {
		if a.Email != "" {
			return []string{"mailto:" + a.Email}
		}
	}
	return nil
}
