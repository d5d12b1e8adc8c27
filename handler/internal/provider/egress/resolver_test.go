package egress_test

// A resolver that gives every name one address.

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

var quiet = log.New(io.Discard, "", 0)

// resolve returns a resolver by whose only nameserver every name has the address
// ip.
func resolve(t testing.TB, ip string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	addr := netip.MustParseAddr(ip)
	go func() {
		defer close(done)
		packet := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(packet)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			var m dnsmessage.Message
			if err == nil {
				err = m.Unpack(packet[:n])
			}
			if err != nil {
				t.Errorf("reading a query: %v", err)
				return
			}
			answer(&m, addr)
			if reply, err := m.Pack(); err != nil {
				t.Errorf("answering a query: %v", err)
			} else if _, err := conn.WriteTo(reply, from); err != nil {
				t.Errorf("answering a query: %v", err)
			}
		}
	}()
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp4", conn.LocalAddr().String())
		},
	}
}

// answer turns a query into its answer.
func answer(m *dnsmessage.Message, addr netip.Addr) {
	q := m.Questions[0]
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
	switch {
	case q.Type == dnsmessage.TypeA && addr.Is4():
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}}}
	case q.Type == dnsmessage.TypeAAAA && addr.Is6():
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}}}
	}
}
