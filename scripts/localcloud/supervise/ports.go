package supervise

import (
	"context"
	"fmt"
	"net"
	"slices"
)

// starts is how often OnPorts tries to start a program.
const starts = 5

// OnPorts starts a program on ports of 127.0.0.1: those that are wanted, with one
// that is free, for TCP and UDP alike, in place of each 0. Another program may
// take a free port before the started one listens on it; so start is tried again
// a few times, unless a wanted port may be what is taken.
func OnPorts[T any](ctx context.Context, wanted []int, start func(ports []int) (T, error)) (T, error) {
	fixed := slices.ContainsFunc(wanted, func(port int) bool { return port != 0 })
	for n := 1; ; n++ {
		var started T
		ports, err := freePorts(wanted)
		if err == nil {
			started, err = start(ports)
		}
		if err == nil || fixed || n == starts || ctx.Err() != nil {
			return started, err
		}
	}
}

// freePorts are the wanted ports with free ones, which differ, in place of 0.
func freePorts(wanted []int) ([]int, error) {
	ports := slices.Clone(wanted)
	for n := 0; n < len(ports); {
		if wanted[n] != 0 {
			n++
			continue
		}
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer listener.Close() // after the last was found, so that they differ
		packets, err := net.ListenPacket("udp4", listener.Addr().String())
		if err != nil {
			continue
		}
		defer packets.Close()
		ports[n] = listener.Addr().(*net.TCPAddr).Port
		n++
	}
	return ports, nil
}
