// Package loopback runs the local cloud's own HTTP servers, which are reached
// from this machine only, and calls those of the programs that it starts.
package loopback

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// Limits of every server, near those of Azure's front ends.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	headerLimit   = 32 << 10
	stopGrace     = 3 * time.Second
)

// PortTakenError says that another program listens where a server should.
type PortTakenError struct {
	// Port is the port on 127.0.0.1.
	Port int
}

// Error names the port.
func (e *PortTakenError) Error() string {
	return fmt.Sprintf("port %d of 127.0.0.1 is taken by another program", e.Port)
}

// Listen listens on a port of 127.0.0.1; 0: any free one.
func Listen(port int) (net.Listener, error) {
	listener, err := net.Listen("tcp4", Address(port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &PortTakenError{Port: port}
	}
	if err != nil {
		return nil, fmt.Errorf("listening on port %d: %w", port, err)
	}
	return listener, nil
}

// Address returns the address of a port, host:port.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Port returns the port of a listener that Listen made.
func Port(listener net.Listener) int { return listener.Addr().(*net.TCPAddr).Port }

// Server is a running HTTP/1.1 server.
type Server struct {
	http *http.Server
	base context.CancelFunc
	done chan struct{}
	err  error
}

// Serve answers what arrives at listener, over TLS if certificate is not nil.
// The context of the requests ends when the server is stopped, which is how
// handlers that took over their connection learn of it.
func Serve(listener net.Listener, handler http.Handler, certificate *tls.Certificate, logger *slog.Logger) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{base: cancel, done: make(chan struct{})}
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerLimit,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          errorLog(logger),
		Protocols:         new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true)
	if certificate != nil {
		listener = tls.NewListener(listener, &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{*certificate},
			NextProtos:   []string{"http/1.1"},
		})
	}
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.err = err
		}
		close(s.done)
	}()
	return s
}

// errorLog passes on what net/http says about broken connections, which is of
// interest only when something is being searched for.
func errorLog(logger *slog.Logger) *log.Logger {
	return slog.NewLogLogger(logger.Handler(), slog.LevelDebug)
}

// Done is closed when the server accepts no more connections.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns, after Done, why the server ended; nil after Stop.
func (s *Server) Err() error {
	<-s.done
	return s.err
}

// Stop ends the server. Running requests get a few seconds to finish.
func (s *Server) Stop() error {
	defer s.base()
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if s.http.Shutdown(ctx) == nil {
		return nil
	}
	if err := s.http.Close(); err != nil {
		return fmt.Errorf("closing connections: %w", err)
	}
	return nil
}
