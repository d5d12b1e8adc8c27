package webhook_test

// The provider in a vault.

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/webhook"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// story is a vault whose issuer ca is an authority.
type story struct {
	*vault.Vault
	t         testing.TB
	authority *authority
	elapsed   atomic.Int64
}

func newStory(t testing.TB) *story {
	t.Helper()
	s := &story{t: t, authority: newAuthority(t)}
	now := func() time.Time { return start.Add(time.Duration(s.elapsed.Load())) }
	plain := func(_ context.Context, kind, name, id string, data []byte) ([]byte, error) {
		return bytes.Clone(data), nil
	}
	issuer := s.authority.issuer(webhook.Config{}) // its clock stands still, as the authority's
	var err error
	s.Vault, err = vault.New(vault.Config{
		Store: new(memory.Store), Seal: plain, Open: plain, Now: now,
		Sleep:     func(_ context.Context, d time.Duration) error { s.elapsed.Add(int64(d)); return nil },
		Providers: map[string]provider.Provider{"self": issuer, "corp": issuer},
	})
	if err != nil {
		t.Fatal(err)
	}
	name, err := vault.ParseIssuerName("ca")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.SetIssuer(t.Context(), name, vault.IssuerSet{Provider: new("Corp"), AccountID: new(keyID), Password: new(secret)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *story) create() vault.Name {
	s.t.Helper()
	name, err := vault.ParseName("web")
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.Create(s.t.Context(), name, vault.CreateParams{Policy: &policy.Params{
		Key:    &policy.KeyParams{Type: new("EC"), Curve: new("P-256")},
		X509:   &policy.X509Params{Subject: new("CN=example.com"), SANs: &policy.SANs{DNSNames: []string{"example.com"}}},
		Issuer: &policy.IssuerParams{Name: new("ca")},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return name
}

// tick lets the time go on by d and advances.
func (s *story) tick(d time.Duration) {
	s.t.Helper()
	s.elapsed.Add(int64(d))
	if _, err := s.Advance(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// calls are the methods and statuses of the exchanges since the last call.
func (s *story) calls() []string {
	var list []string
	for _, call := range s.authority.take() {
		method, _, _ := strings.Cut(call, " ")
		list = append(list, method+call[len(call)-4:])
	}
	return list
}

func TestVaultIssues(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.authority.pending = true
	name := s.create()
	s.tick(3 * time.Second)
	s.authority.set(func() { s.authority.pending = false })
	s.tick(2 * time.Minute)
	if _, err := s.Certificate(t.Context(), name); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"GET 404", "POST 202", "GET 200"}, s.calls()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A cancelled or deleted operation is taken back, however often that has to be
// tried.
func TestVaultTakesBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(*story, vault.Name) error
		want []string
	}{
		"cancel": {func(s *story, n vault.Name) error {
			_, err := s.Cancel(t.Context(), n, "", true)
			return err
		}, []string{"DELETE 204", "DELETE 204"}}, // asked, then released
		"delete": {func(s *story, n vault.Name) error {
			_, err := s.DeleteOperation(t.Context(), n, "")
			return err
		}, []string{"DELETE 204"}},
	} {
		s := newStory(t)
		s.authority.pending = true
		n := s.create()
		s.tick(3 * time.Second)
		s.calls()
		if err := c.end(s, n); err != nil {
			t.Fatal(err)
		}
		s.authority.set(func() { s.authority.faults = []fault.Func{fault.Reply(503, "text/plain", ""), fault.Dropped} })
		for range 4 {
			s.tick(2 * time.Minute)
		}
		if diff := cmp.Diff(c.want, s.calls()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if !s.authority.requests[onlyID(s.authority)].cancelled {
			t.Errorf("%s: the CA goes on", name)
		}
	}
}

func onlyID(a *authority) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.requests {
		return id
	}
	return ""
}
