// Package settingstest has what the tests of settings, and of what is made of
// settings, share: settings that are right, and the files that settings name.
package settingstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/provider/privateca"
	"github.com/certwright/certwright/handler/internal/settings"
)

// Development are settings as the local cloud makes them.
var Development = map[string]string{
	"FUNCTIONS_CUSTOMHANDLER_PORT":         "9000",
	"CERTWRIGHT_VAULT_URLS":                "https://localhost:8443, https://*.vault.azure.net",
	"CERTWRIGHT_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true",
	"CERTWRIGHT_KEK_FILE":                  "kek",
	"CERTWRIGHT_AUTHORITY":                 "https://localhost:8443/tenant",
	"CERTWRIGHT_RESOURCE":                  "https://vault.azure.net",
	"CERTWRIGHT_TOKEN_ISSUERS":             "http://127.0.0.1:9001/tenant",
	"CERTWRIGHT_TOKEN_AUDIENCES":           "https://vault.azure.net",
	"CERTWRIGHT_TOKEN_KEYS_URL":            "http://127.0.0.1:9001/keys",
	"CERTWRIGHT_SCRIPTED_ISSUER":           "true",
}

// Production are settings as they are in Azure.
var Production = map[string]string{
	"FUNCTIONS_CUSTOMHANDLER_PORT": "9000",
	"CERTWRIGHT_VAULT_URLS":        "https://v1.certs.example.com",
	"CERTWRIGHT_TABLE_ENDPOINT":    "https://account.table.core.windows.net",
	"CERTWRIGHT_BLOB_ENDPOINT":     "https://account.blob.core.windows.net",
	"CERTWRIGHT_KEK_ID":            "https://keys.vault.azure.net/keys/kek",
	"CERTWRIGHT_AUTHORITY":         "https://login.microsoftonline.com/tenant",
	"CERTWRIGHT_RESOURCE":          "https://certs.example.com",
	"CERTWRIGHT_TOKEN_ISSUERS":     "https://sts.windows.net/tenant/",
	"CERTWRIGHT_TOKEN_AUDIENCES":   "https://certs.example.com",
	"CERTWRIGHT_TOKEN_KEYS_URL":    "https://login.microsoftonline.com/tenant/discovery/v2.0/keys",
}

// Parse parses settings, some of which are changed.
func Parse(all, changes map[string]string) (settings.Settings, error) {
	all = maps.Clone(all)
	maps.Copy(all, changes)
	return settings.Parse(func(name string) string { return all[name] })
}

// KEK is a file with a key-encryption key.
func KEK(t *testing.T) string {
	t.Helper()
	return write(t, "kek", []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))))
}

// Root makes a CA with its key in a file.
func Root(t *testing.T) (root *x509.Certificate, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root, err = privateca.Root{Subject: pkix.Name{CommonName: "Private CA"}, Years: 5}.Certify(key, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return root, write(t, "ca.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// Certificates is a file of certificates.
func Certificates(t *testing.T, der ...[]byte) string {
	t.Helper()
	var text []byte
	for _, d := range der {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d})...)
	}
	return write(t, "certificates.pem", text)
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
