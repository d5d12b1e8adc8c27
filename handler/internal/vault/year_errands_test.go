package vault_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/vault"
)

// errand is what a person does in the year besides asking for certificates.
type errand struct {
	at time.Duration
	do func()
}

// errandsOf are those of the year: policies get another subject, action or issuer,
// an issuer's credentials are changed, certificates go into a backup and come back.
func (y *year) errandsOf() []errand {
	early := func(issuer string) []string { // some of the first
		var names []string
		for i := range max(1, y.cas[issuer].certificates/20) {
			names = append(names, fmt.Sprint(issuer, "-", i))
		}
		return names
	}
	update := func(issuer string, p policy.Params) func() {
		return func() {
			for _, n := range early(issuer) {
				if _, err := y.UpdatePolicy(y.t.Context(), name(y.t, n), p); err != nil {
					y.t.Fatal(err)
				}
			}
		}
	}
	credentials := func() {
		if _, err := y.UpdateIssuer(y.t.Context(), issuerName(y.t, "strict"), vault.IssuerSet{Password: new("another")}); err != nil {
			y.t.Fatal(err)
		}
	}
	return []errand{
		{25*day + 7*time.Minute, credentials}, // while it refuses: it goes on to
		{100*day + 7*time.Minute, update("public", policy.Params{X509: &policy.X509Params{Subject: new("CN=moved.example.com")}})},
		{110*day + 7*time.Minute, update("limited", policy.Params{LifetimeActions: []policy.LifetimeAction{{DaysBefore: 20, Action: policy.ActionAutoRenew}}})},
		{130*day + 7*time.Minute, update("acme", policy.Params{Issuer: &policy.IssuerParams{Name: new("public")}})},
		{170*day + 7*time.Minute, func() {
			for _, n := range early("brief") {
				y.move(n)
			}
		}},
		{180*day + 7*time.Minute, func() {
			for _, n := range early("acme") {
				y.move(n)
			}
			for _, n := range early("limited") {
				y.move(n)
			}
		}},
	}
}

// move takes a certificate away and brings it back from its backup. One whose
// operation is in progress is left alone: a backup has none.
func (y *year) move(n string) {
	ctx := y.t.Context()
	op, err := y.Operation(ctx, name(y.t, n), "")
	if err != nil {
		y.t.Fatal(err)
	}
	if op.Status == vault.StatusInProgress {
		return
	}
	y.store.moving.Store(true)
	defer y.store.moving.Store(false)
	before := y.mustCertificate(n)
	blob, err := y.Backup(ctx, name(y.t, n))
	if err != nil {
		y.t.Fatal(err)
	}
	if err := second(y.Delete(ctx, name(y.t, n))); err != nil {
		y.t.Fatal(err)
	}
	if err := y.Purge(ctx, name(y.t, n)); err != nil {
		y.t.Fatal(err)
	}
	if err := second(y.Restore(ctx, blob)); err != nil {
		y.t.Fatal(err)
	}
	if after := y.mustCertificate(n); after.Version != before.Version {
		y.t.Errorf("%s came back as version %s, and was %s", n, after.Version, before.Version)
	}
}

// keys is how many private keys the certificates have that were asked of an issuer.
func (y *year) keys(issuer string) int {
	keys := 0
	for _, r := range y.store.Contents().Rows {
		if strings.HasPrefix(r.Key, "k:"+issuer+"-") {
			keys++
		}
	}
	return keys
}
