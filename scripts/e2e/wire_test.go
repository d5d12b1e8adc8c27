package e2e

// Key Vault's documents, request by request, through the whole local cloud.

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/certwright/certwright/scripts/localcloud/functionshost"
)

// mykeyvault is the vault of Key Vault's documents.
const mykeyvault = "https://mykeyvault.vault.azure.net"

// TestWire: Key Vault's documents, request by request, with the live service's
// values, by curl through the proxy and the front door.
func TestWire(t *testing.T) {
	t.Parallel()
	send, err := need(t, localCloud).curl(t.Context(), mykeyvault)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range scripts(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			readScript(t, file).run(t, send)
		})
	}
}

// scripts are the files of all scripts.
func scripts(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	return files
}

// TestForwardingHost: hosts from before mid-2025 rebuild the requests that they
// pass on. Clients see no difference.
func TestForwardingHost(t *testing.T) {
	t.Parallel()
	b := need(t, sharedBackend)
	for _, file := range scripts(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			h := b.start(t, hostConfig{vaultID: newVaultID(), schedule: "* * * * * *", mode: functionshost.Forwarding})
			readScript(t, file).run(t, h.frontDoor(t, strings.TrimPrefix(mykeyvault, "https://")).send)
		})
	}
}
