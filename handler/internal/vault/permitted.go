package vault

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/names"
	"github.com/certwright/certwright/handler/internal/policy"
)

// newCheckers prepares the limits of a Config's providers.
func newCheckers(cfg Config) (map[string]*names.Checker, error) {
	checkers := make(map[string]*names.Checker)
	for provider, permitted := range cfg.NameConstraints {
		if cfg.Providers[provider] == nil {
			return nil, fmt.Errorf("the names of provider %q are limited, and the vault does not have this provider", provider)
		}
		checker, err := names.NewChecker(permitted, nil)
		if err != nil {
			return nil, fmt.Errorf("provider %q: %w", provider, err)
		}
		checkers[provider] = checker
	}
	return checkers, nil
}

// checkPermitted refuses to ask a provider for names that it is not to certify.
func (v *Vault) checkPermitted(provider string, x policy.X509Properties) error {
	checker, limited := v.checkers[provider]
	if !limited {
		return nil
	}
	if x.CA {
		return field.Errorf("policy.x509_props.basic_constraints.ca", "must not be true: names are limited for this issuer, and a CA could certify others")
	}
	sans, subject, err := x.GeneralNames()
	if err == nil {
		err = checker.Check(sans)
	}
	if refused, ok := errors.AsType[*names.Refusal](err); ok {
		return notPermitted("policy.x509_props.sans."+string(refused.Kind), refused)
	}
	if refused, ok := errors.AsType[*names.Refusal](checker.Check(subject)); ok {
		return notPermitted("policy.x509_props.subject", refused)
	}
	return nil
}

func notPermitted(path string, r *names.Refusal) *field.Error {
	return field.Errorf(path, "names are limited for this issuer: %s", r.Why)
}

// checkPermittedLeaf refuses a certificate with names that its provider is not to
// certify, whatever was asked of it.
func (v *Vault) checkPermittedLeaf(provider string, leaf *x509.Certificate) error {
	checker, limited := v.checkers[provider]
	if !limited {
		return nil
	}
	if leaf.IsCA {
		return errors.New("the names of this issuer are limited, and a CA certificate could certify others")
	}
	all, err := names.OfCertificate(leaf)
	if err == nil {
		err = checker.Check(all)
	}
	if err != nil {
		return fmt.Errorf("names are limited for this issuer: %w", err)
	}
	return nil
}
