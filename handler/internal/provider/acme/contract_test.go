package acme_test

// The contract of providers, with Pebble as the CA.

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/certwright/certwright/handler/internal/keyring"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/provider/providertest"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/scripts/localcloud/pebble"
)

// TestContract has Pebble bind accounts, so that there is a secret.
func TestContract(t *testing.T) {
	t.Parallel()
	hmacKey := base64.RawURLEncoding.EncodeToString([]byte("the HMAC key of the account kid1"))
	server := startPebble(t, pebble.Config{MACKeys: map[string]string{"kid1": hmacKey}})
	base, err := url.Parse(server.DirectoryURL())
	if err != nil {
		t.Fatal(err)
	}
	forward := providertest.Forward(base, server.Roots())
	providertest.IssuerContract(t, func(t testing.TB, n *providertest.Network) providertest.Rig {
		orders := &orders{next: forward, byPath: make(map[string]*placed), authorizations: make(map[string]string)}
		records := &hook{t: t, records: make(map[string][]string)}
		directory := acme.Directory{URL: unique(n.Serve(orders) + directoryPath), Roots: n.Roots(), ExternalAccount: true}
		dns := acme.DNSConfig{
			Hooks: []acme.Hook{{
				Zones: []string{"example.test"}, URL: n.Serve(http.HandlerFunc(records.serve)) + "/?code=hook-key", Token: hookToken, Roots: n.Roots(),
			}},
			Nameservers: []string{challenges.DNS()},
		}
		names := family(strings.ToLower(rand.Text()))
		return providertest.Rig{
			New: func(p *providertest.Process) (provider.Provider, error) {
				zones, err := acme.NewDNS(dns)
				if err != nil {
					return nil, err
				}
				accounts := keyring.Ring{Store: p.Store, Seal: p.Seal, Open: p.Open}
				return acme.New(acme.Config{Directory: directory, DNS: zones, LoadAccount: accounts.Load, SaveAccount: accounts.Save, Now: p.Now, Log: p.Log})
			},
			Issuer: vault.IssuerSet{AccountID: new("kid1"), Password: &hmacKey},
			Policy: policy.Params{X509: &policy.X509Params{
				Subject: new("CN=" + names[0]), SANs: &policy.SANs{DNSNames: names},
			}},
			Secrets: []string{hmacKey, hookToken, "hook-key"},
			Made: func() providertest.Made {
				made := orders.made()
				for name, values := range records.left() {
					made.Held = append(made.Held, fmt.Sprintf("%d records at %s", len(values), name))
				}
				return made
			},
			// A reply to new-order that is lost leaves an order whose URL nobody
			// knows, and the protocol has no way to find it.
			MaxCertificates: 1,
			Points:          16,
		}
	})
}

// orders notes what Pebble does with the orders of one run.
type orders struct {
	next http.Handler

	mu             sync.Mutex
	byPath         map[string]*placed
	authorizations map[string]string // status last told, by path
}

// placed is an order at the CA.
type placed struct {
	authorizations []string // paths
	known          bool     // it was asked for since
	finalized      bool
}

func (o *orders) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply := httptest.NewRecorder()
	o.next.ServeHTTP(reply, r)
	o.note(r.URL.Path, reply)
	for name, values := range reply.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(reply.Code)
	w.Write(reply.Body.Bytes())
}

func (o *orders) note(path string, reply *httptest.ResponseRecorder) {
	if reply.Code >= 300 {
		return
	}
	var object struct {
		Status         string
		Authorizations []string
	}
	if json.Unmarshal(reply.Body.Bytes(), &object) != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case reply.Code == http.StatusCreated && len(object.Authorizations) > 0:
		order := new(placed)
		for _, u := range object.Authorizations {
			order.authorizations = append(order.authorizations, pathOf(u))
			o.authorizations[pathOf(u)] = "pending"
		}
		o.byPath[pathOf(reply.Header().Get("Location"))] = order
	case strings.HasPrefix(path, orderPath) && o.byPath[path] != nil:
		o.byPath[path].known = true
	case strings.HasPrefix(path, finalizePath):
		if order := o.byPath[orderPath+strings.TrimPrefix(path, finalizePath)]; order != nil {
			order.finalized = true
		}
	case strings.HasPrefix(path, authorizationPath):
		o.authorizations[path] = object.Status
	}
}

func pathOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	return u.Path
}

// made counts orders, and certificates by what was finalized. An order that
// nobody asked for since it was placed is one that nobody knows.
func (o *orders) made() providertest.Made {
	o.mu.Lock()
	defer o.mu.Unlock()
	made := providertest.Made{Orders: len(o.byPath)}
	for path, order := range o.byPath {
		if order.finalized {
			made.Certificates++
			continue
		}
		for _, a := range order.authorizations {
			if order.known && o.authorizations[a] == "pending" {
				made.Held = append(made.Held, "authorization "+a+" of order "+path)
			}
		}
	}
	return made
}
