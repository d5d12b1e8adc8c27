package loopback_test

// Servers on this machine: ports, TLS, stopping.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/localcloud/localca"
	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/handler/localcloud/state"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := loopback.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func TestTakenPortIsNamed(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	defer listener.Close()
	_, err := loopback.Listen(loopback.Port(listener))
	var taken *loopback.PortTakenError
	if !errors.As(err, &taken) || taken.Port != loopback.Port(listener) {
		t.Errorf("listening on a taken port: %v, want a PortTakenError with it", err)
	}
}

func TestTLSVersions(t *testing.T) {
	t.Parallel()
	authority, err := localca.Open(state.Folder(t.TempDir()), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate())
	listener := listen(t)
	server := loopback.Serve(listener, http.NotFoundHandler(), &leaf, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { server.Stop() })
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{
			RootCAs: roots, ServerName: "localhost", MinVersion: version, MaxVersion: version,
		})
		if (err == nil) != want {
			t.Errorf("%s: %v, want success %t", tls.VersionName(version), err, want)
		}
		if err == nil {
			conn.Close()
		}
	}
}

func TestStopLetsARunningRequestFinish(t *testing.T) {
	t.Parallel()
	arrived, proceed := make(chan struct{}), make(chan struct{})
	listener := listen(t)
	server := loopback.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-proceed
		io.WriteString(w, "finished")
	}), nil, slog.New(slog.DiscardHandler))

	answer := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answer <- string(body)
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- server.Stop() }()
	<-server.Done()
	close(proceed)
	if got := <-answer; got != "finished" {
		t.Errorf("the running request got %q, want its answer", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := server.Err(); err != nil {
		t.Errorf("a stopped server ended with %v", err)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("a stopped server listens on port " + strconv.Itoa(loopback.Port(listener)))
	}
}

func TestStopReachesHijackedConnections(t *testing.T) {
	t.Parallel()
	hijacked, ended := make(chan context.Context, 1), make(chan struct{})
	listener := listen(t)
	server := loopback.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		hijacked <- r.Context()
		<-r.Context().Done()
		close(ended)
	}), nil, slog.New(slog.DiscardHandler))
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-hijacked
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	<-ended
}

func TestServerThatCannotAcceptEnds(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	server := loopback.Serve(listener, http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler))
	listener.Close()
	if err := server.Err(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the server ended with %v, want that its listener was closed", err)
	}
}
