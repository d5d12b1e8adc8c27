package main

import (
	"slices"
	"strings"
)

// urlName is the variable by which a shell is known to have sourced the settings.
const urlName = "CERTWRIGHT_URL"

// outerPrefix begins the names under which a shell that has sourced the settings
// keeps the proxies that it had before, for what is installed from elsewhere.
const outerPrefix = "CERTWRIGHT_OUTER_"

// proxyNames are the variables of which the shell's own values are kept.
var proxyNames = []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"}

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
		{urlName, e.url},
		{"CERTWRIGHT_HOST_URL", e.hostURL},
		{"IDENTITY_ENDPOINT", e.identityEndpoint},
		{"IDENTITY_HEADER", e.identityHeader},
		// Without it, a default credential may find the user's own identity first.
		{"AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential"},
		{"HTTPS_PROXY", e.proxy},
		{"https_proxy", e.proxy},
		// Some programs look at no other, and one of the user's own may have a
		// scheme (SOCKS) that a client cannot speak.
		{"ALL_PROXY", e.proxy},
		{"all_proxy", e.proxy},
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

// ownEnviron returns the environment for this process's own children. In a shell
// that has sourced the settings of a local cloud, its proxy and identity are for
// clients: npm, go and the handler must not see them, but the proxies that the
// shell had before.
func ownEnviron(environ []string) []string {
	if !slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, urlName+"=") }) {
		return environ
	}
	var own []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		outer, isOuter := strings.CutPrefix(name, outerPrefix)
		switch {
		case isOuter && slices.Contains(proxyNames, outer):
			own = append(own, outer+"="+value)
		case !slices.ContainsFunc(endpoints{}.routes(), func(v variable) bool { return v.name == name }):
			own = append(own, entry)
		}
	}
	return own
}
