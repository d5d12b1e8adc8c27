package acme_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	acmez "github.com/mholt/acmez/v3/acme"

	"github.com/certwright/certwright/scripts/localcloud/pebble"
)

// deactivate does so with the account of a stored key, as its owner may.
func deactivate(t *testing.T, server *pebble.Server, der []byte) {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	c := &acmez.Client{Directory: server.DirectoryURL(), HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: server.Roots()}}}}
	a, err := c.GetAccount(t.Context(), acmez.Account{PrivateKey: key.(crypto.Signer)})
	if err != nil {
		t.Fatal(err)
	}
	a.Status = "deactivated"
	if a, err = c.UpdateAccount(t.Context(), a); err != nil || a.Status != "deactivated" {
		t.Fatalf("%s, %v", a.Status, err)
	}
}

// all are the keys that are stored.
func (a *accounts) all() (keys [][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range a.keys {
		keys = append(keys, key)
	}
	return keys
}

// added is the one key of after that before lacks.
func added(t *testing.T, before, after [][]byte) []byte {
	t.Helper()
	after = slices.DeleteFunc(slices.Clone(after), func(key []byte) bool {
		return slices.ContainsFunc(before, func(old []byte) bool { return bytes.Equal(old, key) })
	})
	if len(after) != 1 {
		t.Fatalf("%d new account keys, want 1", len(after))
	}
	return after[0]
}

// TestDeactivatedAccountIsReplaced: again and again, by a process that knew the account
// and by one that looks it up, with an order that the old account placed.
func TestDeactivatedAccountIsReplaced(t *testing.T) {
	t.Parallel()
	server := startPebble(t, pebble.Config{Challenges: challenges})
	s := newSetup(t, server)
	s.request("first.replaced.example.test").issue()
	keys := s.accounts.all()
	deactivate(t, server, added(t, nil, keys))
	s.request("second.replaced.example.test").issue() // another process
	deactivate(t, server, added(t, keys, s.accounts.all()))
	keys = s.accounts.all()

	o := s.request("third.replaced.example.test")
	o.until(publishedAt("_acme-challenge.third.replaced.example.test"))
	deactivate(t, server, added(t, keys, s.accounts.all()))
	o.issue() // the process knew it
	s.noneLeft()
	if n := len(s.accounts.all()); n != 4 {
		t.Errorf("%d account keys, want 4", n)
	}
	if strings.Count(s.log.String(), "another takes its place") != 3 {
		t.Errorf("the log:\n%s", s.log)
	}
}

// TestReplaceAccount: on command the next step registers another account, in every
// process that looks.
func TestReplaceAccount(t *testing.T) {
	t.Parallel()
	server := startPebble(t, pebble.Config{Challenges: challenges})
	s := newSetup(t, server)
	o := s.request("one.command.example.test")
	o.issue()
	before := s.accounts.all()
	if err := o.provider.ReplaceAccount(t.Context(), o.req.Issuer); err != nil {
		t.Fatal(err)
	}
	added(t, before, s.accounts.all())
	again := s.request("two.command.example.test")
	again.provider = o.provider
	again.issue()
	s.request("three.command.example.test").issue()
	if n := len(s.accounts.all()); n != 2 {
		t.Errorf("%d account keys, want 2", n)
	}
	if n := strings.Count(s.log.String(), "ACME account registered"); n != 2 {
		t.Errorf("%d accounts were registered, want 2", n)
	}
}

// TestUnauthorizedAccount: some CAs say of a deactivated account's key that it is
// unauthorized. One that says so of every key does not make for accounts without end.
func TestUnauthorizedAccount(t *testing.T) {
	t.Parallel()
	for _, everybody := range []bool{false, true} {
		s := newStub(t)
		var mu sync.Mutex
		first := ""
		s.account = func(w http.ResponseWriter, r *http.Request) {
			var jws struct{ Protected string }
			if err := json.NewDecoder(r.Body).Decode(&jws); err != nil {
				t.Error(err)
			}
			header, err := base64.RawURLEncoding.DecodeString(jws.Protected)
			if err != nil {
				t.Error(err)
			}
			var protected struct{ JWK struct{ X string } }
			if err := json.Unmarshal(header, &protected); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if first == "" {
				first = protected.JWK.X
			}
			if everybody || protected.JWK.X == first {
				problem(http.StatusForbidden, `{"type":"urn:ietf:params:acme:error:unauthorized","detail":"the account is deactivated"}`)(w, r)
				return
			}
			problem(http.StatusBadRequest, `{"type":"urn:ietf:params:acme:error:accountDoesNotExist"}`)(w, r)
		}
		o := s.operation(t)
		for range 3 {
			o.provider = o.setup.provider()
			o.provider.Step(t.Context(), o.req, nil)
		}
		want := 2
		if everybody {
			want = 1
		}
		if n := len(o.accounts.all()); n != want {
			t.Errorf("everybody is unauthorized: %t: %d account keys, want %d", everybody, n, want)
		}
	}
}
