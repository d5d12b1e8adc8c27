package vaultpki_test

import (
	"net/http"
	"testing"

	"github.com/certwright/certwright/handler/internal/issuers/vaultpki"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
)

// A server that has no name for a request may sign more than once.
func TestContract(t *testing.T) {
	t.Parallel()
	vaulttest.IssuerContract(t, func(t testing.TB, n *vaulttest.Network) vaulttest.Rig {
		s := newEngine(t, n.Now)
		url := n.Serve(http.HandlerFunc(s.answer))
		return vaulttest.Rig{
			New: func(p *vaulttest.Process) (vault.Issuer, error) {
				return vaultpki.New(vaultpki.Config{URL: url, Roots: n.Roots(), Role: "web", Now: p.Now})
			},
			Issuer:  vault.IssuerSet{AccountID: new(roleID), Password: new(secretID)},
			Policy:  policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com")}},
			Secrets: []string{secretID, tokenPrefix},
			Made:    func() vaulttest.Made { return vaulttest.Made{Certificates: s.made()} },
		}
	})
}
