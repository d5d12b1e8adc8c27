package stepca_test

// The contract of providers, with step-ca as the CA.

import (
	"net/url"
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/providertest"
	"github.com/certwright/certwright/handler/internal/provider/signertest"
	"github.com/certwright/certwright/handler/internal/provider/stepca"
	"github.com/certwright/certwright/handler/internal/vault"
	local "github.com/certwright/certwright/scripts/localcloud/stepca"
)

// A server that has no name for a request may sign more than once. It is the real
// one, so tokens are made by the real clock.
func TestContract(t *testing.T) {
	t.Parallel()
	target, err := url.Parse(ca.URL())
	if err != nil {
		t.Fatal(err)
	}
	secret := secret(t)
	providertest.IssuerContract(t, func(t testing.TB, n *providertest.Network) providertest.Rig {
		url := n.Serve(providertest.Forward(target, signertest.Pool(ca.Root())))
		return providertest.Rig{
			New: func(*providertest.Process) (provider.Provider, error) {
				return stepca.New(stepca.Config{URL: url, Roots: n.Roots()})
			},
			Issuer:  vault.IssuerSet{AccountID: new(local.Provisioner), Password: new(ca.Key())},
			Policy:  policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}},
			Secrets: []string{secret},
		}
	})
}
