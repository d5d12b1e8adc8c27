package app

// A private CA's CRL, from the settings to a client that verifies with it.

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/settings"
	"github.com/certwright/certwright/handler/internal/settings/settingstest"
	"github.com/certwright/certwright/handler/internal/vault"
	"github.com/certwright/certwright/scripts/localcloud/azurite"
)

// TestCRLFromSettings: a private CA that crlUrls are configured for publishes its
// CRL by a tick, in a blob, and serves it to anybody with its certificate, by
// which OpenSSL verifies what the CA issued.
func TestCRLFromSettings(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	storage, err := azurite.Start(ctx, azurite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Stop()
	root, keyFile := settingstest.Root(t)
	path := settings.CAFiles + settings.CAName(root)
	setting, err := json.Marshal(map[string]any{
		"Corp": map[string]any{"privateca": map[string]any{
			"chain": settingstest.Certificates(t, root.Raw), "keyFile": keyFile,
			"crlUrls": []string{"http://ca.example.com" + path + ".crl"}, "issuerUrls": []string{"http://ca.example.com" + path + ".cer"},
		}},
		"Silent": map[string]any{"privateca": map[string]any{"chain": settingstest.Certificates(t, root.Raw), "keyFile": keyFile}}, // the same CA
	})
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]string{
		"CERTWRIGHT_STORAGE_CONNECTION_STRING": storage.ConnectionString(), "CERTWRIGHT_KEK_FILE": settingstest.KEK(t), "CERTWRIGHT_PROVIDERS": string(setting),
	}
	a, server := start(t, changes)
	get := func(server *httptest.Server, file string, header ...string) (*http.Response, []byte) {
		t.Helper()
		return fetch(t, http.MethodGet, server.URL+path+file, header...)
	}
	if resp, _ := get(server, ".crl"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("before the first tick: %s", resp.Status)
	}
	leaf := obtain(t, a, "corp")
	if leaf.CRLDistributionPoints[0] != "http://ca.example.com"+path+".crl" || leaf.IssuingCertificateURL[0] != "http://ca.example.com"+path+".cer" {
		t.Errorf("the certificate names %q and %q", leaf.CRLDistributionPoints, leaf.IssuingCertificateURL)
	}
	resp, der := get(server, ".cer")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/pkix-cert" || string(der) != string(root.Raw) {
		t.Errorf("the CA's certificate: %s, %v, %x", resp.Status, resp.Header, der)
	}

	resp, first := get(server, ".crl")
	etag := resp.Header.Get("ETag")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/pkix-crl" ||
		resp.Header.Get("Cache-Control") != "public, max-age=600" || etag == "" {
		t.Errorf("the CRL: %s, %v", resp.Status, resp.Header)
	}
	if resp, body := get(server, ".crl", "If-None-Match", etag); resp.StatusCode != http.StatusNotModified || len(body) != 0 {
		t.Errorf("the same CRL again: %s, %d bytes", resp.Status, len(body))
	}
	if resp, body := fetch(t, http.MethodHead, server.URL+path+".crl"); resp.StatusCode != http.StatusOK || resp.ContentLength != int64(len(first)) || len(body) != 0 {
		t.Errorf("HEAD: %s, length %d, %d bytes", resp.Status, resp.ContentLength, len(body))
	}
	if text, err := verifyWithCRL(t, root, first, leaf); err != nil {
		t.Errorf("a certificate that is not revoked: %v\n%s", err, text)
	}
	if err := privateCAs(a.issuers)[settings.CAName(root)].Revoke(ctx, provider.Issuer{}, leaf, 4); err != nil {
		t.Fatal(err)
	}
	if resp, second := get(server, ".crl", "If-None-Match", etag); resp.StatusCode != http.StatusOK {
		t.Errorf("the next CRL: %s", resp.Status)
	} else if text, err := verifyWithCRL(t, root, second, leaf); err == nil || !strings.Contains(text, "certificate revoked") {
		t.Errorf("a certificate that is revoked: %v\n%s", err, text)
	}
	// Another instance serves the same, having published nothing.
	_, other := start(t, changes)
	if resp, second := get(other, ".crl"); resp.StatusCode != http.StatusOK || string(second) == string(first) {
		t.Errorf("another instance: %s, %d bytes", resp.Status, len(second))
	}
	for _, file := range []string{"", ".pem", ".crl.crl", ".crl/"} {
		if resp, _ := get(server, file); resp.StatusCode != http.StatusNotFound {
			t.Errorf("file %q: %s", file, resp.Status)
		}
	}
	if resp, _ := fetch(t, http.MethodPost, server.URL+path+".crl"); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", resp.Status)
	}
}

// TestNoCRL: where none is configured nothing is written into certificates, and
// none is served.
func TestNoCRL(t *testing.T) {
	t.Parallel()
	root, keyFile := settingstest.Root(t)
	for name, test := range map[string]struct {
		crl       any
		urls      []string
		publishes bool
	}{
		"nothing said": {nil, nil, false},
		"URLs":         {nil, []string{"http://ca.example.com/crl"}, true},
		"wanted":       {true, nil, true},
		"of others":    {false, []string{"http://ca.example.com/crl"}, false},
	} {
		setting, err := json.Marshal(map[string]any{"Corp": map[string]any{"privateca": map[string]any{
			"chain": settingstest.Certificates(t, root.Raw), "keyFile": keyFile, "crl": test.crl, "crlUrls": test.urls,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := settingstest.Parse(settingstest.Development, map[string]string{"CERTWRIGHT_PROVIDERS": string(setting)})
		if err != nil {
			t.Fatal(err)
		}
		issuers, err := cfg.OpenProviders(settings.Backend{})
		if err != nil {
			t.Fatal(err)
		}
		if got := privateCAs(issuers)[settings.CAName(root)].PublishesCRL(); got != test.publishes {
			t.Errorf("%s: publishes a CRL: %t", name, got)
		}
	}
}

// obtain has a certificate issued by a tick.
func obtain(t *testing.T, a *App, provider string) *x509.Certificate {
	t.Helper()
	issuer, err := vault.ParseIssuerName("ca")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.vault.SetIssuer(t.Context(), issuer, vault.IssuerSet{Provider: &provider}); err != nil {
		t.Fatal(err)
	}
	name, err := vault.ParseName("web")
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.vault.Create(t.Context(), name, vault.CreateParams{Policy: &policy.Params{
		X509:   &policy.X509Params{Subject: new("CN=www.corp.test"), SANs: &policy.SANs{DNSNames: []string{"www.corp.test"}}},
		Issuer: &policy.IssuerParams{Name: new("ca")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := a.vault.Certificate(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Leaf)
	if err != nil {
		op, _ := a.vault.Operation(t.Context(), name, "")
		t.Fatalf("after a tick: %v; the operation is %s, %+v", err, op.Status, op.Error)
	}
	return leaf
}

// fetch makes a request with header fields, given as names and values.
func fetch(t *testing.T, method, url string, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

// verifyWithCRL has OpenSSL verify a certificate.
func verifyWithCRL(t *testing.T, root *x509.Certificate, crl []byte, leaf *x509.Certificate) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "crl.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl}), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "openssl", "verify", "-x509_strict", "-crl_check", "-CRLfile", file,
		"-CAfile", settingstest.Certificates(t, root.Raw), settingstest.Certificates(t, leaf.Raw)).CombinedOutput()
	return string(out), err
}
