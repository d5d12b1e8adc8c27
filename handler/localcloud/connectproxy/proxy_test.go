package connectproxy_test

// The proxy leads to vaults only, and tunnels end with it.

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/localcloud/connectproxy"
	"github.com/certwright/certwright/handler/localcloud/localca"
	"github.com/certwright/certwright/handler/localcloud/loopback"
	"github.com/certwright/certwright/handler/localcloud/state"
)

// buffer is a log that several goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a proxy to target and returns its address and its log.
func serve(t *testing.T, target string) (string, *buffer) {
	t.Helper()
	logged := &buffer{}
	logger := slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	listener, err := loopback.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	server := loopback.Serve(listener, connectproxy.New(connectproxy.Config{Target: target, Log: logger}), nil, logger)
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), logged
}

// echo starts a TCP server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// send writes a request as it is and returns the connection and the answer.
func send(t *testing.T, address, request string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	return conn, reader, response
}

func TestOnlyVaultsAreReached(t *testing.T) {
	t.Parallel()
	address, logged := serve(t, echo(t))
	for _, c := range []struct {
		request string
		want    int
	}{
		{"CONNECT myvault.vault.azure.net:443", http.StatusOK},
		{"CONNECT MyVault.Vault.Azure.Net:443", http.StatusOK},
		{"CONNECT myvault.vault.azure.net:80", http.StatusForbidden},
		{"CONNECT myvault.vault.azure.net:4430", http.StatusForbidden},
		{"CONNECT myvault.vault.azure.net.:443", http.StatusForbidden},
		{"CONNECT vault.azure.net:443", http.StatusForbidden},
		{"CONNECT .vault.azure.net:443", http.StatusForbidden},
		{"CONNECT a.b.vault.azure.net:443", http.StatusForbidden},
		{"CONNECT evilvault.azure.net:443", http.StatusForbidden},
		{"CONNECT myvault.vault.azure.net.evil.example:443", http.StatusForbidden},
		{"CONNECT myvaultxvault.azure.net:443", http.StatusForbidden},
		{"CONNECT login.microsoftonline.com:443", http.StatusForbidden},
		{"CONNECT 127.0.0.1:443", http.StatusForbidden},
		{"GET http://myvault.vault.azure.net/certificates", http.StatusMethodNotAllowed},
		{"GET /", http.StatusMethodNotAllowed},
	} {
		// The Host header says otherwise in every request: it must not matter.
		_, _, response := send(t, address, c.request+" HTTP/1.1\r\nHost: other.vault.azure.net:443\r\n"+
			"Authorization: Bearer secret-token\r\nProxy-Authorization: Basic secret-token\r\n\r\n")
		if response.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", c.request, response.Status, c.want)
		}
	}
	if strings.Contains(logged.String(), "secret") {
		t.Errorf("a credential is in the log:\n%s", logged)
	}
	if !strings.Contains(logged.String(), "login.microsoftonline.com:443") {
		t.Errorf("the log does not name a refused authority:\n%s", logged)
	}
}

func TestBytesSentWithTheRequestAreForwarded(t *testing.T) {
	t.Parallel()
	address, _ := serve(t, echo(t))
	conn, reader, _ := send(t, address, "CONNECT myvault.vault.azure.net:443 HTTP/1.1\r\nHost: x\r\n\r\nearly")
	if _, err := io.WriteString(conn, " late"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(reader)
	if err != nil || string(got) != "early late" {
		t.Errorf("got %q, %v back, want all that was sent, then the end", got, err)
	}
}

func TestUnreachableFrontDoor(t *testing.T) {
	t.Parallel()
	listener, err := loopback.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	address, _ := serve(t, listener.Addr().String())
	_, _, response := send(t, address, "CONNECT myvault.vault.azure.net:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	if response.StatusCode != http.StatusBadGateway {
		t.Errorf("status %s, want 502", response.Status)
	}
}

func TestStoppedServerClosesTunnels(t *testing.T) {
	t.Parallel()
	listener, err := loopback.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	server := loopback.Serve(listener, connectproxy.New(connectproxy.Config{Target: echo(t), Log: logger}), nil, logger)
	_, reader, _ := send(t, listener.Addr().String(), "CONNECT myvault.vault.azure.net:443 HTTP/1.1\r\nHost: x\r\n\r\n")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.ReadByte(); err == nil {
		t.Error("the tunnel is still open")
	}
}

// A client that verifies names and certificates reaches a TLS server behind the
// proxy under the name of any vault.
func TestVerifyingClientReachesTheFrontDoor(t *testing.T) {
	t.Parallel()
	authority, err := localca.Open(state.Folder(t.TempDir()), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := loopback.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	door := loopback.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, r.URL.Path)
	}), &leaf, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { door.Stop() })
	address, _ := serve(t, listener.Addr().String())

	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate())
	client := http.Client{Transport: &http.Transport{
		Proxy:             http.ProxyURL(&url.URL{Scheme: "http", Host: address}),
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DisableKeepAlives: true,
	}}
	response, err := client.Get("https://myvault.vault.azure.net/certificates")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "myvault.vault.azure.net/certificates" {
		t.Errorf("got %q, %v", body, err)
	}
}
