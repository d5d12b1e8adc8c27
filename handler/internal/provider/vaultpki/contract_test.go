package vaultpki_test

// The contract of providers, with the fake as the CA.

import (
	"net/http"
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/providertest"
	"github.com/certwright/certwright/handler/internal/provider/vaultpki"
	"github.com/certwright/certwright/handler/internal/vault"
)

// A server that has no name for a request may sign more than once.
func TestContract(t *testing.T) {
	t.Parallel()
	providertest.IssuerContract(t, func(t testing.TB, n *providertest.Network) providertest.Rig {
		s := newEngine(t, n.Now)
		url := n.Serve(http.HandlerFunc(s.answer))
		return providertest.Rig{
			New: func(p *providertest.Process) (provider.Provider, error) {
				return vaultpki.New(vaultpki.Config{URL: url, Roots: n.Roots(), Role: "web", Now: p.Now})
			},
			Issuer:  vault.IssuerSet{AccountID: new(roleID), Password: new(secretID)},
			Policy:  policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}},
			Secrets: []string{secretID, tokenPrefix},
			Made:    func() providertest.Made { return providertest.Made{Certificates: s.made()} },
		}
	})
}
