package e2e

// A stand-in of Azure Resource Manager, for the login of the Azure CLI.

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// resourceManager stands in for Azure Resource Manager, which the Azure CLI asks for
// its subscriptions when it logs in: there are none. It returns the environment of a
// CLI, which is that of the cloud's shell with what leads there and trusts it.
func resourceManager(t testing.TB, cloud *cloud) []string {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, "/subscriptions") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"value":[]}`) // what fails is the client's connection
	}))
	t.Cleanup(server.Close)
	bundle, err := os.ReadFile(cloud.setting("REQUESTS_CA_BUNDLE"))
	if err != nil {
		t.Fatal(err)
	}
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	trusted := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(trusted, slices.Concat(bundle, []byte("\n"), own), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"CERTWRIGHT_E2E_RESOURCE_MANAGER=" + server.URL, "REQUESTS_CA_BUNDLE=" + trusted}
}
