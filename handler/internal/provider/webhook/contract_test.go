package webhook_test

// The contract of providers, with a CA of tests.

import (
	"net/http"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/providertest"
	"github.com/certwright/certwright/handler/internal/provider/webhook"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestContract(t *testing.T) {
	t.Parallel()
	providertest.IssuerContract(t, func(t testing.TB, n *providertest.Network) providertest.Rig {
		a := newCA(t, n.Now)
		approval := n.Now().Add(2 * time.Minute)
		url := n.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.set(func() { a.pending = n.Now().Before(approval) })
			a.answer(w, r)
		}))
		return providertest.Rig{
			New: func(p *providertest.Process) (provider.Provider, error) {
				return webhook.New(webhook.Config{URL: url + base, Roots: n.Roots(), Now: p.Now, Log: p.Log})
			},
			Issuer:    vault.IssuerSet{AccountID: new(keyID), Password: new(secret)},
			Policy:    policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}},
			Secrets:   []string{secret},
			Made:      a.account,
			MaxOrders: 1, MaxCertificates: 1, Idempotent: true,
		}
	})
}

// account is what the authority made.
func (a *authority) account() providertest.Made {
	a.mu.Lock()
	defer a.mu.Unlock()
	made := providertest.Made{Orders: len(a.requests), Certificates: a.issued}
	for id, r := range a.requests {
		if r.chain == nil && !r.cancelled {
			made.Held = append(made.Held, "request "+id)
		}
	}
	return made
}
