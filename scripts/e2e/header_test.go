// Headers that the host adds.

package e2e

import (
	"net/http"
	"slices"
	"testing"
)

// TestTransportSecurity: host.json has the host add the header, because one that
// proxies drops the handler's own; behind the front door it is there once, too.
func TestTransportSecurity(t *testing.T) {
	t.Parallel()
	b := need(t, sharedBackend)
	want := []string{"max-age=31536000;includeSubDomains"}
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := b.start(t, hostConfig{vaultID: newVaultID(), mode: mode})
			for way, a := range map[string]*api{"the host": h.api, "the front door": h.frontDoor(t, "myvault.vault.azure.net")} {
				got := a.must(t, http.MethodGet, "/certificates"+apiVersion, "").header.Values("Strict-Transport-Security")
				if !slices.Equal(got, want) {
					t.Errorf("%s says %q, want %q", way, got, want)
				}
			}
		})
	}
}
