package vaultpki_test

// The provider in a vault.

import (
	"bytes"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/signertest"
	"github.com/certwright/certwright/handler/internal/provider/vaultpki"
)

// In a vault: an operation goes from create to certificate in one tick, a lost
// answer costs another one, a leaf that comes alone gets the chain that the mount
// publishes, and what nobody may know is in no log and no row.
func TestVaultIssues(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	story := signertest.NewStory(t, start, s.issuer(vaultpki.Config{}))
	if err := story.SetCA(nil, nil); err == nil {
		t.Error("an issuer object without role id was accepted")
	}
	if err := story.SetCA(new(roleID), new(secretID)); err != nil {
		t.Fatal(err)
	}
	create := func(cty string) error {
		return story.CreateWeb(policy.Params{
			ContentType: new(policy.ContentPEM),
			X509:        &policy.X509Params{Subject: new("CN=example.com"), SANs: &policy.SANs{DNSNames: []string{"example.com"}}},
			Issuer:      &policy.IssuerParams{CertificateType: new(cty)},
		})
	}
	if err := create("admin"); err == nil || !strings.Contains(err.Error(), "is not a role that may be chosen") {
		t.Errorf("create with a foreign role: %v", err)
	}
	if err := create("web"); err != nil {
		t.Fatal(err)
	}
	s.Set(func() { s.Faults, s.roles["web"] = []fault.Func{fault.Pass, fault.Lost}, role{bare: true} })
	story.Tick()
	story.Tick()
	c, err := story.Certificate(t.Context(), story.Web())
	if err != nil || s.made() != 2 || !bytes.Equal(c.Leaf, s.last().Raw) {
		t.Errorf("%d certificates were made, accepted %x: %v", s.made(), c.Leaf, err)
	}
	secret, err := story.Secret(t.Context(), story.Web(), "", nil)
	if count := bytes.Count(secret.Value, []byte("BEGIN CERTIFICATE")); err != nil || count != 3 {
		t.Errorf("the chain has %d certificates: %v", count, err)
	}
	for _, text := range []string{secretID, "hvs."} {
		if strings.Contains(story.Log.String(), text) {
			t.Errorf("the log has %q", text)
		}
	}
}
