package vaultpki_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/issuers/fault"
	"github.com/certwright/certwright/handler/internal/issuers/vaultpki"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
)

// In a vault: an operation goes from create to certificate in one tick, a lost
// answer costs another one, a leaf that comes alone gets the chain that the mount
// publishes, and what nobody may know is in no log and no row.
func TestVaultIssues(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var elapsed atomic.Int64
	var output bytes.Buffer
	plain := func(_ context.Context, kind, name, id string, data []byte) ([]byte, error) {
		return bytes.Clone(data), nil
	}
	issuer := s.issuer(vaultpki.Config{})
	v, err := vault.New(vault.Config{
		Store: new(vaulttest.Memory), Seal: plain, Open: plain,
		Now:     func() time.Time { return start.Add(time.Duration(elapsed.Load())) },
		Sleep:   func(_ context.Context, d time.Duration) error { elapsed.Add(int64(d)); return nil },
		Log:     slog.New(slog.NewTextHandler(&output, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Issuers: map[string]vault.Issuer{"self": issuer, "corp": issuer},
	})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := vault.ParseIssuerName("ca")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.SetIssuer(t.Context(), ca, vault.IssuerSet{Provider: new("Corp")}); err == nil {
		t.Error("an issuer object without role id was accepted")
	}
	_, err = v.SetIssuer(t.Context(), ca, vault.IssuerSet{Provider: new("Corp"), AccountID: new(roleID), Password: new(secretID)})
	if err != nil {
		t.Fatal(err)
	}
	name, err := vault.ParseName("web")
	if err != nil {
		t.Fatal(err)
	}
	create := func(cty string) error {
		_, err := v.Create(t.Context(), name, vault.CreateParams{Policy: &vault.PolicyParams{
			Key:         &vault.KeyParams{Type: new("EC"), Curve: new("P-256")},
			ContentType: new(vault.ContentPEM),
			X509:        &vault.X509Params{Subject: new("CN=example.com"), SANs: &vault.SANs{DNSNames: []string{"example.com"}}},
			Issuer:      &vault.IssuerParams{Name: new("ca"), CertificateType: new(cty)},
		}})
		return err
	}
	if err := create("admin"); err == nil || !strings.Contains(err.Error(), "is not a role that may be chosen") {
		t.Errorf("create with a foreign role: %v", err)
	}
	if err := create("web"); err != nil {
		t.Fatal(err)
	}
	s.set(func() { s.faults, s.roles["web"] = []fault.Func{fault.Pass, fault.Lost}, role{bare: true} })
	for range 2 {
		elapsed.Add(int64(time.Minute))
		if _, err := v.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := v.Certificate(t.Context(), name)
	if err != nil || s.made() != 2 || !bytes.Equal(c.Leaf, s.last().Raw) {
		t.Errorf("%d certificates were made, accepted %x: %v", s.made(), c.Leaf, err)
	}
	secret, err := v.Secret(t.Context(), name, "", nil)
	if count := bytes.Count(secret.Value, []byte("BEGIN CERTIFICATE")); err != nil || count != 3 {
		t.Errorf("the chain has %d certificates: %v", count, err)
	}
	for _, text := range []string{secretID, "hvs."} {
		if strings.Contains(output.String(), text) {
			t.Errorf("the log has %q", text)
		}
	}
}
