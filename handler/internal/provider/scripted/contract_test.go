package scripted_test

// The contract of providers.

import (
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/providertest"
	"github.com/certwright/certwright/handler/internal/provider/scripted"
	"github.com/certwright/certwright/handler/internal/vault"
)

func TestContract(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"issue", "issue-after=30s", "issue-after=5m ignore-cancel"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			providertest.IssuerContract(t, func(testing.TB, *providertest.Network) providertest.Rig {
				return providertest.Rig{
					New: func(p *providertest.Process) (provider.Provider, error) {
						return scripted.New(scripted.Config{Now: p.Now}), nil
					},
					Issuer: vault.IssuerSet{Org: &vault.OrgParams{ID: new(script)}},
					Policy: policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}},
				}
			})
		})
	}
}
