package stepca_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/issuers/fault"
	"github.com/certwright/certwright/handler/internal/issuers/stepca"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/handler/internal/vaulttest"
	local "github.com/certwright/certwright/scripts/localcloud/stepca"
)

// In a vault: a lost answer costs another tick and another certificate, of which
// one is accepted; and what nobody may know is in no log.
func TestVaultIssues(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	var elapsed atomic.Int64
	var output bytes.Buffer
	plain := func(_ context.Context, kind, name, id string, data []byte) ([]byte, error) {
		return bytes.Clone(data), nil
	}
	now := func() time.Time { return start.Add(time.Duration(elapsed.Load())) }
	issuer := f.issuer(stepca.Config{})
	v, err := vault.New(vault.Config{
		Store: new(vaulttest.Memory), Seal: plain, Open: plain, Now: now,
		Sleep:   func(_ context.Context, d time.Duration) error { elapsed.Add(int64(d)); return nil },
		Log:     slog.New(slog.NewTextHandler(&output, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Issuers: map[string]vault.Issuer{"self": issuer, "corp": issuer},
	})
	if err != nil {
		t.Fatal(err)
	}
	object, err := vault.ParseIssuerName("ca")
	if err != nil {
		t.Fatal(err)
	}
	set := vault.IssuerSet{Provider: new("Corp"), AccountID: new(local.Provisioner), Password: new(ca.Key())}
	if _, err = v.SetIssuer(t.Context(), object, set); err != nil {
		t.Fatal(err)
	}
	name, err := vault.ParseName("web")
	if err != nil {
		t.Fatal(err)
	}
	create := func(sans *vault.SANs) error {
		_, err := v.Create(t.Context(), name, vault.CreateParams{Policy: &vault.PolicyParams{
			Key:    &vault.KeyParams{Type: new("EC"), Curve: new("P-256")},
			X509:   &vault.X509Params{Subject: new("CN=example.com, O=Example"), SANs: sans},
			Issuer: &vault.IssuerParams{Name: new("ca")},
		}})
		return err
	}
	if err := create(&vault.SANs{UPNs: []string{"ada@corp"}}); err == nil || !strings.Contains(err.Error(), "sans.upns") {
		t.Errorf("create with a UPN: %v", err)
	}
	if err := create(&vault.SANs{DNSNames: []string{"example.com"}, Emails: []string{"ada@example.com"}}); err != nil {
		t.Fatal(err)
	}
	f.set(func() { f.faults = []fault.Func{fault.Lost} })
	for range 2 {
		elapsed.Add(int64(time.Minute))
		if _, err := v.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := v.Certificate(t.Context(), name)
	if err != nil || f.made() != 2 {
		t.Fatalf("%d certificates were made: %v", f.made(), err)
	}
	leaf, err := x509.ParseCertificate(c.Leaf)
	if err != nil || !cmp.Equal(leaf.DNSNames, []string{"example.com"}) {
		t.Errorf("accepted %q, %v", leaf.DNSNames, err)
	}
	for _, text := range append(f.tokens(), secret(t)) {
		if strings.Contains(output.String(), text) {
			t.Errorf("the log has %q", text)
		}
	}
}
