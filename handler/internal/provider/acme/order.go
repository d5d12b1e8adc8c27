package acme

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/provider"
)

// maxOrders bounds the orders of one operation: each after the first takes the
// place of one that the CA lost or let expire.
const maxOrders = 5

// placeOrder places an order. RFC 8555 section 7.4.
func (s *step) placeOrder(ctx context.Context) (provider.Outcome, error) {
	if s.state.Orders >= maxOrders {
		return provider.Outcome{}, refuse(provider.CodeIssuerError, "%s lost %d orders, or let them expire, before their names were proven.", s.host, s.state.Orders)
	}
	names, err := identifiers(s.req.CSR)
	if err != nil {
		return provider.Outcome{}, err
	}
	profile := s.req.Policy.Issuer.CertificateType
	if err := s.checkProfile(ctx, profile); err != nil {
		return provider.Outcome{}, err
	}
	replaces := ""
	if !s.state.Unlinked {
		if replaces, err = s.replaces(ctx); err != nil {
			return provider.Outcome{}, err
		}
	}
	order, err := s.client.NewOrder(ctx, s.account, acmez.Order{Identifiers: names, Profile: profile, Replaces: replaces})
	if replaces != "" && refusesReplacement(err) {
		s.state.Unlinked = true
		return next(fmt.Sprintf("The order does not name the certificate that it replaces: %v", err)), nil
	}
	if err != nil {
		return provider.Outcome{}, fmt.Errorf("placing an order: %w", err)
	}
	if order.Location == "" {
		return provider.Outcome{}, fmt.Errorf("placing an order: %s did not say its URL", s.host)
	}
	s.state.Account, s.state.Order, s.state.Planned = s.account.Location, order.Location, 0
	s.state.Orders++
	s.cfg.Log.InfoContext(ctx, "ACME order placed", "certificate", s.req.Certificate, "request_id", s.req.ID, "order", order.Location)
	return next("The order is placed."), nil
}

// checkProfile refuses a profile that the CA does not offer.
// draft-aaron-acme-profiles section 4.
func (p *Provider) checkProfile(ctx context.Context, profile string) error {
	if profile == "" {
		return nil
	}
	directory, err := p.client.GetDirectory(ctx)
	if err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	if directory.Meta == nil || len(directory.Meta.Profiles) == 0 {
		return refuse(provider.CodeIssuerError, "%s offers no profiles; leave the certificate type (policy.issuer.cty) %q out.", p.host, profile)
	}
	if _, ok := directory.Meta.Profiles[profile]; !ok {
		return refuse(provider.CodeIssuerError, "%s has no profile %q, which the certificate type (policy.issuer.cty) names; it offers %s.",
			p.host, profile, strings.Join(slices.Sorted(maps.Keys(directory.Meta.Profiles)), ", "))
	}
	return nil
}

// replaces identifies the certificate that an order takes the place of, if the
// CA wants to know: it may prefer renewals to other orders. RFC 9773 section 5.
func (s *step) replaces(ctx context.Context) (string, error) {
	if s.req.Predecessor == nil {
		return "", nil
	}
	directory, err := s.client.GetDirectory(ctx)
	if err != nil {
		return "", fmt.Errorf("reading the directory: %w", err)
	}
	if directory.RenewalInfo == "" {
		return "", nil
	}
	certificate, err := bounded.Certificate(s.req.Predecessor)
	if err != nil || len(certificate.AuthorityKeyId) == 0 {
		return "", nil // none of the CA's
	}
	id, err := acmez.ARIUniqueIdentifier(certificate)
	if err != nil {
		return "", fmt.Errorf("identifying the certificate to be renewed: %w", err)
	}
	return id, nil
}

// refusesReplacement reports whether a refused order may be accepted when it
// does not say what it replaces: the CA knows another replacement already, or
// issued the certificate to another account, or not at all. CAs say so in
// different ways.
func refusesReplacement(err error) bool {
	_, stays := permanent(err)
	return stays || isProblem(err, acmez.ProblemTypeServerInternal)
}

// finalize sends the CSR. RFC 8555 section 7.4.
func (s *step) finalize(ctx context.Context, order acmez.Order) (provider.Outcome, error) {
	order, err := s.client.FinalizeOrder(ctx, s.account, order, s.req.CSR)
	switch order.Status {
	case acmez.StatusProcessing:
		return s.wait("The CA makes the certificate."), nil
	case acmez.StatusValid, acmez.StatusInvalid:
		return next("The order is finalized."), nil
	}
	return provider.Outcome{}, fmt.Errorf("finalizing the order: %w", err)
}

// invalid ends an operation whose order the CA gave up because of a name, or
// makes it place another when time or somebody else ended the order. RFC 8555
// section 7.1.6.
func (s *step) invalid(ctx context.Context, order acmez.Order) (provider.Outcome, error) {
	for _, proof := range s.state.Proofs {
		authorization, err := s.authorization(ctx, proof)
		if err != nil {
			return provider.Outcome{}, err
		}
		if authorization.Status == acmez.StatusInvalid {
			return provider.Outcome{}, s.disproven(authorization)
		}
	}
	if order.Error != nil {
		return provider.Outcome{}, refuse(provider.CodeRejected, "%s gave the order up: %s", s.host, describe(*order.Error))
	}
	s.state.loseOrder()
	return next("The order expired."), nil
}

// disproven says which name the CA could not validate, and why.
func (p *Provider) disproven(a acmez.Authorization) error {
	for _, c := range a.Challenges {
		if c.Error != nil {
			return refuse(provider.CodeRejected, "%s could not validate %s by %s: %s", p.host, a.IdentifierValue(), c.Type, describe(*c.Error))
		}
	}
	return refuse(provider.CodeRejected, "%s could not validate %s.", p.host, a.IdentifierValue())
}

// authorization reads the authorization of a proof. RFC 8555 section 7.5.
func (s *step) authorization(ctx context.Context, of proof) (acmez.Authorization, error) {
	u, err := s.state.absolute(of.URL)
	if err != nil {
		return acmez.Authorization{}, err
	}
	return s.getAuthorization(ctx, s.account, u)
}

// getOrder reads an order. The library takes any JSON for one. RFC 8555 section
// 7.4.
func (p *Provider) getOrder(ctx context.Context, account acmez.Account, u string) (acmez.Order, error) {
	order, err := p.client.GetOrder(ctx, account, acmez.Order{Location: u})
	if err == nil && order.Status == "" {
		err = fmt.Errorf("%s did not answer with an order", p.host)
	}
	if err != nil {
		return acmez.Order{}, fmt.Errorf("looking at the order: %w", err)
	}
	return order, nil
}

// getAuthorization reads an authorization. The library takes any JSON for one.
// RFC 8555 section 7.5.
func (p *Provider) getAuthorization(ctx context.Context, account acmez.Account, u string) (acmez.Authorization, error) {
	authorization, err := p.client.GetAuthorization(ctx, account, u)
	if err == nil && authorization.Status == "" {
		err = fmt.Errorf("%s did not answer with an authorization", p.host)
	}
	if err != nil {
		return acmez.Authorization{}, fmt.Errorf("looking at an authorization: %w", err)
	}
	return authorization, nil
}
