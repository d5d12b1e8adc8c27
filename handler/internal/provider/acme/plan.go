package acme

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/provider"
)

// planBatch is how many authorizations one step reads.
const planBatch = 20

// plan chooses the proofs of the order's next authorizations. It changes
// nothing, so that all that will be published is saved before.
func (s *step) plan(ctx context.Context, order acmez.Order) (provider.Outcome, error) {
	urls := slices.Sorted(slices.Values(order.Authorizations)) // a CA may shuffle them
	for _, u := range urls[s.state.Planned:min(s.state.Planned+planBatch, len(urls))] {
		authorization, err := s.getAuthorization(ctx, s.account, u)
		if err != nil {
			return provider.Outcome{}, err
		}
		if authorization.Status == acmez.StatusPending {
			if s.state.full() {
				return provider.Outcome{}, refuse(provider.CodeIssuerError, "The certificate has too many names, or too long ones, for one order.")
			}
			proof, err := s.choose(ctx, authorization)
			if err != nil {
				return provider.Outcome{}, err
			}
			proof.URL = s.state.relative(u)
			s.state.Proofs = append(s.state.Proofs, proof)
		}
		s.state.Planned++
	}
	return next("Proofs are chosen."), nil
}

// choose picks the proof of an authorization among what the CA offers and what
// is configured.
func (s *step) choose(ctx context.Context, a acmez.Authorization) (proof, error) {
	standing, offersStanding := standingRecord(s.account, a)
	if offersStanding && s.cfg.DNS != nil {
		// An error means that it is not known to be there, and others may do.
		if there, err := s.cfg.DNS.holds(ctx, standing); err == nil && there {
			return standing, nil
		}
	}
	if c, ok := challenge(a, acmez.ChallengeTypeDNS01); ok && s.cfg.DNS != nil {
		name, err := s.cfg.DNS.place(ctx, c.DNS01TXTRecordName())
		if err != nil {
			return proof{}, err
		}
		if name != "" {
			return proof{Type: c.Type, Name: name, Value: c.DNS01KeyAuthorization()}, nil
		}
	}
	if c, ok := challenge(a, acmez.ChallengeTypeHTTP01); ok && s.cfg.Tokens.Put != nil {
		if !token.MatchString(c.Token) {
			return proof{}, refuse(provider.CodeIssuerError, "%s sent a token of the wrong form: %.100q", s.host, c.Token)
		}
		return proof{Type: c.Type, Name: c.Token}, nil
	}
	if offersStanding && s.cfg.DNS != nil {
		return standing, nil
	}
	return proof{}, s.unprovable(a)
}

// token is base64url. RFC 8555 section 8.1.
var token = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// standingRecord is the record that proves an authorization by dns-persist-01, if
// the CA offers that. draft-ietf-acme-dns-persist section 3.
func standingRecord(account acmez.Account, a acmez.Authorization) (proof, bool) {
	c, ok := challenge(a, acmez.ChallengeTypeDNSPersist01)
	if !ok || len(c.IssuerDomainNames) == 0 {
		return proof{}, false
	}
	return proof{
		Type:  c.Type,
		Name:  c.DNSPersist01TXTRecordName(),
		Value: c.DNSPersist01TXTRecordValue(account, c.IssuerDomainNames[0], a.Wildcard),
	}, true
}

// challenge finds the challenge of a type.
func challenge(a acmez.Authorization, challengeType string) (acmez.Challenge, bool) {
	i := slices.IndexFunc(a.Challenges, func(c acmez.Challenge) bool { return c.Type == challengeType })
	if i < 0 {
		return acmez.Challenge{}, false
	}
	return a.Challenges[i], true
}

// unprovable says what would have to be configured.
func (p *Provider) unprovable(a acmez.Authorization) error {
	var offers, lacks []string
	for _, c := range a.Challenges {
		offers = append(offers, c.Type)
		switch {
		case c.Type == acmez.ChallengeTypeDNS01 && p.cfg.DNS == nil:
			lacks = append(lacks, "DNS is not configured")
		case c.Type == acmez.ChallengeTypeDNS01:
			lacks = append(lacks, fmt.Sprintf("no configured zone (%s) holds %s", p.cfg.DNS.zoneNames(), c.DNS01TXTRecordName()))
		case c.Type == acmez.ChallengeTypeHTTP01:
			lacks = append(lacks, "HTTP-01 is not configured")
		}
	}
	slices.Sort(offers)
	slices.Sort(lacks)
	return refuse(provider.CodeIssuerError, "%s cannot be proven to %s, which offers %s: %s.",
		a.IdentifierValue(), p.host, strings.Join(offers, ", "), strings.Join(lacks, "; "))
}
