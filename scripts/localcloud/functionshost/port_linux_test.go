package functionshost

// Ports that are reserved for the handler.

import (
	"net"
	"strconv"
	"testing"
)

// TestReservedPortsAreNotGivenAway takes many free ports while as many are
// reserved. By chance alone, several would meet.
func TestReservedPortsAreNotGivenAway(t *testing.T) {
	t.Parallel()
	const many = 500
	reserved := map[int]bool{}
	for range many {
		reservation, port, err := reservePort(0)
		if err != nil {
			t.Fatal(err)
		}
		defer reservation.Close()
		reserved[port] = true
	}
	if len(reserved) != many {
		t.Errorf("%d ports for %d reservations", len(reserved), many)
	}
	for range many {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		if port := listener.Addr().(*net.TCPAddr).Port; reserved[port] {
			t.Errorf("port %d was given away", port)
		}
	}
}

// TestReservePort checks that a reserved port can be listened on by a process that knows
// it, and again after that.
func TestReservePort(t *testing.T) {
	t.Parallel()
	reservation, port, err := reservePort(0)
	if err != nil {
		t.Fatal(err)
	}
	defer reservation.Close()
	for range 2 {
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := reservePort(port); err == nil {
			t.Error("a port that is listened on was reserved")
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
		conn.Close()
		t.Error("a port that is only reserved answers")
	}
}
