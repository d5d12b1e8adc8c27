package selfsigned_test

import (
	"testing"

	"github.com/certwright/certwright/handler/internal/issuers/selfsigned"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	vaulttest.IssuerContract(t, func(testing.TB, *vaulttest.Network) vaulttest.Rig {
		return vaulttest.Rig{
			New: func(p *vaulttest.Process) (vault.Issuer, error) {
				return selfsigned.New(selfsigned.Config{Now: p.Now}), nil
			},
			Policy: policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}},
		}
	})
}
