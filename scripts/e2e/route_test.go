package e2e

// Functions and their routes through the host.

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

// TestFunctions: which function gets which request, under the host's rule and with
// the functions as they are packaged. Every function gets some.
func TestFunctions(t *testing.T) {
	t.Parallel()
	packaged, err := functionshost.ReadApp(need(t, app), []string{"CERTWRIGHT_ADVANCE_SCHEDULE=" + never})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range packaged.Dropped {
		t.Errorf("the host drops a function: %v", err)
	}
	seen := map[string]bool{"AdvanceIssuance": true} // the timer's
	for request, want := range map[string]string{
		"POST /certificates/a/create":         "CreateCertificate",
		"POST /Certificates/a/CREATE/":        "CreateCertificate",
		"GET /certificates/a/pending":         "PendingCertificate",
		"DELETE /certificates/a/pending":      "PendingCertificate",
		"PATCH /certificates/a/pending":       "CancelPending",
		"POST /certificates/a/pending/merge":  "MergeCertificate",
		"GET /health":                         "Health",
		"GET /.well-known/acme-challenge/x":   "WellKnown",
		"GET /deletedcertificates":            "VaultDeletedCertificates",
		"POST /deletedcertificates/a/recover": "VaultDeletedCertificates",
		"GET /secrets/a/v":                    "VaultSecrets",
		"GET /deletedsecrets":                 "VaultDeletedSecrets",
		"GET /keys/a":                         "VaultKeys",
		"GET /deletedkeys/a":                  "VaultDeletedKeys",
		"GET /operations":                     "VaultOperations",
		"GET /events":                         "VaultEvents",
		"POST /events/x/siem/retry":           "VaultEvents",
		"GET /operations/x":                   "VaultOperations",
		"POST /operations/x/advance":          "VaultOperations",
		"DELETE /operations/x":                "VaultOperations",
		"POST /operations/issuers/x/pause":    "VaultOperations",
		"POST /certificates/a/v/revoke":       "VaultCertificates",
		"POST /certificates//a/import":        "VaultEmptySegment",
		// The rest is the collection's, wrong verbs included.
		"GET /certificates":                  "VaultCertificates",
		"GET /certificates/":                 "VaultCertificates",
		"GET /certificates/a":                "VaultCertificates",
		"GET /certificates/a/v":              "VaultCertificates",
		"GET /certificates/a/create":         "VaultCertificates",
		"PUT /certificates/a/pending":        "VaultCertificates",
		"HEAD /certificates/a/pending":       "VaultCertificates",
		"GET /certificates/a/pending/merge":  "VaultCertificates",
		"POST /certificates/a/pending/x":     "VaultCertificates",
		"PUT /certificates/issuers/a":        "VaultCertificates",
		"GET /certificates/a/b/c/d/e/f":      "VaultCertificates",
		"PATCH /certificates/a/pending/more": "VaultCertificates",
		// The host answers these itself.
		"POST /health":          "",
		"POST /AdvanceIssuance": "",
		"GET /certificate":      "",
		"GET /":                 "",
		"GET /other//path":      "",
		"GET /certificatesx":    "",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := ""
		if fn, _, ok := packaged.Match(method, path); ok {
			got = fn.Name
		}
		if got != want {
			t.Errorf("%s is given to %q, want %q", request, got, want)
		}
		seen[got] = true
	}
	for _, fn := range packaged.Functions {
		if !seen[fn.Name] {
			t.Errorf("no request of this test is given to %s", fn.Name)
		}
	}
}

// modes are the two ways in which hosts pass requests on.
var modes = map[string]functionshost.Mode{"proxying": functionshost.Proxying, "forwarding": functionshost.Forwarding}

// TestRefusalsHaveTheEnvelope: whatever is wrong about a request in one of Key
// Vault's collections, the answer is Key Vault's.
func TestRefusalsHaveTheEnvelope(t *testing.T) {
	t.Parallel()
	b := need(t, sharedBackend)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := b.start(t, hostConfig{vaultID: newVaultID(), mode: mode})
			door := h.frontDoor(t, "myvault.vault.azure.net")
			for _, test := range []struct {
				method, path string
				status       int
				code         string
			}{
				{"PUT", "/certificates", 405, "MethodNotAllowed"},
				{"PUT", "/certificates/a/pending", 405, "MethodNotAllowed"},
				{"GET", "/certificates/a/create", 405, "MethodNotAllowed"},
				{"GET", "/certificates/a/pending/merge", 405, "MethodNotAllowed"},
				{"POST", "/certificates//create", 405, "MethodNotAllowed"},
				{"OPTIONS", "/certificates/a", 405, "MethodNotAllowed"},
				{"POST", "/deletedcertificates/a", 405, "MethodNotAllowed"},
				{"GET", "/certificates/a/b/c/d", 404, "NotFound"},
				{"POST", "/certificates/a/pending/x", 404, "NotFound"},
				{"GET", "/deletedcertificates/a/b/c", 404, "NotFound"},
				{"GET", "/operations/a/b/c", 404, "NotFound"},
				{"GET", "/certificates/a_b", 400, "BadParameter"},
				{"GET", "/certificates/..%2fhealth", 400, "BadParameter"},
				{"GET", "/certificates/a", 404, "CertificateNotFound"},
			} {
				got, err := door.do(t.Context(), test.method, test.path+apiVersion, "")
				if err != nil {
					t.Fatal(err)
				}
				if got.status != test.status || got.code() != test.code {
					t.Errorf("%s %s: %v, want %d with %s", test.method, test.path, got.refusal(), test.status, test.code)
				}
			}
			// Without a token nothing is looked at but the way to get one.
			door.token = ""
			for _, collection := range []string{"certificates", "deletedcertificates", "secrets", "keys", "operations"} {
				for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
					got, err := door.do(t.Context(), method, "/"+collection+"/a/b", "")
					if err != nil {
						t.Fatal(err)
					}
					challenge := got.header.Values("WWW-Authenticate")
					want := []string{`Bearer authorization="https://localhost/` + b.tenant + `", resource="https://vault.azure.net"`}
					if got.status != http.StatusUnauthorized || got.code() != "Unauthorized" || !slices.Equal(challenge, want) {
						t.Errorf("%s /%s/a/b without a token: %v with challenge %q, want 401 with %q", method, collection, got.refusal(), challenge, want)
					}
				}
			}
			// Outside the collections, the host answers.
			if got, err := door.do(t.Context(), http.MethodGet, "/other", ""); err != nil || got.status != http.StatusNotFound || len(got.body) > 0 {
				t.Errorf("a path outside: %v, %v, want an empty 404", got.refusal(), err)
			}
		})
	}
}
