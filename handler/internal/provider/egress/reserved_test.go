package egress

// Addresses that serve this machine or its link.

import (
	"net/netip"
	"testing"
)

// CAs are on the internet and in private networks.
func TestReservedLeavesNetworks(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"192.0.2.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "2001:db8::1", "fd00::1", "64:ff9b::192.0.2.1", "2002:c000:201::1"} {
		if reserved(netip.MustParseAddr(addr)) {
			t.Errorf("%s is refused", addr)
		}
	}
}

// TestReservedWhenTranslated: an IPv6 address that a NAT64 or a tunnel brings to this
// machine or its link is no better than the IPv4 address.
func TestReservedWhenTranslated(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		"64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::168.63.129.16", "64:ff9b::0.0.0.0",
		"64:ff9b:1::169.254.169.254", // a prefix of 96 bits
		"64:ff9b:1:a9fe:a9:fe00:0:0", // of 48: a9fe, then the octet of zeros, then a9fe
		"64:ff9b:1:bba9:fe:a9fe::",   // of 56
		"64:ff9b:1:1:a9:fea9:fe00:0", // of 64
		"2002:a9fe:a9fe::1", "2002:7f00:1::1", "::169.254.169.254", "::127.0.0.1",
	} {
		if !reserved(netip.MustParseAddr(addr)) {
			t.Errorf("%s is called", addr)
		}
	}
}
