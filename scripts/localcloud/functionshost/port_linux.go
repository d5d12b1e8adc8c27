package functionshost

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// reservePort binds a port of 127.0.0.1 without listening: the given one, or a
// free one for 0. Until it is closed, the system gives the port to nobody who
// does not ask for it, so that tests in parallel do not take it while the
// handler starts or restarts. The handler can listen on it as far as it sets
// SO_REUSEADDR, which Go and most others do.
func reservePort(port int) (io.Closer, int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("opening a socket: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "reserved port")
	if port, err = bind(fd, port); err != nil {
		return nil, 0, errors.Join(err, socket.Close())
	}
	return socket, port, nil
}

func bind(fd, port int) (int, error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, fmt.Errorf("sharing a port: %w", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, fmt.Errorf("binding to port %d: %w", port, err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("asking for the port: %w", err)
	}
	address, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("asking for the port: %T is not an IPv4 address", name)
	}
	return address.Port, nil
}
