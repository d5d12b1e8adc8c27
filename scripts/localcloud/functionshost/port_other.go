//go:build !linux

package functionshost

import (
	"fmt"
	"io"
	"net"
	"strings"
)

// reservePort finds a port of 127.0.0.1: the given one, or a free one for 0. It
// is not held, because elsewhere than on Linux the handler could then not
// listen on it; the real host has the same gap.
func reservePort(port int) (io.Closer, int, error) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return nil, 0, err
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, 0, fmt.Errorf("%v is not a TCP address", listener.Addr())
	}
	return io.NopCloser(strings.NewReader("")), address.Port, listener.Close()
}
