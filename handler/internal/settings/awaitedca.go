package settings

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
)

// AwaitedCA is a private CA whose chain was not there when the program started. It
// certifies nothing until `handler ca` has brought the chain, and is that CA from
// then on, without a restart: a CA whose key is sealed in storage is made while
// the app runs.
type AwaitedCA struct {
	cfg     *PrivateCA
	backend Backend

	mu sync.Mutex
	ca *privateca.Provider // nil: not there yet
}

var (
	_ provider.Provider      = (*AwaitedCA)(nil)
	_ provider.PolicyChecker = (*AwaitedCA)(nil)
	_ provider.Revoker       = (*AwaitedCA)(nil)
	_ provider.Instant       = (*AwaitedCA)(nil)
)

// Issuer is the CA. The error says why it is not there, and wraps fs.ErrNotExist as
// long as that is only because nobody has made it.
func (a *AwaitedCA) Issuer() (*privateca.Provider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ca == nil {
		ca, err := a.cfg.openCA(a.backend)
		if err != nil {
			return nil, fmt.Errorf("the CA is not there yet: %w", err)
		}
		a.ca = ca
	}
	return a.ca, nil
}

// Step waits for the CA, and is a step of it.
func (a *AwaitedCA) Step(ctx context.Context, req provider.Request, saved json.RawMessage) (json.RawMessage, provider.Outcome) {
	ca, err := a.Issuer()
	if err != nil {
		return saved, provider.Retry(time.Time{}, err)
	}
	return ca.Step(ctx, req, saved)
}

// CheckPolicy refuses everything until the CA is there.
func (a *AwaitedCA) CheckPolicy(i provider.Issuer, p policy.Policy) error {
	ca, err := a.Issuer()
	if err != nil {
		return &field.Error{
			Field:  "policy.issuer.name",
			Detail: "the private CA of this issuer is not there yet: whoever runs the vault makes it with handler ca make, or brings it with handler ca import",
			Err:    err,
		}
	}
	return ca.CheckPolicy(i, p)
}

// Revoke revokes a certificate, once the CA is there.
func (a *AwaitedCA) Revoke(ctx context.Context, i provider.Issuer, certificate *x509.Certificate, reason int) error {
	ca, err := a.Issuer()
	if err != nil {
		return err
	}
	return ca.Revoke(ctx, i, certificate, reason)
}

// Instant implements provider.Instant.
func (a *AwaitedCA) Instant() bool { return a.cfg.instant(a.backend) }
