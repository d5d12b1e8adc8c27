package digicert_test

// The contract of providers, with the fake as the CA.

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/digicert"
	"github.com/certwright/certwright/handler/internal/provider/providertest"
	"github.com/certwright/certwright/handler/internal/vault"
)

// An order is paid once, whatever goes wrong. That a worker that was frozen after
// its last look cannot order a second time either is CertCentral's doing: it
// refuses a CSR that it has seen.
func TestContract(t *testing.T) {
	t.Parallel()
	contract(t, true, func(ca *certCentral) { ca.listingDelay = 3 * time.Minute })
}

// Where CertCentral takes the same CSR again, only that worker can.
func TestContractWithReusableCSRs(t *testing.T) {
	t.Parallel()
	contract(t, false, func(ca *certCentral) { ca.reusableCSRs = true })
}

func contract(t *testing.T, idempotent bool, change func(*certCentral)) {
	providertest.IssuerContract(t, func(t testing.TB, n *providertest.Network) providertest.Rig {
		ca := newAccount(t, n.Now)
		ca.issuance = 8 * time.Second
		change(ca)
		url := n.Serve(http.HandlerFunc(ca.answer))
		return providertest.Rig{
			New: func(p *providertest.Process) (provider.Provider, error) {
				return digicert.New(digicert.Config{URL: url + ca.base, Roots: n.Roots(), Now: p.Now, Log: p.Log})
			},
			Issuer:          issuerSet(),
			Policy:          policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com"), SANs: &policy.SANs{DNSNames: []string{"www.example.com"}}}},
			Secrets:         []string{apiKey},
			Made:            ca.made,
			MaxOrders:       1,
			MaxCertificates: 1,
			Idempotent:      idempotent,
		}
	})
}

// issuerSet is an issuer object as sent, but for its provider.
func issuerSet() vault.IssuerSet {
	return vault.IssuerSet{AccountID: new("98765"), Password: new(apiKey), Org: &vault.OrgParams{ID: new(fmt.Sprint(orgID))}}
}

// made is what the contract asks about an account.
func (c *certCentral) made() providertest.Made {
	m := providertest.Made{Orders: c.paid()}
	c.set(func() {
		for _, o := range c.orders {
			if o.chain != nil {
				m.Certificates++
			} else if o.status != "canceled" && o.status != "rejected" {
				m.Held = append(m.Held, fmt.Sprintf("order %d", o.id))
			}
		}
	})
	return m
}
