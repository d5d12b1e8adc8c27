package signertest

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/vault"
)

// Story is a vault with the provider Corp, on a clock that begins at a time.
type Story struct {
	*vault.Vault
	Log bytes.Buffer // of all levels

	t       testing.TB
	elapsed atomic.Int64
}

// NewStory opens a vault.
func NewStory(t testing.TB, start time.Time, corp provider.Provider) *Story {
	t.Helper()
	plain := func(_ context.Context, kind, name, id string, data []byte) ([]byte, error) {
		return bytes.Clone(data), nil
	}
	s := &Story{t: t}
	var err error
	s.Vault, err = vault.New(vault.Config{
		Store: new(memory.Store), Seal: plain, Open: plain,
		Now:       func() time.Time { return start.Add(time.Duration(s.elapsed.Load())) },
		Sleep:     func(_ context.Context, d time.Duration) error { s.elapsed.Add(int64(d)); return nil },
		Log:       slog.New(slog.NewTextHandler(&s.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Providers: map[string]provider.Provider{"self": corp, "corp": corp},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Web is the name of the certificate of the story.
func (s *Story) Web() vault.Name {
	s.t.Helper()
	name, err := vault.ParseName("web")
	if err != nil {
		s.t.Fatal(err)
	}
	return name
}

// SetCA sets the issuer object ca, of Corp.
func (s *Story) SetCA(account, password *string) error {
	s.t.Helper()
	ca, err := vault.ParseIssuerName("ca")
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.SetIssuer(s.t.Context(), ca, vault.IssuerSet{Provider: new("Corp"), AccountID: account, Password: password})
	return err
}

// CreateWeb asks ca for the certificate, with an EC key.
func (s *Story) CreateWeb(pol policy.Params) error {
	s.t.Helper()
	pol.Key = &policy.KeyParams{Type: new("EC"), Curve: new("P-256")}
	if pol.Issuer == nil {
		pol.Issuer = new(policy.IssuerParams)
	}
	pol.Issuer.Name = new("ca")
	_, err := s.Create(s.t.Context(), s.Web(), vault.CreateParams{Policy: &pol})
	return err
}

// Tick is a minute later.
func (s *Story) Tick() {
	s.t.Helper()
	s.elapsed.Add(int64(time.Minute))
	if _, err := s.Advance(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}
