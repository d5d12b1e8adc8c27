package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/handler/internal/provider"
)

// Waits for records to be seen.
const (
	lookAgain = 5 * time.Second
	// askAgain is for a record that a person publishes.
	askAgain = time.Minute
	// blindWait is given to name servers that cannot be asked.
	blindWait = time.Minute
	// visibleLimit is when the CA is left to decide.
	visibleLimit = 10 * time.Minute
	// lookLimit bounds the look-ups of one step.
	lookLimit = 10 * time.Second
)

// prove takes the proofs of a pending order one step further.
func (s *step) prove(ctx context.Context) (provider.Outcome, error) {
	if i := s.state.first(planned); i >= 0 {
		return s.publish(ctx, i)
	}
	if s.state.first(published) >= 0 {
		return s.look(ctx)
	}
	if i := s.state.first(visible); i >= 0 {
		return s.initiate(ctx, i)
	}
	if i := s.state.first(sent); i >= 0 {
		return s.await(ctx, i)
	}
	return s.wait("All names are proven; the CA has yet to notice."), nil
}

// publish publishes the proof at i, with the others of its name.
func (s *step) publish(ctx context.Context, i int) (provider.Outcome, error) {
	proof := s.state.Proofs[i]
	indexes, values := s.state.at(i)
	switch proof.Type {
	case acmez.ChallengeTypeHTTP01:
		thumbprint, err := s.account.Thumbprint()
		if err != nil {
			return provider.Outcome{}, fmt.Errorf("making a key authorization: %w", err)
		}
		if err := s.cfg.Tokens.Put(ctx, proof.Name, proof.Name+"."+thumbprint); err != nil {
			return provider.Outcome{}, fmt.Errorf("publishing a token: %w", err)
		}
		s.state.Proofs[i].Stage = visible
		return next("A token is published."), nil

	case acmez.ChallengeTypeDNSPersist01:
		there, err := s.cfg.DNS.holds(ctx, proof)
		if err != nil {
			return provider.Outcome{}, err
		}
		if !there {
			return provider.Pending(s.cfg.Now().Add(askAgain), fmt.Sprintf("Publish a TXT record once: %s with the value %q.", proof.Name, proof.Value)), nil
		}
		s.state.Proofs[i].Stage = visible
		return next("The standing record " + proof.Name + " is there."), nil

	default:
		if err := s.cfg.DNS.add(ctx, proof.Name, values); err != nil {
			return provider.Outcome{}, err
		}
		s.state.setStage(indexes, published)
		s.state.Published = s.cfg.Now().UTC()
		return next("TXT records are published at " + proof.Name + "."), nil
	}
}

// look asks the name servers for the published records.
func (s *step) look(ctx context.Context) (provider.Outcome, error) {
	now := s.cfg.Now()
	waited := now.Sub(s.state.Published)
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	for i := s.state.first(published); i >= 0; i = s.state.first(published) {
		indexes, values := s.state.at(i)
		seen, err := s.cfg.DNS.visible(ctx, s.state.Proofs[i].Name, values)
		if !seen && waited < visibleLimit && (err == nil || waited < blindWait) {
			detail := "The name servers do not answer with the TXT record at " + s.state.Proofs[i].Name + " yet"
			if err != nil {
				detail = fmt.Sprintf("%s: %v", detail, err)
			}
			return provider.Pending(now.Add(lookAgain), detail), nil
		}
		s.state.setStage(indexes, visible)
	}
	return next("The name servers answer with the TXT records."), nil
}

// initiate has the CA validate the proof at i, unless it does already. RFC 8555
// section 7.5.1.
func (s *step) initiate(ctx context.Context, i int) (provider.Outcome, error) {
	authorization, err := s.authorization(ctx, s.state.Proofs[i])
	if err != nil {
		return provider.Outcome{}, err
	}
	if c, ok := challenge(authorization, s.state.Proofs[i].Type); ok && authorization.Status == acmez.StatusPending && c.Status == acmez.StatusPending {
		if _, err := s.client.InitiateChallenge(ctx, s.account, c); err != nil && !s.initiated(ctx, i) {
			return provider.Outcome{}, fmt.Errorf("asking for the validation of %s: %w", authorization.IdentifierValue(), err)
		}
	}
	s.state.Proofs[i].Stage = sent
	return next("The CA validates " + authorization.IdentifierValue() + "."), nil
}

// initiated reports whether somebody else was faster: an order of ours for the
// same name may share its authorization, or another worker took this step.
func (s *step) initiated(ctx context.Context, i int) bool {
	authorization, err := s.authorization(ctx, s.state.Proofs[i])
	if err != nil {
		return false
	}
	c, ok := challenge(authorization, s.state.Proofs[i].Type)
	return !ok || c.Status != acmez.StatusPending
}

// await looks whether the CA has validated the proof at i.
func (s *step) await(ctx context.Context, i int) (provider.Outcome, error) {
	authorization, err := s.authorization(ctx, s.state.Proofs[i])
	if err != nil {
		return provider.Outcome{}, err
	}
	switch authorization.Status {
	case acmez.StatusValid:
		s.state.Proofs[i].Stage = proven
		return next(authorization.IdentifierValue() + " is proven."), nil
	case acmez.StatusInvalid:
		return provider.Outcome{}, s.disproven(authorization)
	default:
		return s.wait("The CA validates " + authorization.IdentifierValue() + "."), nil
	}
}

// maxStuck is how often in a row a certificate waits for proofs that cannot be
// withdrawn.
const maxStuck = 5

// withdrawNext withdraws one name's proofs. If that keeps failing, the
// certificate is worth more than a clean zone. No error of it ends an operation.
func (s *step) withdrawNext(ctx context.Context) (provider.Outcome, error) {
	proof := s.state.Proofs[0]
	indexes, values := s.state.at(0)
	if err := s.withdraw(ctx, proof, values); err != nil {
		if s.state.Stuck++; s.state.Stuck < maxStuck && !refused(err) {
			return provider.Retry(time.Time{}, err), nil
		}
		s.cfg.Log.WarnContext(ctx, "ACME proof left behind", "type", proof.Type, "name", proof.Name, "error", err)
	}
	s.state.Stuck = 0
	for _, i := range slices.Backward(indexes) {
		s.state.Proofs = slices.Delete(s.state.Proofs, i, i+1)
	}
	return next("The proofs at " + proof.Name + " are withdrawn."), nil
}

// withdraw ends the publication of a name's proofs.
func (p *Provider) withdraw(ctx context.Context, proof proof, values []string) error {
	switch proof.Type {
	case acmez.ChallengeTypeHTTP01:
		if p.cfg.Tokens.Remove == nil {
			return errors.New("withdrawing a token: HTTP-01 is not configured any more")
		}
		if err := p.cfg.Tokens.Remove(ctx, proof.Name); err != nil {
			return fmt.Errorf("withdrawing a token: %w", err)
		}
		return nil
	case acmez.ChallengeTypeDNSPersist01:
		return nil // the person's who published it
	default:
		if p.cfg.DNS == nil {
			return fmt.Errorf("withdrawing the TXT records at %q: DNS is not configured any more", proof.Name)
		}
		return p.cfg.DNS.remove(ctx, proof.Name, values)
	}
}
