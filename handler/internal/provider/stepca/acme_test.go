package stepca_test

// step-ca by its ACME provisioner.

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/provider/signertest"
)

// A step-ca is also a CA of the provider acme: with HTTP-01 as the app serves it
// and with TXT records through a hook, wildcards included; and it revokes.
func TestThroughACME(t *testing.T) {
	t.Parallel()
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var change struct{ Action, FQDN, Value string }
		if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
			t.Error(err)
		}
		err := challenges.AddTXT(r.Context(), change.FQDN, change.Value)
		if change.Action == "remove" {
			err = challenges.ClearTXT(r.Context(), change.FQDN)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(hook.Close)
	dns, err := acme.NewDNS(acme.DNSConfig{
		Hooks:       []acme.Hook{{Zones: []string{"dns.test"}, URL: hook.URL, Token: "a-token-for-this-test-only", Roots: signertest.Pool(hook.Certificate())}},
		Nameservers: []string{challenges.DNS()},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*acme.Config)
		names  []string
	}{
		"http-01": {func(cfg *acme.Config) { cfg.Tokens = acme.Tokens{Put: tokens.Put, Remove: tokens.Remove} }, []string{"a.web.test", "b.web.test"}},
		"dns-01":  {func(cfg *acme.Config) { cfg.DNS = dns }, []string{"*.b.dns.test", "a.dns.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock, accounts := start, new(accounts)
			cfg := acme.Config{
				Directory:   acme.Directory{URL: ca.DirectoryURL(), Roots: signertest.Pool(ca.Root())},
				LoadAccount: accounts.load, SaveAccount: accounts.save,
				Now: func() time.Time { return clock },
			}
			c.change(&cfg)
			prov, err := acme.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			req := requestFor(t, "", policy.SANs{DNSNames: c.names})
			req.Issuer = provider.Issuer{Name: "ca", Provider: "acme", Enabled: true}
			var state json.RawMessage
			var out provider.Outcome
			for n := 0; ; n++ {
				if state, out = prov.Step(t.Context(), req, state); out.Kind == provider.OutcomeIssued || out.Kind == failed {
					break
				}
				if n == 200 {
					t.Fatalf("after %d steps: %+v", n, out)
				}
				if clock = clock.Add(time.Second); out.Until.After(clock) {
					clock = out.Until
				}
			}
			leaf := verified(t, out, req.CSR)
			if got := slices.Sorted(slices.Values(leaf.DNSNames)); !slices.Equal(got, c.names) {
				t.Errorf("the certificate is for %q", got)
			}
			if err := prov.Revoke(t.Context(), req.Issuer, leaf, 1); err != nil {
				t.Error(err)
			}
			if revoked, err := ca.Revoked(t.Context(), leaf); !revoked || err != nil {
				t.Errorf("revoked: %t, %v", revoked, err)
			}
		})
	}
}

// accounts keeps account keys as the vault's store does.
type accounts struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (a *accounts) load(_ context.Context, id string) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keys[id], nil
}

func (a *accounts) save(_ context.Context, id string, key []byte) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keys == nil {
		a.keys = make(map[string][]byte)
	}
	if a.keys[id] == nil {
		a.keys[id] = key
	}
	return a.keys[id], nil
}
