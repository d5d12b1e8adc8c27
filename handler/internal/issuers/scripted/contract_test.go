package scripted_test

import (
	"testing"

	"github.com/certwright/certwright/handler/internal/issuers/scripted"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"issue", "issue-after=30s", "issue-after=5m ignore-cancel"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			vaulttest.IssuerContract(t, func(testing.TB, *vaulttest.Network) vaulttest.Rig {
				return vaulttest.Rig{
					New: func(p *vaulttest.Process) (vault.Issuer, error) {
						return scripted.New(scripted.Config{Now: p.Now}), nil
					},
					Issuer: vault.IssuerSet{Org: &vault.OrganizationDetails{ID: script}},
					Policy: policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}},
				}
			})
		})
	}
}
