package egress

// Addresses that serve this machine or its link.

import (
	"net/netip"
	"testing"
)

// CAs are on the internet and in private networks.
func TestReservedLeavesNetworks(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"192.0.2.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "2001:db8::1", "fd00::1"} {
		if reserved(netip.MustParseAddr(addr)) {
			t.Errorf("%s is refused", addr)
		}
	}
}
