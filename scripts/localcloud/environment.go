package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/certwright/certwright/scripts/localcloud/checkout"
)

// environmentName is the file of settings to source.
const environmentName = "env"

// variable is one environment variable.
type variable struct{ name, value string }

// endpoints is what a client's shell needs to know.
type endpoints struct {
	url, hostURL     string
	proxy            string
	identityEndpoint string
	identityHeader   string
	bundle           string
}

// routes returns the variables that lead a program written for Key Vault to the
// local cloud, and away from elsewhere. The names of proxies are given in both
// cases, because clients differ in which one they prefer.
func (e endpoints) routes() []variable {
	const direct = "localhost,127.0.0.1,::1"
	return []variable{
		{"CERTWRIGHT_URL", e.url},
		{"CERTWRIGHT_HOST_URL", e.hostURL},
		{"IDENTITY_ENDPOINT", e.identityEndpoint},
		{"IDENTITY_HEADER", e.identityHeader},
		// Without it, a default credential may find the user's own identity first.
		{"AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential"},
		{"HTTPS_PROXY", e.proxy},
		{"https_proxy", e.proxy},
		{"NO_PROXY", direct},
		{"no_proxy", direct},
	}
}

// trust returns the variables that make programs trust the front door besides
// what they trust already.
func (e endpoints) trust() []variable {
	return []variable{
		{"SSL_CERT_FILE", e.bundle},       // Go, OpenSSL, httpx
		{"REQUESTS_CA_BUNDLE", e.bundle},  // Python's requests
		{"CURL_CA_BUNDLE", e.bundle},      // curl, which prefers it to SSL_CERT_FILE
		{"NODE_EXTRA_CA_CERTS", e.bundle}, // Node.js
	}
}

// foreign are variables that would lead a default credential elsewhere.
var foreign = []string{
	"AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_TENANT_ID",
	"AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_FEDERATED_TOKEN_FILE",
	"IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET",
}

// writeEnvironment writes the file of settings, for sh, and returns its path.
func writeEnvironment(c checkout.Checkout, e endpoints) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Settings of the local cloud of process %d, removed when it ends. Source this file.\n", os.Getpid())
	fmt.Fprintf(&b, "# In a shell that did, every Key Vault is this one, and other hosts are out of reach by HTTPS.\n")
	for _, v := range append(e.routes(), e.trust()...) {
		fmt.Fprintf(&b, "export %s=%s\n", v.name, quote(v.value))
	}
	fmt.Fprintf(&b, "unset %s\n", strings.Join(foreign, " "))
	return c.Local(environmentName), c.State().Write(environmentName, []byte(b.String()))
}

// removeEnvironment removes the file of settings, of this process or of one that
// was killed.
func removeEnvironment(c checkout.Checkout) error {
	if err := os.Remove(c.Local(environmentName)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("removing the settings: %w", err)
	}
	return nil
}

// quote quotes a value for sh.
func quote(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// ownEnviron returns the environment for this process's own children. In a shell
// that has sourced the settings of a local cloud, its proxy and identity are for
// clients: npm, go and the handler must not see them.
func ownEnviron(environ []string) []string {
	if !slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "CERTWRIGHT_URL=") }) {
		return environ
	}
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.ContainsFunc(endpoints{}.routes(), func(v variable) bool { return v.name == name })
	})
}
