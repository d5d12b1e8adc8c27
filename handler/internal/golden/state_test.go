package golden_test

// States of providers that only a CA on the network would bring about.

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/provider/digicert"
)

// TestProviderStates has providers read states as 0.1.0 saved them, with every
// member, and fail because their CAs are away: they save all of it again.
func TestProviderStates(t *testing.T) {
	t.Parallel()
	f := readFixture(t)
	w := f.open(t)
	keep := func(context.Context, string, string) error { return nil }
	acmeCA, err := acme.New(acme.Config{
		Directory: acme.Directory{URL: away + "/directory"}, Tokens: acme.Tokens{Put: keep, Remove: func(context.Context, string) error { return nil }},
		LoadAccount: w.accounts.Load, SaveAccount: w.accounts.Save, Now: w.clock.Now,
	})
	w.must("making a provider", err)
	orders, err := digicert.New(digicert.Config{URL: away, Now: w.clock.Now})
	w.must("making a provider", err)
	for what, c := range map[string]struct {
		provider           provider.Provider
		certificate, state string
	}{
		"an order with proofs": {acmeCA, "acme", `{"version":1,"account":"https://127.0.0.1:1/account/1","order":"https://127.0.0.1:1/order/1","orders":2,` +
			`"unlinked":true,"planned":1,"proofs":[{"url":"/authorization/1","type":"dns-01","name":"_acme-challenge.example.com.","value":"golden","stage":3}],` +
			`"published":"2026-03-19T12:00:00Z","stuck":1}`},
		"an intent that was refused": {orders, "ordering", `{"version":1,"intent":{"claim":1,"until":"2026-03-19T12:00:00Z","sent":true,"refusal":"no"}}`},
		"an order that was placed":   {orders, "ordered", `{"version":1,"order":4711,"placed":"2026-03-19T12:00:00Z"}`},
	} {
		op := w.operation(c.certificate)
		req := provider.Request{
			ID: op.RequestID, Certificate: c.certificate, CSR: op.CSR, Policy: op.Policy, Created: op.Created, Attempts: 2,
			Issuer: provider.Issuer{Name: "Golden", AccountID: "golden-account", Password: "Z29sZGVu", Org: provider.OrganizationDetails{ID: "17"}, Enabled: true},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		saved, out := c.provider.Step(ctx, req, json.RawMessage(c.state))
		cancel()
		if out.Kind != provider.OutcomeRetry {
			t.Errorf("%s: %+v", what, out)
		}
		if diff := cmp.Diff(c.state, string(saved)); diff != "" {
			t.Errorf("%s (-0.1.0 +today):\n%s", what, diff)
		}
	}
}
