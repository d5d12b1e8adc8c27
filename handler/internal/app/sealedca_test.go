package app

// A private CA whose key is sealed in storage, from handler ca to a signed certificate.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/ca"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/provider/privateca"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/scripts/localcloud/azurite"
)

// sealedCA has the settings of a CA, the provider Corp, whose key is sealed in
// storage.
type sealedCA struct {
	t       *testing.T
	changes map[string]string // of the settings of development
	dir     string            // has the chain alone
}

func newSealedCA(t *testing.T, connectionString string, members map[string]any) *sealedCA {
	t.Helper()
	c := &sealedCA{t: t, dir: t.TempDir()}
	members["chain"], members["sealed"] = c.chainFile(), true
	providers, err := json.Marshal(map[string]any{"Corp": map[string]any{"privateca": members}})
	if err != nil {
		t.Fatal(err)
	}
	c.changes = map[string]string{
		"CERTWRIGHT_STORAGE_CONNECTION_STRING": connectionString,
		"CERTWRIGHT_KEK_FILE":                  settingstest.KEK(t),
		"CERTWRIGHT_PROVIDERS":                 string(providers),
	}
	return c
}

func (c *sealedCA) chainFile() string { return filepath.Join(c.dir, "chain.pem") }

// does runs a command of handler ca, which must print texts.
func (c *sealedCA) does(args []string, texts ...string) {
	c.t.Helper()
	var out bytes.Buffer
	err := ca.Run(c.t.Context(), ca.Config{
		Args: args, Getenv: func(name string) string { return c.changes[name] }, Stdin: strings.NewReader(""), Stdout: &out, Now: time.Now,
	})
	if err != nil {
		c.t.Fatalf("handler ca %q: %v", args, err)
	}
	for _, text := range texts {
		if !strings.Contains(out.String(), text) {
			c.t.Errorf("handler ca %q does not say %q:\n%s", args, text, &out)
		}
	}
}

// TestSealedCA: a CA whose key is sealed in storage is made by the command while
// the app runs, issues and revokes in it, and is shown.
func TestSealedCA(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	storage, err := azurite.Start(ctx, azurite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Stop()
	c := newSealedCA(t, storage.ConnectionString(), map[string]any{"crl": true})
	a, server := start(t, c.changes)
	c.does([]string{"make", "-provider", "corp", "-cn", "Sealed Root", "-key", "P-256"},
		"ECDSA on P-256, sealed in storage\n", "certificate at /.well-known/certwright/", ".crl: not published yet")
	if files, err := os.ReadDir(c.dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	text, err := os.ReadFile(c.chainFile())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := privateca.ParseChain(text)
	if err != nil {
		t.Fatal(err)
	}
	root := chain[0]

	leaf := obtain(t, a, "corp")
	if err := leaf.CheckSignatureFrom(root); err != nil {
		t.Error(err)
	}
	if resp, _ := fetch(t, http.MethodGet, server.URL+settings.CAFiles+settings.CAName(root)+".cer"); resp.StatusCode != http.StatusOK {
		t.Errorf("the CA's certificate: %s", resp.Status)
	}
	if len(leaf.CRLDistributionPoints)+len(leaf.IssuingCertificateURL) != 0 {
		t.Errorf("URLs that are not configured: %q, %q", leaf.CRLDistributionPoints, leaf.IssuingCertificateURL)
	}
	if err := privateCAs(a.issuers)[settings.CAName(root)].Revoke(ctx, provider.Issuer{}, leaf, 1); err != nil {
		t.Fatal(err)
	}
	crl, err := privateCAs(a.issuers)[settings.CAName(root)].CRL(ctx)
	if err != nil || crl.Number.Int64() < leaf.NotBefore.Unix() { // numbers are times
		t.Fatalf("CRL %+v, %v", crl, err)
	}
	c.does([]string{"show", "-provider", "corp"}, fmt.Sprintf(".crl: number %d from ", crl.Number), ", 1 certificate revoked\n")

	// Another provider's CA has its key beside it.
	other := newSealedCA(t, storage.ConnectionString(), map[string]any{})
	other.does([]string{"make", "-provider", "corp", "-cn", "Next Root", "-key", "RSA-2048"}, "RSA of 2048 bits, sealed in storage\n")
	c.does([]string{"show"}, "ECDSA on P-256, sealed in storage\n")
	// Without the row there is no key.
	c.changes["CERTWRIGHT_VAULT_ID"] = "elsewhere"
	c.does([]string{"show"}, "NOT USABLE: there is no key")
}
