package selfsigned_test

// The contract of providers.

import (
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/providertest"
	"github.com/certwright/certwright/handler/internal/provider/selfsigned"
)

func TestContract(t *testing.T) {
	t.Parallel()
	providertest.IssuerContract(t, func(testing.TB, *providertest.Network) providertest.Rig {
		return providertest.Rig{
			New: func(p *providertest.Process) (provider.Provider, error) {
				return selfsigned.New(selfsigned.Config{Now: p.Now}), nil
			},
			Policy: policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}},
		}
	})
}
