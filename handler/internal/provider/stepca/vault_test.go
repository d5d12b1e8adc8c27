package stepca_test

// The provider in a vault.

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider/fault"
	"github.com/certwright/certwright/handler/internal/provider/signertest"
	"github.com/certwright/certwright/handler/internal/provider/stepca"
	local "github.com/certwright/certwright/scripts/localcloud/stepca"
)

// In a vault: a lost answer costs another tick and another certificate, of which
// one is accepted; and what nobody may know is in no log.
func TestVaultIssues(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	story := signertest.NewStory(t, start, f.issuer(stepca.Config{}))
	if err := story.SetCA(new(local.Provisioner), new(ca.Key())); err != nil {
		t.Fatal(err)
	}
	create := func(sans *policy.SANs) error {
		return story.CreateWeb(policy.Params{X509: &policy.X509Params{Subject: new("CN=example.com, O=Example"), SANs: sans}})
	}
	if err := create(&policy.SANs{UPNs: []string{"ada@corp"}}); err == nil || !strings.Contains(err.Error(), "sans.upns") {
		t.Errorf("create with a UPN: %v", err)
	}
	if err := create(&policy.SANs{DNSNames: []string{"example.com"}, Emails: []string{"ada@example.com"}}); err != nil {
		t.Fatal(err)
	}
	f.Set(func() { f.Faults = []fault.Func{fault.Lost} })
	story.Tick()
	story.Tick()
	c, err := story.Certificate(t.Context(), story.Web())
	if err != nil || f.made() != 2 {
		t.Fatalf("%d certificates were made: %v", f.made(), err)
	}
	leaf, err := x509.ParseCertificate(c.Leaf)
	if err != nil || !cmp.Equal(leaf.DNSNames, []string{"example.com"}) {
		t.Errorf("accepted %q, %v", leaf.DNSNames, err)
	}
	for _, text := range append(f.tokens(), secret(t)) {
		if strings.Contains(story.Log.String(), text) {
			t.Errorf("the log has %q", text)
		}
	}
}
